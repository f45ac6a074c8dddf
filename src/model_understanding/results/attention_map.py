"""Attention weights from queries to keys, and their files."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.errors import InputError, NumericalError
from model_understanding.results.attention_arrays import (
    are_causal,
    as_mask,
    as_tokens,
    as_weights,
    attention_of,
    is_of_steps,
    joined_steps,
)
from model_understanding.results.attention_sinks import certain_sinks, find_sinks, normalize_rows, sink_shares
from model_understanding.results.files import array_names, read_array, reading
from model_understanding.results.head_scores import RankedHead
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Drawn, Rendered
from model_understanding.results.serialization import (
    result_from_dict,
    result_from_json,
    split_arrays,
)
from model_understanding.tokens import SHARE, Level, Tokens, read_only

if TYPE_CHECKING:
    import pandas

_HEADER = "attention"
REDUCTIONS: tuple[str, ...] = ("mean", "max")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AttentionMap(Drawn):
    """Attention weights from Q queries to K keys.

    Args:
        queries: The Q query tokens.
        keys: The K key tokens.
        weights: Shape ``(L, H, Q, K)``; a reduced axis has length 1; 0 where masked. If only the C largest
            weights of each row were kept, shape ``(L, H, Q, C)``.
        mask: Whether a query can attend to a key in any of the layers, shape ``(Q, K)`` or ``(Q, C)``.
        layers: Index of each layer on the first axis, or the name of the reduction (``mean``, ``max``).
        heads: The same for the second axis.
        map: Kind of weights: ``raw`` attention, ``rollout``, …
        steps: For a generation, the Q tokens that were generated from the queries; else ``None``.
        sinks: Positions of the attention sinks among the keys, in the mean over layers and heads; found
            automatically for raw attention if omitted. Other maps have none.
        places: Position of the key of each of the C largest weights, shape ``(L, H, Q, C)``, −1 for unused
            entries; ``None`` if all cells are stored.
        keep: What was kept: ``rows``, ``top:C``, ``pooled:N`` or ``mass``.
        stack: For an encoder–decoder: ``cross`` (the decoder's attention to the source), ``encoder`` or
            ``decoder`` (their attention to themselves); for two texts that a model reads by themselves:
            ``first text`` or ``second text``; else ``None``.
        left_out: What the map omits, in sentences that every view shows.
        ranking: Heads ranked by a score, if the heads were selected by one. The map has every layer and every
            head in the ranking, so ``.matrix(layer, head)`` works for each; heads that the map does not have
            are removed from the ranking.
        parameters: Parameters of the map.
        provenance: Origin of the map.

    Raises:
        ValueError: The shapes do not match.
        NumericalError: A weight is not finite.
    """

    SUFFIXES: ClassVar[tuple[str, ...]] = (*Rendered.SUFFIXES, ".npz")
    ROUNDED: ClassVar[frozenset[str]] = frozenset({"weights"})

    queries: Tokens
    keys: Tokens
    weights: Float[np.ndarray, "layers heads queries keys"]
    mask: Bool[np.ndarray, "queries keys"]
    layers: tuple[int, ...] | str
    heads: tuple[int, ...] | str
    map: str = "raw"
    steps: Tokens | None = None
    sinks: tuple[int, ...] | None = None
    places: Int[np.ndarray, "layers heads queries kept"] | None = None
    keep: str = "rows"
    stack: str | None = None
    left_out: tuple[str, ...] = ()
    ranking: tuple[RankedHead, ...] = ()
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
            raise ValueError("An attention map needs at least one layer and one head.")
        plane = (len(self.queries), len(self.keys) if self.places is None else None)
        weights = read_only(self.weights, np.float32, (*axes, *plane), "weights")
        mask = read_only(self.mask, np.bool_, (plane[0], weights.shape[-1]), "mask")
        if self.places is not None:
            places = read_only(self.places, np.int64, weights.shape, "places")
            if places.size and not -1 <= places.min() <= places.max() < len(self.keys):
                raise ValueError(f"places must be positions of the {len(self.keys)} keys, or −1.")
            object.__setattr__(self, "places", places)
        object.__setattr__(self, "left_out", tuple(self.left_out))
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "weights", weights)
        if not np.isfinite(weights).all():
            raise NumericalError(
                "The attention weights are not finite.",
                hint="Load the model with dtype='float32' and try again.",
            )
        layers, heads = tuple(self.layers), tuple(self.heads)
        ranking = (ranked for ranked in self.ranking if ranked.layer in layers and ranked.head in heads)
        object.__setattr__(self, "ranking", tuple(ranking))
        if self.steps is not None and len(self.steps) != len(self.queries):
            raise ValueError(
                f"steps must have one token per query. Got {len(self.steps)} for {len(self.queries)} queries."
            )
        sinks = self.sinks
        if sinks is None:
            sinks = self.dominant_keys() if self.is_attention else ()
        object.__setattr__(self, "sinks", tuple(int(sink) for sink in sinks))
        if not all(0 <= sink < len(self.keys) for sink in self.sinks or ()):
            raise ValueError(f"sinks must be positions of the {len(self.keys)} keys. Got {self.sinks}")

    def require_possible(self) -> None:
        """Raise ValueError unless attention weights are shares; not in the constructor, for differences."""
        if self.is_attention:
            read_only(self.weights, np.float32, self.weights.shape, "weights", SHARE)

    @property
    def is_attention(self) -> bool:
        """Whether the weights are raw attention, in which a dominant key is an attention sink."""
        return self.map == "raw"

    @classmethod
    def from_arrays(
        cls,
        weights: Any,
        queries: Tokens | Sequence[str],
        keys: Tokens | Sequence[str] | None = None,
        *,
        mask: Any | Literal["causal"] | None = None,
        map: str = "raw",
    ) -> Self:
        """Build a map from weights computed elsewhere.

        Args:
            weights: Numpy arrays, torch tensors or lists of shape ``(Q, K)``, ``(H, Q, K)`` or
                ``(L, H, Q, K)``, or a tuple with ``(1, H, Q, K)`` for each layer, as ``output_attentions``
                returns it; or such a tuple for each step, as ``generate`` returns it: they are joined, with a
                row for each token that was read (the last one that was written was not). The whole output of
                a model or of ``generate`` does as well.
            queries: Tokens, or one string per token.
            keys: The same; the queries if omitted.
            mask: Which cells can be attended to, shape ``(Q, K)``; ``"causal"`` for a causal mask. By default
                a causal mask if the weights are 0 above the diagonal and only there, else all cells.
            map: Kind of weights. Only ``raw`` attention is searched for sinks.

        Returns:
            The map.

        Raises:
            InputError: The shapes of weights, tokens and mask do not match.
            NumericalError: A weight is not finite.

        >>> AttentionMap.from_arrays([[1, 0], [0.25, 0.75]], ["The", "plot"], mask="causal").mask.tolist()
        [[True, False], [True, True]]
        """
        weights = attention_of(weights)
        if is_of_steps(weights):
            array, is_causal = joined_steps(weights)
            queries = _without_unread(queries, array.shape[2])
            if is_causal:
                mask = "causal" if mask is None else mask
                keys = None if keys is None else _without_unread(keys, array.shape[3])
        else:
            array = as_weights(weights)
        query_tokens = as_tokens(queries, array.shape[2], "queries")
        lowest, highest = float(array.min(initial=0)), float(array.max(initial=0))
        if map == "raw" and (lowest < -1e-3 or highest > 1 + 1e-3):
            raise InputError(
                f"Attention weights must be from 0 to 1. Got {lowest if lowest < -1e-3 else highest:g}.",
                hint="Pass the weights after the softmax, or map='a name' for numbers of another kind.",
            )
        return cls(
            queries=query_tokens,
            keys=as_tokens(query_tokens if keys is None else keys, array.shape[3], "keys"),
            weights=array,
            mask=as_mask("causal" if mask is None and are_causal(array) else mask, *array.shape[2:]),
            layers=tuple(range(array.shape[0])),
            heads=tuple(range(array.shape[1])),
            map=map,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a map that ``save`` wrote; drawing it needs no torch.

        Args:
            path: The file.

        Returns:
            The map.

        Raises:
            InputError: The file does not exist or is not an attention map.
        """
        result = _read(Path(path).expanduser())
        if not isinstance(result, cls):
            raise InputError(
                f"{path} holds {type(result).__name__}, not {cls.__name__}.",
                hint=f"Use {type(result).__name__}.load or {type(result).__name__}.from_json.",
            )
        return result

    @property
    def rows(self) -> Tokens:
        """The token of each row: the generated token of a generation step, else the query."""
        return self.queries if self.steps is None else self.steps

    def matrix(self, layer: int | None = None, head: int | None = None) -> Float[np.ndarray, "queries keys"]:
        """Return the matrix of a layer and head, or the mean over an axis for which none is given.

        Args:
            layer: Index of the layer in the model; ``None`` for the mean over the map's layers.
            head: Index of the head in the model; ``None`` for the mean over the map's heads.

        Returns:
            Weights, shape ``(Q, K)``; 0 for weights that were not kept.

        Raises:
            InputError: The map does not have this layer or head.
        """
        planes = self._planes(layer, head)
        weights = self.weights[planes]
        if self.places is None:
            return weights.mean(axis=(0, 1))
        return self._scatter(weights, self.places[planes]) / (weights.shape[0] * weights.shape[1])

    def plane(self, layer: int | None = None, head: int | None = None) -> Self:
        """Return the map of a single matrix, selected as in ``matrix``, with the sinks of that matrix.

        Args:
            layer: Index of the layer; ``None`` for the mean over the map's layers.
            head: Index of the head; ``None`` for the mean over the map's heads.

        Returns:
            A map with one layer and one head, named ``mean`` for a mean over several. If only the largest
            weights of each row were kept, its mask contains the kept cells.
        """
        mask = self.mask
        if self.places is not None:
            planes = self._planes(layer, head)
            mask = self._scatter(np.ones_like(self.weights[planes]), self.places[planes]) > 0
        return replace(
            self,
            weights=self.matrix(layer, head)[None, None],
            mask=mask,
            layers=_plane_name(self.layers, layer),
            heads=_plane_name(self.heads, head),
            places=None,
            sinks=self.sinks_of(layer, head),
        )

    def dense(self) -> Self:
        """Return the map with a cell for each query and key; cells that were not kept are 0 and masked."""
        if self.places is None:
            return self
        count, heads = self.weights.shape[:2]
        weights = [
            [
                self._scatter(self.weights[i : i + 1, j : j + 1], self.places[i : i + 1, j : j + 1])
                for j in range(heads)
            ]
            for i in range(count)
        ]
        return replace(self, weights=np.array(weights), mask=self.plane().mask, places=None)

    @property
    def is_partial(self) -> bool:
        """Whether only some weights are known: the largest of each row, or each key's mean."""
        return self.places is not None or self.keep == "mass" or self.keep.startswith("top")

    def sinks_of(self, layer: int | None = None, head: int | None = None) -> tuple[int, ...]:
        """Return the attention sinks of a matrix, selected as in ``matrix``: those that every view shows.

        Args:
            layer: Index of the layer; ``None`` for the mean over the map's layers.
            head: Index of the head; ``None`` for the mean over the map's heads.

        Returns:
            Positions among the keys; ``sinks`` for the only matrix or the mean of all, none for a map that
            is not raw attention.

        >>> sink, even = np.tile([0.9, 0.05, 0.05], (3, 1)), np.full((3, 3), 1 / 3)
        >>> attention = AttentionMap.from_arrays([sink, even], ["<s>", "The", "plot"])
        >>> attention.sinks_of(head=0), attention.sinks_of(head=1)
        ((0,), ())
        """
        if not self.is_attention:
            return ()
        is_whole = all(
            index is None or len(indices) == 1
            for index, indices in ((layer, self.layers), (head, self.heads))
        )
        self._planes(layer, head)
        return (self.sinks or ()) if is_whole else self.dominant_keys(layer, head)

    def key_shares(
        self, keys: Sequence[int], layer: int | None = None, head: int | None = None
    ) -> tuple[float, ...]:
        """Return the share that keys receive of a matrix: the mean weight over queries that have a choice.

        Args:
            keys: Positions among the keys.
            layer: Index of the layer; ``None`` for the mean over the map's layers.
            head: Index of the head; ``None`` for the mean over the map's heads.

        Returns:
            Shares from 0 to 1, of the rows' absolute weights where they are not raw attention; at least that
            much where the map is partial.
        """
        if not len(keys):
            return ()
        matrix = self.matrix(layer, head).astype(np.float64)
        if not self.is_attention:
            matrix = normalize_rows(np.abs(matrix))
        if self.is_partial:
            return tuple(float(share) for share in matrix[:, list(keys)].mean(axis=0))
        return sink_shares(matrix, self.mask, tuple(keys))

    def dominant_keys(self, layer: int | None = None, head: int | None = None) -> tuple[int, ...]:
        """Return the keys that receive much of a matrix's weight whatever the query; see ``find_sinks``.

        Args:
            layer: Index of the layer; ``None`` for the mean over the map's layers.
            head: Index of the head; ``None`` for the mean over the map's heads.

        Returns:
            Positions among the keys. In raw attention these are attention sinks; in other maps they may be
            the tokens that matter.
        """
        if self.places is not None:  # without building the matrix, which may not fit in memory
            planes = self._planes(layer, head)
            places, weights = self.places[planes], np.abs(self.weights[planes])
            rows = weights.shape[0] * weights.shape[1] * weights.shape[2]
            mass = np.bincount(places[places >= 0], weights[places >= 0], len(self.keys))
            return certain_sinks(mass / max(rows, 1), len(self.queries))
        matrix = self.matrix(layer, head)
        if self.is_partial:
            queries = 2 if self.keep == "mass" else len(matrix)  # the row of means stands for several
            return certain_sinks(matrix.mean(axis=0), queries) if len(matrix) else ()
        return find_sinks(matrix if self.is_attention else normalize_rows(np.abs(matrix)), self.mask)

    def selected(self, queries: Sequence[int]) -> Self:
        """Return the map with only the given rows, in that order; the sinks stay the same.

        Args:
            queries: Positions among the rows.
        """
        rows = np.asarray(queries, dtype=int)
        return replace(
            self,
            queries=self.queries.select(rows),
            weights=self.weights[:, :, rows],
            mask=self.mask[rows],
            places=None if self.places is None else self.places[:, :, rows],
            steps=None if self.steps is None else self.steps.select(rows),
        )

    def folded(self, level: Level) -> Self:
        """Return the map with tokens joined at a level: keys summed, queries averaged.

        A row is then the attention distribution of a word, averaged over its tokens.
        """
        if self.places is not None:
            return self.dense().folded(level)
        return self.joined(self.rows.groups(level), self.keys.groups(level))

    def joined(self, row_groups: Sequence[Sequence[int]], key_groups: Sequence[Sequence[int]]) -> Self:
        """Return the map with groups of neighboring rows and of neighboring keys joined.

        Args:
            row_groups: Positions of the rows in each group; every row is in one group.
            key_groups: Positions of the keys in each group; every key is in one group.

        Returns:
            A map with one row and one key per group; keys are summed and queries averaged.
        """
        row_starts, key_starts = _starts(row_groups), _starts(key_groups)
        counts = np.array([len(group) for group in row_groups], dtype=np.float32)[:, None]
        weights = np.add.reduceat(self.weights, key_starts, axis=-1)
        weights = np.add.reduceat(weights, row_starts, axis=-2) / counts
        mask = np.logical_or.reduceat(self.mask, key_starts, axis=-1)
        mask = np.logical_or.reduceat(mask, row_starts, axis=-2)
        sinks = set(self.sinks or ())
        return replace(
            self,
            queries=self.queries.fold(row_groups),
            keys=self.keys.fold(key_groups),
            weights=weights,
            mask=mask,
            steps=None if self.steps is None else self.steps.fold(row_groups),
            sinks=tuple(index for index, group in enumerate(key_groups) if sinks.intersection(group)),
        )

    def _bytes(self, suffix: str, exact: bool) -> bytes:
        # Not super(): with slots=True its short form refers to the class before dataclass replaced it.
        if suffix != ".npz":
            return Rendered._bytes(self, suffix, exact=True)  # a map by itself is data, not a page's picture
        header, arrays = split_arrays(self)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{_HEADER: np.array(header)}, **arrays)  # pyright: ignore[reportArgumentType]
        return buffer.getvalue()

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per layer, head and cell that can be attended to."""
        import pandas

        whole = self.dense()
        rows, keys = np.nonzero(whole.mask)
        names = [[axis] if isinstance(axis, str) else list(axis) for axis in (whole.layers, whole.heads)]
        row_labels, key_labels = np.array(whole.rows.labels()), np.array(whole.keys.labels())
        return pandas.concat(
            [
                pandas.DataFrame(
                    {
                        "layer": layer,
                        "head": head,
                        "query_position": rows,
                        "query": row_labels[rows],
                        "key_position": keys,
                        "key": key_labels[keys],
                        "weight": whole.weights[i, j, rows, keys],
                    }
                )
                for i, layer in enumerate(names[0])
                for j, head in enumerate(names[1])
            ]
        )

    def _planes(self, layer: int | None, head: int | None) -> tuple[slice, slice]:
        return _axis_slice(self.layers, layer, "layer"), _axis_slice(self.heads, head, "head")

    def _scatter(
        self, weights: Float[np.ndarray, "layers heads queries kept"], places: np.ndarray
    ) -> Float[np.ndarray, "queries keys"]:
        """Return the sum over layers and heads of kept weights, each at the position of its key."""
        matrix = np.zeros((len(self.queries), len(self.keys)), dtype=np.float32)
        *_, rows, _ = np.nonzero(places >= 0)
        np.add.at(matrix, (rows, places[places >= 0]), weights[places >= 0])
        return matrix


def _read(file: Path) -> Any:
    """Return the result in a file that ``AttentionMap.save`` wrote."""
    with reading("an attention map", file, "AttentionMap.save"):
        if file.suffix.lower() != ".npz":
            return result_from_json(file.read_text(encoding="utf-8"))
        header = json.loads(str(read_array(file, _HEADER)))
        if not isinstance(header, dict):
            raise ValueError(f"{_HEADER} is no JSON object")
        names = array_names(file) - {_HEADER}
        return result_from_dict(header | {name: read_array(file, name) for name in names})


def _without_unread(tokens: Tokens | Sequence[str], count: int) -> Tokens | Sequence[str]:
    """Return tokens without the last one if there is one too many: what was written last was never read."""
    if isinstance(tokens, str) or len(tokens) != count + 1:
        return tokens
    return tokens.select(range(count)) if isinstance(tokens, Tokens) else [*tokens][:count]


def _starts(groups: Sequence[Sequence[int]]) -> Int[np.ndarray, " groups"]:
    return np.array([group[0] for group in groups], dtype=int)


def _axis_slice(indices: tuple[int, ...] | str, index: int | None, name: str) -> slice:
    """Return the slice of a layer or head on its axis; the whole axis if none is given."""
    if index is None:
        return slice(None)
    if isinstance(indices, str) or index not in indices:
        if isinstance(indices, str):
            available = f"the {indices} over all {name}s"
            hint = f"Compute the map with {name}={index}."
        else:
            available = f"{name}{'' if len(indices) == 1 else 's'} {', '.join(map(str, indices))}"
            instead = "it" if len(indices) == 1 else "one of these"
            hint = f"Pass {instead}, or compute the map with {name}={index} if the model has this {name}."
        raise InputError(f"The map has no {name} {index}. It has {available}.", hint=hint)
    start = indices.index(index)
    return slice(start, start + 1)


def _plane_name(indices: tuple[int, ...] | str, index: int | None) -> tuple[int, ...] | str:
    if index is not None:
        return (index,)
    return indices if isinstance(indices, str) or len(indices) == 1 else "mean"
