"""Attention from each query to each key, and its files."""

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.errors import InputError, NumericalError
from model_understanding.results import attention_map
from model_understanding.results.attention_arrays import mask_of, tokens_of, weights_of
from model_understanding.results.attention_sinks import certain_sinks, find_sinks, shares_of_rows
from model_understanding.results.files import array_in, names_in, reading, write_atomically
from model_understanding.results.head_scores import RankedHead
from model_understanding.results.provenance import Provenance
from model_understanding.results.serialization import (
    JsonResult,
    result_from_dict,
    result_from_json,
    split_arrays,
)
from model_understanding.tokens import Level, Tokens, read_only

SUFFIXES = (".json", ".npz")
_HEADER = "attention"


def save(attention: JsonResult, path: str | os.PathLike[str]) -> Path:
    """Write a map; see ``AttentionMap.save``."""
    target = Path(path).expanduser()
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"Cannot save {target.name!r}: its suffix is {suffix or 'missing'}.",
            hint=f"Use one of {', '.join(SUFFIXES)}; plot_attention draws pictures.",
        )
    if suffix == ".json":  # half a character, which UTF-8 cannot hold, as JSON's own escape
        content = (attention.to_json(indent=1) + "\n").encode("utf-8", "backslashreplace")
    else:
        header, arrays = split_arrays(attention)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{_HEADER: np.array(header)}, **arrays)  # pyright: ignore[reportArgumentType]
        content = buffer.getvalue()
    write_atomically(target, content)
    return target


def read(path: str | os.PathLike[str]) -> Any:
    """Return the result in a file that ``save`` wrote."""
    source = Path(path).expanduser()
    with reading("an attention map", source, "AttentionMap.save"):
        if source.suffix.lower() != ".npz":
            return result_from_json(source.read_text(encoding="utf-8"))
        names = names_in(source)
        header = json.loads(str(array_in(source, _HEADER)))
        return result_from_dict(header | {name: array_in(source, name) for name in names - {_HEADER}})


REDUCTIONS: tuple[str, ...] = ("mean", "max")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionMap(JsonResult):
    """Attention weights from Q queries to K keys.

    Args:
        queries: The tokens that look, Q of them.
        keys: The tokens looked at, K of them.
        weights: Shape ``(L, H, Q, K)``; a reduced axis has length 1. 0 where masked. Where only the C
            largest weights of each row were kept, shape ``(L, H, Q, C)``.
        mask: Whether a query may look at a key in any layer shown, shape ``(Q, K)``; or ``(Q, C)``.
        layers: Index of each layer on the first axis, or the reduction's name (``mean``, ``max``).
        heads: The same for the second axis.
        map: What the weights are: ``raw``, …
        steps: For a generation: the tokens that the queries produced, Q of them, else ``None``.
        sinks: Positions among the keys that soak up attention whoever asks, in the mean over the layers and
            heads held; found in plain attention where left out. Other maps have none.
        places: Which key each of the C largest weights belongs to, shape ``(L, H, Q, C)``, −1 where a row
            has no more; ``None`` where every cell is held.
        keep: What was kept: ``rows``, ``top:C``, ``pooled:N`` or ``mass``.
        left_out: What is not in the map, in sentences that every view shows.
        ranking: Heads in the order of a score, where one chose them. The map holds every layer and every head
            that stands in it, so ``.matrix(layer, head)`` gives each; heads that are not held, or joined with
            others, are left out.
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
    places: Int[np.ndarray, "layers heads queries kept"] | None = None
    keep: str = "rows"
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
            raise ValueError("An attention map needs a layer and a head.")
        plane = (len(self.queries), len(self.keys) if self.places is None else None)
        weights = read_only(self.weights, np.float32, (*axes, *plane), "weights")
        mask = read_only(self.mask, np.bool_, (plane[0], weights.shape[-1]), "mask")
        if self.places is not None:
            places = read_only(self.places, np.int64, weights.shape, "places")
            if places.size and not -1 <= places.min() <= places.max() < len(self.keys):
                raise ValueError(f"A place is the position of one of {len(self.keys)} keys, or −1.")
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
        held = (one for one in self.ranking if one.layer in layers and one.head in heads)
        object.__setattr__(self, "ranking", tuple(held))
        if self.steps is not None and len(self.steps) != len(self.queries):
            raise ValueError(f"{len(self.queries)} queries need as many steps. Got {len(self.steps)}.")
        found = self.sinks
        if found is None:
            found = self.dominant_keys() if self.is_attention else ()
        object.__setattr__(self, "sinks", tuple(int(sink) for sink in found))

    @property
    def is_attention(self) -> bool:
        """Whether the weights are plain attention, in which a key that takes most of it is a sink."""
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
                returns it.
            queries: Tokens, or one string for each.
            keys: The same; the queries where left out.
            mask: Which cells may be attended to, shape ``(Q, K)``; ``"causal"`` for a triangle; all cells
                where left out.
            map: What the weights are. Only ``raw`` attention is looked through for sinks.

        Returns:
            The map.

        Raises:
            InputError: Weights, tokens or mask do not fit each other.
            NumericalError: A weight is not finite.

        >>> AttentionMap.from_arrays([[1, 0], [0.25, 0.75]], ["The", "plot"], mask="causal").mask.tolist()
        [[True, False], [True, True]]
        """
        array = weights_of(weights)
        query_tokens = tokens_of(queries, array.shape[2], "queries")
        return cls(
            queries=query_tokens,
            keys=tokens_of(query_tokens if keys is None else keys, array.shape[3], "keys"),
            weights=array,
            mask=mask_of(mask, *array.shape[2:]),
            layers=tuple(range(array.shape[0])),
            heads=tuple(range(array.shape[1])),
            map=map,
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the map as ``.json`` or ``.npz``; the file appears whole or not at all.

        Args:
            path: Where to write. In an ``.npz``, ``weights`` and ``mask`` are arrays of their own.

        Returns:
            The path written.

        Raises:
            InputError: The suffix is another, or the file cannot be written.
        """
        return attention_map.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a map that ``save`` wrote; it draws without torch.

        Args:
            path: The file.

        Returns:
            The map.

        Raises:
            InputError: The file does not exist or holds no attention map.
        """
        found = attention_map.read(path)
        if not isinstance(found, cls):
            raise InputError(
                f"{path} holds {type(found).__name__}, not {cls.__name__}.",
                hint=f"Use {type(found).__name__}.load or {type(found).__name__}.from_json.",
            )
        return found

    @property
    def rows(self) -> Tokens:
        """What a row stands for: the token that a step produced, else the query."""
        return self.queries if self.steps is None else self.steps

    def matrix(self, layer: int | None = None, head: int | None = None) -> Float[np.ndarray, "queries keys"]:
        """Return one matrix: of a layer and head, or their mean over an axis that is not chosen.

        Args:
            layer: The layer's index in the model, or ``None`` for the mean over those held.
            head: The head's index in the model, or ``None`` likewise.

        Returns:
            Weights, shape ``(Q, K)``; what was not kept is 0.

        Raises:
            InputError: The map does not hold that layer or head.
        """
        planes = self._planes(layer, head)
        weights = self.weights[planes]
        if self.places is None:
            return weights.mean(axis=(0, 1))
        return self._spread(weights, self.places[planes]) / (weights.shape[0] * weights.shape[1])

    def plane(self, layer: int | None = None, head: int | None = None) -> Self:
        """Return the map of one matrix, as ``matrix`` chooses it, with that matrix's own sinks.

        Args:
            layer: The layer's index, ``None`` for the mean over those held.
            head: The head's index, likewise.

        Returns:
            A map of one layer and one head, called ``mean`` where several were joined. Where only the
            largest weights of each row were kept, its mask holds the cells that were.
        """
        mask = self.mask
        if self.places is not None:
            planes = self._planes(layer, head)
            mask = self._spread(np.ones_like(self.weights[planes]), self.places[planes]) > 0
        chosen = layer is not None or head is not None
        return replace(
            self,
            weights=self.matrix(layer, head)[None, None],
            mask=mask,
            layers=_name(self.layers, layer),
            heads=_name(self.heads, head),
            places=None,
            sinks=self.dominant_keys(layer, head) if chosen and self.is_attention else self.sinks,
        )

    def dense(self) -> Self:
        """Return the map with a cell for each query and key: those not kept are 0, and masked."""
        if self.places is None:
            return self
        count, heads = self.weights.shape[:2]
        weights = [
            [
                self._spread(self.weights[i : i + 1, j : j + 1], self.places[i : i + 1, j : j + 1])
                for j in range(heads)
            ]
            for i in range(count)
        ]
        return replace(self, weights=np.array(weights), mask=self.plane().mask, places=None)

    def dominant_keys(self, layer: int | None = None, head: int | None = None) -> tuple[int, ...]:
        """Return the keys that most of a matrix's weight goes to, whoever the query; see ``find_sinks``.

        Args:
            layer: The layer's index, ``None`` for the mean over those held.
            head: The head's index, likewise.

        Returns:
            Positions among the keys: the sinks of plain attention; elsewhere they may be the answer.
        """
        if self.places is not None:  # without a matrix: there may be no room for one
            planes = self._planes(layer, head)
            places, weights = self.places[planes], np.abs(self.weights[planes])
            rows = weights.shape[0] * weights.shape[1] * weights.shape[2]
            mass = np.bincount(places[places >= 0], weights[places >= 0], len(self.keys))
            return certain_sinks(mass / max(rows, 1), len(self.queries))
        matrix = self.matrix(layer, head)
        if self.keep == "mass" or self.keep.startswith("top"):  # not every weight is there
            return certain_sinks(matrix.mean(axis=0), 2) if len(matrix) else ()
        return find_sinks(matrix if self.is_attention else shares_of_rows(np.abs(matrix)), self.mask)

    def selected(self, queries: Sequence[int]) -> Self:
        """Return the map of some of its rows, in the order given; its sinks stay.

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

        So a row still says how the attention of a word, on average over its tokens, is shared out.
        """
        if self.places is not None:
            return self.dense().folded(level)
        return self.joined(self.rows.groups(level), self.keys.groups(level))

    def joined(self, row_groups: Sequence[Sequence[int]], key_groups: Sequence[Sequence[int]]) -> Self:
        """Return the map with groups of neighboring rows and of neighboring keys joined.

        Args:
            row_groups: Positions of each new row; they cover all rows.
            key_groups: Positions of each new key; they cover all keys.

        Returns:
            A map over one row and one key for each group, joined as ``folded`` says.
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
            sinks=tuple(place for place, group in enumerate(key_groups) if sinks.intersection(group)),
        )

    def _planes(self, layer: int | None, head: int | None) -> tuple[slice, slice]:
        return _place(self.layers, layer, "layer"), _place(self.heads, head, "head")

    def _spread(
        self, weights: Float[np.ndarray, "layers heads queries kept"], places: np.ndarray
    ) -> Float[np.ndarray, "queries keys"]:
        """Return the sum of some planes, each weight put where it belongs."""
        found = np.zeros((len(self.queries), len(self.keys)), dtype=np.float32)
        *_, rows, _ = np.nonzero(places >= 0)
        np.add.at(found, (rows, places[places >= 0]), weights[places >= 0])
        return found


def _starts(groups: Sequence[Sequence[int]]) -> Int[np.ndarray, " groups"]:
    return np.array([group[0] for group in groups], dtype=int)


def _place(held: tuple[int, ...] | str, wanted: int | None, name: str) -> slice:
    """Return where a layer or head stands on its axis; the whole axis where none is chosen."""
    if wanted is None:
        return slice(None)
    if isinstance(held, str) or wanted not in held:
        raise InputError(
            f"The map holds no {name} {wanted}. It holds: {held}.",
            hint=f"Compute the map with {name}={wanted}.",
        )
    place = held.index(wanted)
    return slice(place, place + 1)


def _name(held: tuple[int, ...] | str, wanted: int | None) -> tuple[int, ...] | str:
    if wanted is not None:
        return (wanted,)
    return held if isinstance(held, str) or len(held) == 1 else "mean"
