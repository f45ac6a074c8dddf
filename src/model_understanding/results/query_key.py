"""The products of one query with its keys, per dimension."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Displayed
from model_understanding.tokens import SHARE, Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class QueryKey(Displayed):
    """The query of one head and its K keys (neuron view): why the query attends to each key as it does.

    The score of key k is ``Σᵢ scale · qᵢ · kᵢ`` (``products`` before the sum) plus ``additions``; the softmax
    over the scores of the allowed keys, and the rival if there is one, gives ``weights``.

    Args:
        tokens: The K tokens of the text.
        query: Position of the query, among the keys or, if these are other tokens, among ``queries``.
        layer: Index of the attention layer.
        head: Index of the head.
        query_vector: The query as attention uses it (with rotary positions), shape ``(D,)``.
        key_vectors: The keys likewise, shape ``(K, D)``.
        scale: Factor of their products.
        additions: Other terms of each score (position biases, soft caps), shape ``(K,)``; 0 where masked.
        allowed: Which keys the query can attend to, shape ``(K,)``.
        weights: The attention weights of the model, shape ``(K,)``.
        rival: A score in the softmax that belongs to no key (a learned sink), or ``None``.
        queries: The tokens that attend, if they are not the keys: cross attention of an encoder–decoder.
        stack: For an encoder–decoder: ``cross``, ``encoder`` or ``decoder``.
        provenance: Origin of the result.

    Raises:
        ValueError: The shapes do not match.
        NumericalError: A number is not finite.
    """

    tokens: Tokens
    query: int
    layer: int
    head: int
    query_vector: Float[np.ndarray, " width"]
    key_vectors: Float[np.ndarray, "keys width"]
    scale: float
    additions: Float[np.ndarray, " keys"]
    allowed: Bool[np.ndarray, " keys"]
    weights: Float[np.ndarray, " keys"]
    rival: float | None = None
    queries: Tokens | None = None
    stack: str | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        count = len(self.tokens)
        vector = read_only(self.query_vector, np.float32, (None,), "query_vector")
        object.__setattr__(self, "query_vector", vector)
        keys = read_only(self.key_vectors, np.float32, (count, len(vector)), "key_vectors")
        object.__setattr__(self, "key_vectors", keys)
        for name, within in (("additions", None), ("weights", SHARE)):
            frozen = read_only(getattr(self, name), np.float32, (count,), name, within)
            object.__setattr__(self, name, frozen)
        object.__setattr__(self, "allowed", read_only(self.allowed, np.bool_, (count,), "allowed"))
        rows = len(self.rows)
        if not 0 <= self.query < rows:
            raise ValueError(f"query must be a position of the {rows} tokens. Got {self.query}.")
        for name in ("query_vector", "key_vectors", "additions", "weights"):
            if not np.isfinite(getattr(self, name)).all():
                raise NumericalError(
                    f"The {name} are not finite.", hint="Load the model with dtype='float32' and try again."
                )

    @property
    def rows(self) -> Tokens:
        """The tokens that attend."""
        return self.tokens if self.queries is None else self.queries

    @property
    def products(self) -> Float[np.ndarray, "keys width"]:
        """Contribution of each dimension to each key's score, shape ``(K, D)``, before masks and biases."""
        return self.scale * self.query_vector[None] * self.key_vectors

    @property
    def scores(self) -> Float[np.ndarray, " keys"]:
        """The score of each key before the softmax, shape ``(K,)``; −infinity where masked."""
        scores = self.products.sum(axis=1, dtype=np.float64) + self.additions
        return np.where(self.allowed, scores, -np.inf)
