"""Which attention a report keeps: as much as the length of the text allows, never more than a bound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_understanding.attention.protocol import AttentionMapMethod
from model_understanding.errors import ModelUnderstandingError, UnsupportedModelError
from model_understanding.results import AttentionMap

MOST_CELLS = 3_200_000  # of one map: 144 heads at 149 tokens, the means of 12 layers at 512
THUMBNAIL = 64  # cells across in an overview of all heads, at most
MOST_FLOWING = 512  # tokens up to which maps through all layers are cheap beside an attribution
FURTHER_MAPS = ("rollout", "value_weighted")  # one more forward each

MapChoice = Sequence[str | AttentionMapMethod] | None


Attend = Callable[[Any, Any, Any, str], AttentionMap]  # layer, head, map and keep of compute_attention


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a model and a text span.

    Args:
        layers: Layers with attention.
        heads: Heads of each.
        rows: Queries looked from.
        keys: Tokens looked at.
    """

    layers: int
    heads: int
    rows: int
    keys: int

    def fits(self, layers: int, heads: int, size: int = 1) -> bool:
        """Return whether so many layers and heads may be held, neighbors pooled in groups of a size."""
        return layers * heads * -(-self.rows // size) * -(-self.keys // size) <= MOST_CELLS

    def pooled_size(self) -> int:
        """Return the smallest group, a power of two, in which all heads may be held and make thumbnails."""
        size = 2
        while self.keys > size * THUMBNAIL or not self.fits(self.layers, self.heads, size):
            size *= 2
        return size


def attention_of_report(attend: Attend, extent: Extent, maps: MapChoice) -> tuple[AttentionMap, ...]:
    """Return the maps that a report keeps, the main one first: the last layer, mean over heads.

    Where all heads of all layers fit the bound they are kept; else the mean over heads of each layer, all
    heads of the last one, each where it fits, and an overview of all heads with neighbors pooled. Then come
    further maps, of each layer where that fits. The last map says which further ones a long text leaves out.

    Args:
        attend: Computes a map of the text.
        extent: How much there is.
        maps: Names or map objects; left out, ``raw`` and the cheap ones that the model allows; empty for
            the main map alone. A map that is named must be possible.

    Returns:
        The maps; none where the model has no attention that can be read.
    """
    try:
        main = attend(-1, "mean", "raw", "rows")
    except UnsupportedModelError:
        return ()
    chosen: Sequence[Any] = ("raw", *FURTHER_MAPS) if maps is None else maps
    found, spared = [main], []
    for given in chosen:
        if given == "raw":
            found += _raw(attend, extent)
            continue
        if maps is None and extent.keys > MOST_FLOWING:
            spared.append(str(given))
            continue
        try:
            found.append(attend("all" if extent.fits(extent.layers, 1) else -1, "mean", given, "rows"))
        except ModelUnderstandingError:
            if maps is not None:
                raise
    if spared:
        words = (
            f"The maps {' and '.join(spared)} are left out of texts longer than {MOST_FLOWING} tokens; "
            f"analyze(..., attention={['raw', *spared]}) computes them."
        )
        found[-1] = replace(found[-1], left_out=(*found[-1].left_out, words))
    return tuple(found)


def _raw(attend: Attend, extent: Extent) -> list[AttentionMap]:
    layers, heads = extent.layers, extent.heads
    if extent.fits(layers, heads):
        return [attend("all", "all", "raw", "rows")] if layers * heads > 1 else []
    found = []
    if layers > 1 and extent.fits(layers, 1):
        found.append(attend("all", "mean", "raw", "rows"))
    if heads > 1 and extent.fits(1, heads):
        found.append(attend(-1, "all", "raw", "rows"))
    if layers * heads > 1:
        found.append(attend("all", "all", "raw", f"pooled:{extent.pooled_size()}"))
    return found
