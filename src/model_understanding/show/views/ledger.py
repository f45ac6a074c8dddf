"""What is drawn of a ledger: its two texts, the difference, and the places that most of it passes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model_understanding.results import Ledger
from model_understanding.results.ledger import PARTS, Part
from model_understanding.show.shared.words import format_number, format_percent, printable
from model_understanding.show.views.ledger_answer import are_the_same, ledger_answer

READING = (
    "All tables split the same difference, each in another way, as it passes block after block: their shares "
    "do not add up. Shares above 100 % are undone by negative ones elsewhere."
)
NOTE = "A ledger splits a joint change; it does not predict the effect of changing one part alone."
_PART_NAMES: dict[Part, str] = {
    "residual": "hidden states (one per token)",
    "attention": "attention outputs",
    "mlp": "MLP outputs",
}
_LENGTH = 30
_SMALL = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """A place in a list of the strongest ones.

    Args:
        place: The place in words.
        value: What of the difference passes there.
        share: Its share of the difference.
    """

    place: str
    value: str
    share: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """A ledger in words.

    Args:
        answer: Where the difference arises, in sentences.
        headline: What was compared, and the difference.
        texts: The text and its reference, each with its name.
        parts: For each part of the model its name and its strongest places.
        heads: The strongest heads.
        facts: How exact the ledger is, and what a reader must know.
    """

    answer: tuple[str, ...]
    headline: str
    texts: tuple[str, ...]
    parts: tuple[tuple[str, tuple[LedgerRow, ...]], ...]
    heads: tuple[LedgerRow, ...]
    facts: tuple[str, ...]


def ledger_view(ledger: Ledger, top: int = 5) -> LedgerView:
    """Return what every output shows of a ledger.

    Args:
        ledger: The ledger.
        top: Number of places in each list.
    """
    difference = ledger.difference
    headline = (
        f"Difference in {printable(ledger.target.description(), 60)}: {format_number(difference)} "
        f"({format_number(ledger.value)} for the text, {format_number(ledger.reference_value)} for the "
        "reference)"
    )
    return LedgerView(
        answer=ledger_answer(ledger, token_name),
        headline=headline,
        texts=_texts(ledger),
        parts=tuple((_PART_NAMES[part], _rows(ledger, part, top)) for part in PARTS),
        heads=_head_rows(ledger, top),
        facts=tuple(_facts(ledger, top)),
    )


def _texts(ledger: Ledger) -> tuple[str, ...]:
    own = f"text: {_text(ledger.tokens.texts)}"
    if are_the_same(ledger):
        return (own,)
    if ledger.baseline is not None:
        return (own, f"reference: its baseline ({ledger.baseline})")
    return (own, f"reference: {_text(ledger.reference_tokens.texts)}")


def _facts(ledger: Ledger, top: int) -> Iterator[str]:
    """Yield how the tables are read, and how exact they are."""
    if not ledger.residual.any():
        return
    yield READING
    if any(token_name(ledger, place) != _own_name(ledger, place) for place in range(len(ledger.tokens))):
        yield "Tokens that differ are named text (reference)."
    used = int(ledger.residual.any(axis=0).sum())
    if used < min(top, len(ledger.tokens)):
        verb = "carries" if used == 1 else "carry"
        yield f"Only {used} of the {len(ledger.tokens)} tokens {verb} any of the difference."
    gap = float(ledger.gaps.max())
    yield (
        "completeness gap below 0.1 %" if gap < _SMALL else f"completeness gap at most {format_percent(gap)}"
    )
    yield NOTE


def token_name(ledger: Ledger, position: int) -> str:
    """Return a token with the one that it is compared with, where they differ: ``good (bad)``."""
    own = _own_name(ledger, position)
    other = printable(ledger.reference_tokens.labels()[position].strip(), _LENGTH)
    return own if own == other or ledger.baseline is not None else f"{own} ({other})"


def _own_name(ledger: Ledger, position: int) -> str:
    return printable(ledger.tokens.labels()[position].strip(), _LENGTH)


def _rows(ledger: Ledger, part: Part, top: int) -> tuple[LedgerRow, ...]:
    return tuple(
        _row(f"{_layer_name(ledger, part, layer)}, at {token_name(ledger, token)}", value, ledger.difference)
        for layer, token, value in _distinct(ledger, part, top)
        if value
    )


def _distinct(ledger: Ledger, part: Part, top: int) -> list[tuple[int, int, float]]:
    """Return the strongest places; of the hidden states at a token, which blocks pass on, only one."""
    values = getattr(ledger, part)
    places = [tuple(place) for place in ledger.strongest(part, max(1, values.size))]
    if part != "residual":
        return places[:top]
    first: dict[int, tuple[int, int, float]] = {}
    for layer, token, value in places:
        first.setdefault(token, (layer, token, value))
    return list(first.values())[:top]


def _layer_name(ledger: Ledger, part: Part, layer: int) -> str:
    if part == "residual":
        return f"entering block {layer}" if layer < ledger.layers else "leaving the last block"
    return f"block {layer}"


def _head_rows(ledger: Ledger, top: int) -> tuple[LedgerRow, ...]:
    if ledger.heads is None:
        return ()
    order = np.argsort(-np.abs(ledger.heads), axis=None, kind="stable")[:top]
    layers, heads = np.unravel_index(order, ledger.heads.shape)
    return tuple(
        _row(f"block {layer}, head {head}", float(ledger.heads[layer, head]), ledger.difference)
        for layer, head in zip(layers, heads, strict=True)
        if ledger.heads[layer, head]
    )


def _row(place: str, value: float, difference: float) -> LedgerRow:
    share = format_percent(value / difference) if difference else "–"
    return LedgerRow(place=place, value=format_number(value), share=share)


def _text(texts: tuple[str, ...]) -> str:
    return printable(" ▸ ".join(filter(None, texts)), 80)
