"""Which attention maps a report keeps: as much as the length of the text allows, within a bound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.errors import ModelUnderstandingError, UnsupportedModelError
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
        heads: Heads of each.
        rows: Queries.
        keys: Keys.
    """

    layers: int
    heads: int
    rows: int
    keys: int

    def fits(self, layers: int, heads: int, size: int = 1) -> bool:
        """Return whether so many layers and heads fit the bound, neighbors pooled in groups of a size."""
        return layers * heads * -(-self.rows // size) * -(-self.keys // size) <= MOST_CELLS

    def pooled_size(self) -> int:
        """Return the smallest group size, a power of two, at which all heads fit and make thumbnails."""
        size = 2
        while self.keys > size * THUMBNAIL or not self.fits(self.layers, self.heads, size):
            size *= 2
        return size


def attention_of_report(attend: Attend, extent: Extent, maps: MapChoice) -> tuple[AttentionMap, ...]:
    """Return the maps that a report keeps, the main one first: the last layer, mean over heads.

    All heads of all layers are kept if they fit the bound; else the mean over heads of each layer and all
    heads of the last one, each if it fits, and an overview of all heads with neighbors pooled. Then come
    further maps, of each layer if that fits. The last map says which of these are omitted for a long text.

    Args:
        attend: Computes a map of the text.
        extent: The size of all attention.
        maps: Names or map objects. Left out: ``raw`` and the cheap ones that the model allows. Empty: the
            main map alone. A map that is named must be possible.

    Returns:
        The maps; none if the model has no attention that can be read.
    """
    try:
        main = attend(-1, "mean", "raw", "rows")
    except UnsupportedModelError:
        return ()
    kinds: Sequence[Any] = ("raw", *FURTHER_MAPS) if maps is None else maps
    computed, omitted = [main], []
    for kind in kinds:
        if kind == "raw":
            computed += _raw(attend, extent)
            continue
        if maps is None and extent.keys > FURTHER_MAPS_UP_TO:
            omitted.append(str(kind))
            continue
        try:
            computed.append(attend("all" if extent.fits(extent.layers, 1) else -1, "mean", kind, "rows"))
        except ModelUnderstandingError:
            if maps is not None:
                raise
    if omitted:
        words = (
            f"The maps {' and '.join(omitted)} are omitted for texts longer than "
            f"{FURTHER_MAPS_UP_TO} tokens; analyze(..., attention={['raw', *omitted]}) computes them."
        )
        computed[-1] = replace(computed[-1], left_out=(*computed[-1].left_out, words))
    return tuple(computed)


def _raw(attend: Attend, extent: Extent) -> list[AttentionMap]:
    layers, heads = extent.layers, extent.heads
    if extent.fits(layers, heads):
        return [attend("all", "all", "raw", "rows")] if layers * heads > 1 else []
    maps = []
    if layers > 1 and extent.fits(layers, 1):
        maps.append(attend("all", "mean", "raw", "rows"))
    if heads > 1 and extent.fits(1, heads):
        maps.append(attend(-1, "all", "raw", "rows"))
    if layers * heads > 1:
        maps.append(attend("all", "all", "raw", f"pooled:{extent.pooled_size()}"))
    return maps
