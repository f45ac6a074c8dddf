"""How a comparison writes values, differences, and units that two texts share or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from model_understanding.comparison import Alignment, AttributionComparison
from model_understanding.show.shared.words import format_number, format_percent, printable

_ONLY = {"first only": "removed", "second only": "added"}
NEUTRAL = 0.02
"""Part of the color scale below which a difference is no difference: it has no color and is not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A value of the first report, of the second report, and the difference, formatted.

    Args:
        label: What the values belong to.
        first: The first value, ``–`` for none.
        second: The second value, ``–`` for none.
        difference: The difference, ``–`` for none.
        size: The difference as a number.
    """

    label: str
    first: str
    second: str
    difference: str
    size: float


def value_text(part: AttributionComparison, value: float | None) -> str:
    """Return a compared value: a share in percent, a score as a number; ``–`` for none."""
    if value is None:
        return "–"
    return format_number(value) if part.measure == "score" else format_percent(value)


def difference_text(part: AttributionComparison, value: float) -> str:
    """Return a difference of compared values with its sign; of shares in percentage points."""
    return with_sign(format_number(value), value) if part.measure == "score" else points(value)


def with_sign(text: str, value: float) -> str:
    """Return a formatted value with a plus sign if it is positive."""
    return f"+{text}" if value > 0 else text


def points(value: float) -> str:
    """Return a difference of shares in percentage points, with its sign.

    >>> points(0.05), points(-0.2), points(0.00001)
    ('+5.0', '−20.0', '≈ 0')
    """
    text = f"{100 * value:+.1f}".replace("-", "−")
    return "0" if not value else "≈ 0" if text[1:] == "0.0" else text


@lru_cache(maxsize=8)  # one alignment has many targets
def unit_labels(alignment: Alignment) -> tuple[str, ...]:
    """Return a label of each unit: ``good``; ``good → bad``; ``very (removed)``; ``very (added)``.

    The marks are words: a minus before ``2`` would be a number.
    """
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    return tuple(
        f"{printable(first[i], 20)} → {printable(second[j], 20)}"
        if kind == "replaced"
        else marked(printable(second[j] if j >= 0 else first[i], 30), kind)
        for kind, (i, j) in zip(alignment.kinds(), alignment.pairs, strict=True)
    )


def short_unit_labels(alignment: Alignment) -> tuple[str, ...]:
    """Return a one-word label of each unit: ``good``; ``~bad`` for a replacement; ``very (removed)``.

    Two words with an arrow between them would swap places in a right-to-left script.
    """
    first, second = (tokens.labels() for tokens in (alignment.first, alignment.second))
    return tuple(
        marked(("~" if kind == "replaced" else "") + printable(second[j] if j >= 0 else first[i], 12), kind)
        for kind, (i, j) in zip(alignment.kinds(), alignment.pairs, strict=True)
    )


def marked(label: str, kind: str) -> str:
    """Return a label with a word for what is only in one text.

    >>> marked("2", "first only")
    '2 (removed)'
    """
    return f"{label} ({_ONLY[kind]})" if kind in _ONLY else label


def joined_once(texts: Sequence[str]) -> str:
    """Return two texts with an arrow between them, or one if they are the same."""
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} → {texts[1]}"


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list: ``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1]))) if texts else ""
