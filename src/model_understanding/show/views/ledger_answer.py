"""The answer of a ledger in words: where the difference enters, where it ends, and what adds most of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results import Ledger
from model_understanding.show.shared.words import format_number, format_percent, printable
from model_understanding.show.views.difference_map import CANCELING

HALF = 0.5
"""The share of the difference from which a place is named as one that has most of it."""
_COMPLETE = 1e-2  # a cut that leaves more unexplained, as beside a bypassed block, is not read


@dataclass(frozen=True, slots=True)
class _Addition:
    share: float
    words: str


def ledger_answer(ledger: Ledger, token_name: Callable[[Ledger, int], str]) -> tuple[str, ...]:
    """Return where the difference arises, as far as the ledger says it, in sentences.

    A token or an addition is named as the main one only where its share of the difference is at least one
    half; elsewhere the answer says that there is none, with the largest ones.

    Args:
        ledger: The ledger.
        token_name: Returns a token in words.
    """
    if are_the_same(ledger):
        return ("The texts are the same.",)
    what = printable(ledger.target.description(), 60)
    if not ledger.difference:
        return (f"There is no difference in {what}: nothing to split.",)
    entering, size = ledger.residual[0], format_number(ledger.difference)
    if np.abs(entering).sum() > CANCELING * abs(ledger.difference):
        return (
            f"The difference in {what} ({size}) is what is left of contributions that cancel: those of the "
            f"tokens have a total size of {format_number(float(np.abs(entering).sum()))}, so shares of the "
            "difference say little.",
        )

    def name(position: int) -> str:
        return f"“{token_name(ledger, position)}”"

    return (
        f"The difference in {what} ({size}) {_where(entering / ledger.difference, 'enters', name)}.",
        *_end(ledger, name),
        *_additions(ledger, name),
    )


def are_the_same(ledger: Ledger) -> bool:
    """Return whether a text was compared with itself."""
    return ledger.baseline is None and ledger.tokens.texts == ledger.reference_tokens.texts


def _where(shares: Float[np.ndarray, " tokens"], verb: str, name: Callable[[int], str]) -> str:
    order = [int(position) for position in np.argsort(-np.abs(shares), kind="stable") if shares[position]]
    main = [position for position in order if abs(shares[position]) >= HALF][:3]
    if len(main) == 1 and format_percent(float(shares[main[0]])) in ("100 %", "> 99.9 %"):
        return f"{verb} at {name(main[0])}"
    listed = " and ".join(
        f"{name(position)} ({format_percent(float(shares[position]))})" for position in main
    )
    if main:
        return f"{verb} mostly at {listed}"
    largest = ", ".join(
        f"{name(position)} ({format_percent(float(shares[position]))})" for position in order[:3]
    )
    return f"{verb} at many tokens, none with half of it; the largest shares: {largest}"


def _end(ledger: Ledger, name: Callable[[int], str]) -> tuple[str, ...]:
    """Return at which token most of the difference is in the end, and since which block."""
    shares = ledger.residual / ledger.difference
    last = int(np.argmax(shares[-1]))
    if shares[-1, last] < HALF:
        return (f"It {_where(shares[-1], 'leaves the last block', name)}.",)
    sizes = np.maximum(np.abs(shares).sum(1), 1)
    complete = np.abs(shares.sum(1) - 1) <= _COMPLETE * sizes
    before = [state for state in range(ledger.layers + 1) if complete[state] and shares[state, last] < HALF]
    if not before:
        return (f"At least half of it is at {name(last)} in every block.",)
    since = max(before) + 1
    if since == ledger.layers:
        return (f"At least half of it is at {name(last)} only after the last block.",)
    return (f"From block {since} on, at least half of it is at {name(last)}.",)


def _additions(ledger: Ledger, name: Callable[[int], str]) -> tuple[str, ...]:
    """Return the largest addition of attention and of the other sublayers."""
    found = [
        addition
        for part, words in (("attention", "attention in block {}"), ("mlp", "the MLP of block {}"))
        if (addition := _largest(ledger, part, words, name)) is not None
    ]
    found.sort(key=lambda addition: -abs(addition.share))
    main = [addition.words for addition in found if abs(addition.share) >= HALF]
    if main:
        return (f"What adds most: {' and '.join(main)}.",)
    if found:
        return (f"No single addition has half of it; the largest: {found[0].words}.",)
    return ()


def _largest(ledger: Ledger, part: str, words: str, name: Callable[[int], str]) -> _Addition | None:
    shares = getattr(ledger, part) / ledger.difference
    if not shares.size or not shares.any():
        return None
    layer, token = (int(each) for each in np.unravel_index(np.argmax(np.abs(shares)), shares.shape))
    head = _main_head(ledger, layer) if part == "attention" else ""
    share = float(shares[layer, token])
    place = f"{words.format(layer)} at {name(token)} ({format_percent(share)}{head})"
    return _Addition(share, place)


def _main_head(ledger: Ledger, layer: int) -> str:
    """Return the head of a block that adds at least half of the difference, over all tokens."""
    if ledger.heads is None or not ledger.heads.size:
        return ""
    shares = ledger.heads[layer] / ledger.difference
    head = int(np.argmax(np.abs(shares)))
    if abs(shares[head]) < HALF:
        return ""
    return f"; head {head} over all tokens {format_percent(float(shares[head]))}"
