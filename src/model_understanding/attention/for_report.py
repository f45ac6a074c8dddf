"""Which attention maps a report keeps: as much as the length of the text allows, within a bound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.results import AttentionMap

MOST_CELLS = 3_200_000  # of one map: 144 heads at 149 tokens, the means of 12 layers at 512
THUMBNAIL = 64  # cells across in an overview of all heads, at most
FURTHER_MAPS_UP_TO = 512  # up to here their cost is small beside an attribution's
FURTHER_MAPS = ("rollout", "value_weighted")  # one more forward pass each

MapChoice = Sequence[str | AttentionMapMethod] | None
Attend = Callable[[Any, Any, Any, str], AttentionMap]
"""Computes a map of a layer, a head, a kind and a ``keep`` as ``compute_attention`` takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The size of all attention of a model on a text.

    Args:
        layers: Layers with attention.
        heads: Heads of each; of the layer with the most, if they differ.
        rows: Queries.
        keys: Keys.
        is_regular: Whether all layers have the same number of heads.
        most_cells: The bound.
    """

    layers: int
    heads: int
    rows: int
    keys: int
    is_regular: bool = True
    most_cells: int = MOST_CELLS

    def fits(self, layers: int, heads: int, size: int = 1) -> bool:
        """Return whether so many layers and heads fit the bound, neighbors pooled in groups of a size."""
        return layers * heads * -(-self.rows // size) * -(-self.keys // size) <= self.most_cells

    def pooled_size(self) -> int:
        """Return the smallest group size, a power of two, at which all heads fit and make thumbnails."""
        size = 2
        while self.keys > size * THUMBNAIL or not self.fits(self.layers, self.heads, size):
            size *= 2
        return size


def attention_of_report(
    attend: Attend,
    measure: Callable[[], Extent],
    maps: MapChoice,
    further: Sequence[str] = FURTHER_MAPS,
) -> tuple[AttentionMap, ...]:
    """Return the maps that a report keeps, the main one first: the last layer, mean over heads.

    All heads of all layers are kept if they fit the bound; else the mean over heads of each layer and all
    heads of the last one, each if it fits, and an overview of all heads with neighbors pooled. Then come
    further maps, of each layer if that fits. The last map says which of these are omitted; the main map, if
    they were named.

    Args:
        attend: Computes a map of the text.
        measure: Returns the size of all attention, once a map has been read.
        maps: Names or map objects. Left out: ``raw`` and the cheap ones that the model allows. Empty: the
            main map alone. What a map cannot be read for is said in ``left_out``.
        further: The cheap maps besides.

    Returns:
        The maps.

    Raises:
        InputError: A map that was named is unknown.
        UnsupportedModelError: The model has no attention that can be read.
    """
    main = attend(-1, "mean", "raw", "rows")
    extent = measure()
    kinds: Sequence[Any] = ("raw", *further) if maps is None else maps
    computed, omitted, sentences = [main], [], []
    for kind in kinds:
        if kind == "raw":
            computed += _raw(attend, extent)
            continue
        if maps is None and extent.keys > FURTHER_MAPS_UP_TO:
            omitted.append(str(kind))
            continue
        try:
            computed.append(attend("all" if extent.fits(extent.layers, 1) else -1, "mean", kind, "rows"))
        except Exception as error:  # the other maps stand without it
            if isinstance(error, InputError) and maps is not None:
                raise
            is_ours = isinstance(error, ModelUnderstandingError)
            reason = error.message if is_ours else f"{type(error).__name__}: {error}".partition("\n")[0]
            sentences.append(f"The map {getattr(kind, 'name', kind)} is omitted: {reason}")
    if omitted:
        several = len(omitted) > 1
        sentences.append(
            f"The map{'s' * several} {' and '.join(omitted)} {'are' if several else 'is'} omitted for texts "
            "longer than "
            f"{FURTHER_MAPS_UP_TO} tokens; analyze(..., attention={['raw', *omitted]}) computes them."
        )
    if not extent.is_regular:
        sentences.append(
            "Layers have different numbers of heads: single heads are kept of the last layer only; "
            "compute_attention(..., layer=k, head='all') returns those of another."
        )
    if sentences:
        shown = -1 if maps is None else 0  # what was asked for by name is missed in every view
        computed[shown] = replace(computed[shown], left_out=(*computed[shown].left_out, *sentences))
    return tuple(computed)


def _raw(attend: Attend, extent: Extent) -> list[AttentionMap]:
    layers, heads = extent.layers, extent.heads
    if extent.is_regular and extent.fits(layers, heads):
        return [attend("all", "all", "raw", "rows")] if layers * heads > 1 else []
    maps = []
    if layers > 1 and extent.fits(layers, 1):
        maps.append(attend("all", "mean", "raw", "rows"))
    if heads > 1 and extent.fits(1, heads):
        maps.append(attend(-1, "all", "raw", "rows"))
    if extent.is_regular and layers * heads > 1:
        maps.append(attend("all", "all", "raw", f"pooled:{extent.pooled_size()}"))
    return maps
