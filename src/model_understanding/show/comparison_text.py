"""Two aligned texts as words that a page can color: what stands in one only is marked, not only colored."""

from dataclasses import dataclass

import numpy as np

from model_understanding.results import Alignment, AttributionComparison
from model_understanding.show.comparison_words import difference_words, value
from model_understanding.show.highlight import highlighted_runs
from model_understanding.show.page_colors import level_class

_MOST_TIPS = 1500  # units: beyond these the page would grow too large, and the table holds the numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedWord:
    """A stretch of one of the two texts.

    Args:
        text: What to show.
        css: Its color.
        tip: What hovering says; empty for none.
        mark: What its unit is where it does not say the same in both: ``replaced``, ``first only``,
            ``second only``.
        is_pill: Whether it is a special token.
        opens: Whether another source text begins here.
    """

    text: str
    css: str = ""
    tip: str = ""
    mark: str = ""
    is_pill: bool = False
    opens: bool = False


def aligned_texts(
    alignment: Alignment, part: AttributionComparison | None = None
) -> tuple[tuple[AlignedWord, ...], ...]:
    """Return both texts, colored by the difference of an attribution of one target on one scale around zero.

    Args:
        alignment: Which tokens stand for each other.
        part: The attributions of these tokens; nothing is colored where left out.

    Returns:
        The first text's words and the second's.
    """
    colors, tips = [""] * len(alignment.pairs), [""] * len(alignment.pairs)
    if part is not None:
        colors = _colors(part)
        tips = _tips(part) if len(tips) <= _MOST_TIPS else tips
    return tuple(_words(alignment, side, colors, tips) for side in (0, 1))


def _words(alignment: Alignment, side: int, colors: list[str], tips: list[str]) -> tuple[AlignedWord, ...]:
    tokens = (alignment.first, alignment.second)[side]
    kinds = alignment.kinds()
    units = np.flatnonzero(alignment.pairs[:, side] >= 0)
    words, sources = [], set()
    for run in highlighted_runs(tokens):
        opens = run.source > 0 and run.source not in sources
        sources.add(run.source)
        if run.unit is None:
            words.append(AlignedWord(text=run.text, opens=opens))
            continue
        unit = int(units[run.unit])
        is_pill = run.is_pill or bool(tokens.special[run.unit])
        words.append(
            AlignedWord(
                text=run.text,
                css="" if is_pill else colors[unit],
                tip=tips[unit],
                mark="" if kinds[unit] == "same" else kinds[unit],
                is_pill=is_pill,
                opens=opens,
            )
        )
    return tuple(words)


def _colors(part: AttributionComparison) -> list[str]:
    reach = float(np.abs(part.differences).max(initial=0)) or 1.0
    unscored = ~(part.valid(0)[0] | part.valid(1)[0])
    return [
        "mu-unscored" if unscored[unit] else level_class(float(size), reach, signed=True)
        for unit, size in enumerate(part.differences[0])
    ]


def _tips(part: AttributionComparison) -> list[str]:
    values, valid = [part.values(side)[0] for side in (0, 1)], [part.valid(side)[0] for side in (0, 1)]
    tips = []
    for unit, kind in enumerate(part.alignment.kinds()):
        words = [
            f"{name} {value(part, float(amounts[unit]))}"
            for name, amounts, held in zip(("first", "second"), values, valid, strict=True)
            if held[unit]
        ]
        if part.compared[0, unit]:
            words.append(f"difference {difference_words(part, float(part.differences[0, unit]))}")
        if kind in ("first only", "second only"):
            words.append(f"in the {kind.removesuffix(' only')} text only")
        tips.append(" · ".join(words) or "no score")
    return tips
