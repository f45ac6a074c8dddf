"""Two texts with links: which of their words make them similar, token × token, and what is left over."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results import TokenLinks
from model_understanding.show.shared.units import unit_groups
from model_understanding.show.shared.words import format_number, printable
from model_understanding.show.views.saliency import signed_percent
from model_understanding.tokens import Level, Tokens

_RESTS = {
    "integrated_jacobians": "The rest is what the texts have in common with texts without words.",
    "removals": "The rest is what removing one word of each text does not show.",
}
MAX_LINKS = 12
"""Links that are listed."""
_LABEL = 40  # characters of a label
_MAX_TOKENS = 64  # of a text whose links are drawn word by word; longer ones by sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Two words, one of each text, and what the pair adds to their similarity.

    Args:
        row: Index of the word of the first text.
        column: Index of the word of the second text.
        first: The word of the first text.
        second: The word of the second text.
        score: Its contribution.
        score_text: The contribution as text, with a sign.
        share_text: Its share of all absolute contributions, as text.
        strength: The contribution as a part of the largest, from −1 to 1.
    """

    row: int
    column: int
    first: str
    second: str
    score: float
    score_text: str
    share_text: str
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinksView:
    """Contributions of pairs of words to the similarity of two texts.

    Args:
        title: What is shown.
        first: Words of the first text.
        second: Words of the second text.
        special_first: Which of them are special tokens: not listed, and not on the color scale.
        special_second: Which words of the second text are.
        scores: Contribution of each pair, shape ``(first, second)``; of words, the sum over their tokens.
        peak: The contribution with the full color.
        links: The pairs with the largest absolute contributions, largest first.
        omitted: Number of further pairs that are not 0.
        quantity: What they add up to: ``cosine``.
        sum_text: How the contributions and the rest add up to it.
        notes: Sentences about what the reader sees.
        method: How the contributions were computed.
    """

    title: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    special_first: np.ndarray
    special_second: np.ndarray
    scores: Float[np.ndarray, "first second"]
    peak: float
    links: tuple[Link, ...]
    omitted: int
    quantity: str
    sum_text: str
    notes: tuple[str, ...]
    method: str


def links_view(links: TokenLinks, level: Level | None = None) -> LinksView:
    """Return the links of two texts, word by word.

    Args:
        links: The contributions of pairs of tokens.
        level: What is linked; by default words, or the sentences of long texts.
    """
    groups = [
        unit_groups(tokens, _level(tokens) if level is None else level)
        for tokens in (links.first, links.second)
    ]
    scores = _joined(links.scores.astype(np.float64), groups[0], groups[1])
    names, special = zip(
        *(_names(tokens, of) for tokens, of in zip((links.first, links.second), groups, strict=True)),
        strict=True,
    )
    words = ~special[0][:, None] & ~special[1][None, :]
    sizes = np.where(words, np.abs(scores), 0)
    peak = float(sizes.max(initial=0)) or float(np.abs(scores).max(initial=0)) or 1.0
    total = float(np.abs(scores).sum()) or 1.0
    order = [int(cell) for cell in np.argsort(-sizes, axis=None, kind="stable") if sizes.flat[cell]]
    width = len(names[1])
    found = tuple(_link(*divmod(cell, width), scores, names, peak, total) for cell in order[:MAX_LINKS])
    of_special = float(scores[~words].sum())
    return LinksView(
        title="Which words link the texts",
        first=names[0],
        second=names[1],
        special_first=special[0],
        special_second=special[1],
        scores=scores,
        peak=peak,
        links=found,
        omitted=len(order) - len(found),
        quantity=printable(links.quantity, 40),
        sum_text=_sum_text(links),
        notes=(
            *(
                [f"Pairs with a special token add {format_number(of_special)}; they are not listed."]
                if of_special
                else []
            ),
            *([_RESTS[links.method]] if links.rest and links.method in _RESTS else []),
        ),
        method=printable(links.method, 120),
    )


def _sum_text(links: TokenLinks) -> str:
    gap = f" + completeness gap {format_number(links.gap)}" if links.gap else ""
    return (
        f"sum of all pairs {format_number(links.total)} + rest {format_number(links.rest)}{gap} = "
        f"{printable(links.quantity, 40)} {format_number(links.similarity)}"
    )


def _level(tokens: Tokens) -> Level:
    many = int((~tokens.special).sum()) > _MAX_TOKENS
    return "sentence" if many and len(tokens.groups("sentence")) > 3 else "word"


def _joined(
    scores: np.ndarray, rows: tuple[tuple[int, ...], ...], columns: tuple[tuple[int, ...], ...]
) -> np.ndarray:
    """Return contributions summed over groups of neighboring tokens of both texts."""
    if not scores.size:
        return scores
    by_row = np.add.reduceat(scores, [group[0] for group in rows], axis=0)
    return np.add.reduceat(by_row, [group[0] for group in columns], axis=1)


def _names(tokens: Tokens, groups: tuple[tuple[int, ...], ...]) -> tuple[tuple[str, ...], np.ndarray]:
    folded = tokens.fold(groups)
    return tuple(printable(label, _LABEL) for label in folded.labels()), folded.special


def _link(
    row: int, column: int, scores: np.ndarray, names: tuple[tuple[str, ...], ...], peak: float, total: float
) -> Link:
    score = float(scores[row, column])
    return Link(
        row=row,
        column=column,
        first=names[0][row],
        second=names[1][column],
        score=score,
        score_text=f"+{format_number(score)}" if score > 0 else format_number(score),
        share_text=signed_percent(score / total, signed=True),
        strength=score / peak,
    )
