"""Scores of attention heads, by which they can be ranked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from model_understanding.checks import whole_number
from model_understanding.errors import InputError, NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Displayed
from model_understanding.results.serialization import JsonResult
from model_understanding.results.target import Target
from model_understanding.tokens import Tokens, read_only

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedHead(JsonResult):
    """A head and its score in a ranking; unpacks as ``layer, head, score``.

    Args:
        layer: Index of the layer in the model.
        head: Index of the head in its layer.
        score: The score.
        by: Name of the score.
    """

    layer: int
    head: int
    score: float
    by: str

    def __iter__(self) -> Iterator[Any]:
        return iter((self.layer, self.head, self.score))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class HeadScores(Displayed):
    """Scores of the L × H attention heads of a model on a text.

    Args:
        tokens: Tokens of the text.
        names: Names of the S scores.
        scores: Score of every head of every layer with attention, shape ``(S, L, H)``.
        meanings: A short description of each score.
        signed: Whether the sign of each score has a meaning; signed scores are ranked by magnitude.
        target: The target, for scores that measure the effect of a head on the output.
        layers: Index in the model of each of the L layers; all from 0 if omitted.
        stack: For an encoder–decoder, whose heads these are: ``cross``, ``encoder`` or ``decoder``.
        parameters: Parameters of each score, by its name.
        provenance: Origin of the scores.

    Raises:
        ValueError: The lengths do not match, or a name occurs twice.
        NumericalError: A score is not finite.

    >>> scores = HeadScores(tokens=Tokens.from_pieces(["a", "b"]), names=("sink",), scores=[[[0.1, 0.7]]],
    ...     meanings=("weight on sinks",), signed=(False,))
    >>> [(layer, head) for layer, head, score in scores.ranking("sink")]
    [(0, 1), (0, 0)]
    """

    tokens: Tokens
    names: tuple[str, ...]
    scores: Float[np.ndarray, "names layers heads"]
    meanings: tuple[str, ...]
    signed: tuple[bool, ...]
    target: Target | None = None
    layers: tuple[int, ...] = ()
    stack: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        for name in ("names", "meanings", "signed"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"The names of scores must be unique. Got: {', '.join(self.names)}.")
        if not len(self.names) == len(self.meanings) == len(self.signed):
            raise ValueError(
                "names, meanings and signed must have the same length. "
                f"Got {len(self.names)}, {len(self.meanings)} and {len(self.signed)}."
            )
        scores = read_only(self.scores, np.float32, (len(self.names), None, None), "scores")
        object.__setattr__(self, "scores", scores)
        layers = tuple(int(layer) for layer in self.layers) or tuple(range(scores.shape[1]))
        object.__setattr__(self, "layers", layers)
        if len(layers) != scores.shape[1] or list(layers) != sorted({*layers} - {-1}):
            raise ValueError(
                f"layers must be {scores.shape[1]} different indices in ascending order. Got {layers}."
            )
        if not np.isfinite(scores).all():
            raise NumericalError(
                "The head scores are not finite.",
                hint="Load the model with dtype='float32' and try again.",
            )

    def of(self, name: str) -> Float[np.ndarray, "layers heads"]:
        """Return one score for every head.

        Args:
            name: Name of the score.

        Returns:
            Scores, shape ``(L, H)``; row i is of layer ``layers[i]``.

        Raises:
            InputError: The score was not computed.
        """
        return self.scores[self._index(name)]

    def ranking(self, name: str, top: int | None = None) -> tuple[RankedHead, ...]:
        """Return the heads ranked by a score, highest first; by magnitude if the score is signed.

        Args:
            name: Name of the score.
            top: Number of heads; all if omitted.

        Returns:
            Layer, head and score of each; ties stay in the order of the model.

        Raises:
            InputError: The score was not computed, or ``top`` is not a whole number of at least 1.
        """
        index = self._index(name)
        if top is not None:
            top = whole_number(top, "top")
        scores = self.scores[index].astype(np.float64)
        keys = np.abs(scores) if self.signed[index] else scores
        order = np.argsort(-keys, axis=None, kind="stable")[:top]
        layers, heads = np.unravel_index(order, scores.shape)
        return tuple(
            RankedHead(
                layer=self.layers[layer],
                head=int(head),
                score=float(str(self.scores[index, layer, head])),
                by=name,
            )
            for layer, head in zip(layers, heads, strict=True)
        )

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per head: layer, head, and one column per score."""
        import pandas

        heads = self.scores.shape[2]
        columns = {
            "layer": np.repeat(self.layers, heads),
            "head": np.tile(np.arange(heads), len(self.layers)),
        }
        return pandas.DataFrame(
            columns | {name: scores.ravel() for name, scores in zip(self.names, self.scores, strict=True)}
        )

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise InputError(
                f"The score {name!r} was not computed. Computed: {', '.join(self.names)}.",
                hint=f"Compute it with score_heads(text, scores={name!r}).",
            )
        return self.names.index(name)
