"""Where a model looked."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.errors import InputError, NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Level, Tokens, read_only

REDUCTIONS: tuple[str, ...] = ("mean", "max")
SINK_SHARE = 0.3  # a column that takes this share of the attention it could take …
SINK_EXCESS = 2.5  # … and this many times what even attention would give it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionMap(JsonResult):
    """Attention weights from Q queries to K keys.

    Args:
        queries: The tokens that look, Q of them.
        keys: The tokens looked at, K of them.
        weights: Shape ``(L, H, Q, K)``; a reduced axis has length 1. 0 where masked.
        mask: Whether a query may look at a key in any layer shown, shape ``(Q, K)``.
        layers: Index of each layer on the first axis, or the reduction's name (``mean``, ``max``).
        heads: The same for the second axis.
        map: What the weights are: ``raw``, …
        steps: For a generation: the tokens that the queries produced, Q of them, else ``None``.
        sinks: Positions among the keys that soak up attention whoever asks.
        parameters: The map's parameters.
        provenance: Where it comes from.

    Raises:
        ValueError: The shapes disagree.
        NumericalError: A weight is not finite.
    """

    queries: Tokens
    keys: Tokens
    weights: Float[np.ndarray, "layers heads queries keys"]
    mask: Bool[np.ndarray, "queries keys"]
    layers: tuple[int, ...] | str
    heads: tuple[int, ...] | str
    map: str = "raw"
    steps: Tokens | None = None
    sinks: tuple[int, ...] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        axes = []
        for name in ("layers", "heads"):
            value = getattr(self, name)
            if not isinstance(value, str):
                object.__setattr__(self, name, tuple(value))
            axes.append(1 if isinstance(value, str) else len(value))
        if 0 in axes:
            raise ValueError("An attention map needs a layer and a head.")
        plane = (len(self.queries), len(self.keys))
        mask = read_only(self.mask, np.bool_, plane, "mask")
        weights = read_only(self.weights, np.float32, (*axes, *plane), "weights")
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "weights", weights)
        if not np.isfinite(weights).all():
            raise NumericalError(
                "The attention weights are not finite.",
                hint="Load the model with dtype='float32' and try again.",
            )
        if self.steps is not None and len(self.steps) != len(self.queries):
            raise ValueError(f"{len(self.queries)} queries need as many steps. Got {len(self.steps)}.")
        sinks = find_sinks(weights.mean(axis=(0, 1)), mask) if self.sinks is None else self.sinks
        object.__setattr__(self, "sinks", tuple(int(sink) for sink in sinks))

    @classmethod
    def from_arrays(
        cls,
        weights: np.ndarray,
        queries: Tokens | Sequence[str],
        keys: Tokens | Sequence[str] | None = None,
        *,
        mask: np.ndarray | None = None,
    ) -> Self:
        """Build a map from weights computed elsewhere.

        Args:
            weights: Shape ``(Q, K)``, ``(H, Q, K)`` or ``(L, H, Q, K)``.
            queries: Tokens, or one string for each.
            keys: The same; the queries where left out.
            mask: Which cells may be attended to, shape ``(Q, K)``; all where left out.

        Returns:
            The map.
        """
        array = np.asarray(weights)
        if not 2 <= array.ndim <= 4:
            raise ValueError(
                f"Weights have 2, 3 or 4 axes: (Q, K), (H, Q, K) or (L, H, Q, K). Got {array.ndim}."
            )
        array = array.reshape((1,) * (4 - array.ndim) + array.shape)
        query_tokens = queries if isinstance(queries, Tokens) else Tokens.from_pieces(queries)
        if keys is None:
            key_tokens = query_tokens
        else:
            key_tokens = keys if isinstance(keys, Tokens) else Tokens.from_pieces(keys)
        return cls(
            queries=query_tokens,
            keys=key_tokens,
            weights=array,
            mask=np.ones(array.shape[2:], dtype=bool) if mask is None else mask,
            layers=tuple(range(array.shape[0])),
            heads=tuple(range(array.shape[1])),
        )

    def matrix(self, layer: int | None = None, head: int | None = None) -> Float[np.ndarray, "queries keys"]:
        """Return one matrix: of a layer and head, or their mean over an axis that is not chosen.

        Args:
            layer: The layer's index in the model, or ``None`` for the mean over those held.
            head: The head's index in the model, or ``None`` likewise.

        Returns:
            Weights, shape ``(Q, K)``.

        Raises:
            InputError: The map does not hold that layer or head.
        """
        weights = _chosen(self.weights, self.layers, layer, "layer")
        return _chosen(weights, self.heads, head, "head")

    def folded(self, level: Level) -> Self:
        """Return the map with tokens joined at a level: keys summed, queries averaged.

        So a row still says how the attention of a word, on average over its tokens, is shared out.
        """
        rows = self.queries if self.steps is None else self.steps
        row_groups, key_groups = rows.groups(level), self.keys.groups(level)
        row_starts, key_starts = _starts(row_groups), _starts(key_groups)
        counts = np.array([len(group) for group in row_groups], dtype=np.float32)[:, None]
        weights = np.add.reduceat(self.weights, key_starts, axis=-1)
        weights = np.add.reduceat(weights, row_starts, axis=-2) / counts
        mask = np.logical_or.reduceat(self.mask, key_starts, axis=-1)
        mask = np.logical_or.reduceat(mask, row_starts, axis=-2)
        return replace(
            self,
            queries=self.queries.fold(row_groups),
            keys=self.keys.fold(key_groups),
            weights=weights,
            mask=mask,
            steps=None if self.steps is None else self.steps.fold(row_groups),
            sinks=None,
        )


def find_sinks(
    weights: Float[np.ndarray, "queries keys"], mask: Bool[np.ndarray, "queries keys"]
) -> tuple[int, ...]:
    """Return the keys that soak up attention whoever asks.

    The share of a key is its mean weight over the queries that may look at it and at something else. A
    sink takes at least 30 % and at least 2.5 times what even attention would give it.

    Args:
        weights: Attention weights, shape ``(Q, K)``.
        mask: Which cells may be attended to.

    Returns:
        Positions among the keys.

    >>> find_sinks(np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.9, 0.0, 0.1]]), np.ones((3, 3), dtype=bool))
    (0,)
    """
    choices = mask.sum(axis=1, keepdims=True)
    counted = mask & (choices > 1)
    rows = counted.sum(axis=0)
    safe_rows = np.where(rows > 0, rows, 1)
    share = np.where(counted, weights, 0).sum(axis=0) / safe_rows
    even = np.where(counted, 1 / np.maximum(choices, 1), 0).sum(axis=0) / safe_rows
    return sinks_of_shares(share, even, rows)


def sinks_of_shares(
    share: Float[np.ndarray, " keys"], even: Float[np.ndarray, " keys"], rows: Int[np.ndarray, " keys"]
) -> tuple[int, ...]:
    """Return the keys that soak up attention, from their shares.

    Args:
        share: Each key's mean weight over the queries that may look at it and at something else.
        even: What even attention would give it.
        rows: How many such queries there are.

    Returns:
        Positions among the keys.
    """
    is_sink = (rows > 1) & (share >= SINK_SHARE) & (share >= SINK_EXCESS * even)
    return tuple(int(position) for position in np.flatnonzero(is_sink))


def _starts(groups: Sequence[Sequence[int]]) -> Int[np.ndarray, " groups"]:
    return np.array([group[0] for group in groups], dtype=int)


def _chosen(weights: np.ndarray, held: tuple[int, ...] | str, wanted: int | None, name: str) -> np.ndarray:
    if wanted is None:
        return weights.mean(axis=0)
    if isinstance(held, str) or wanted not in held:
        raise InputError(
            f"The map holds no {name} {wanted}. It holds: {held}.",
            hint=f"Compute the map with {name}={wanted}.",
        )
    return weights[held.index(wanted)]
