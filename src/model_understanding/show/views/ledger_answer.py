"""The answer of a ledger in words: what differs, where it enters, where it ends, and what adds most of it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

import numpy as np
from jaxtyping import Float

from model_understanding.results import Ledger
from model_understanding.show.shared.words import format_number, format_percent, printable
from model_understanding.show.views.difference_map import CANCELING

HALF = 0.5
"""The share of the difference from which a place is named as one that has most of it."""
_NEARLY_ALL = 0.1  # a share this near to 1 is said to be all of the difference
_MUCH = 10  # times as likely: much more likely
_EXCERPT = 40  # characters of a text from where it differs; a longer rest is “the text”
_COMPLETE = 1e-2  # a cut that leaves more unexplained, as beside a bypassed block, is not read


@dataclass(frozen=True, slots=True)
class _Addition:
    share: float
    words: str


def ledger_answer(ledger: Ledger, token_name: Callable[[Ledger, int], str]) -> tuple[str, ...]:
    """Return what differs and where that arises, as far as the ledger says it, in sentences.

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
    likely = _likelier(ledger)
    first = likely or _higher(ledger)
    called = f"The difference in {what} ({format_number(ledger.difference)})" if likely else "This difference"
    entering = ledger.residual[0]
    if np.abs(entering).sum() > CANCELING * abs(ledger.difference):
        return (
            first,
            f"{called} is what is left of contributions that cancel: those of the "
            f"tokens have a total size of {format_number(float(np.abs(entering).sum()))}, so shares of the "
            "difference say little.",
        )

    def name(position: int) -> str:
        return f"“{token_name(ledger, position)}”"

    return (
        first,
        f"{called} {_where(entering / ledger.difference, 'enters the model', name)}.",
        *_end(ledger, name),
        *_additions(ledger, name),
    )


def are_the_same(ledger: Ledger) -> bool:
    """Return whether a text was compared with itself."""
    return ledger.baseline is None and ledger.tokens.texts == ledger.reference_tokens.texts


def reference_words(ledger: Ledger) -> str:
    """Return what the reference's value is of: of a loss, the tokens stay those of the text."""
    if ledger.baseline is not None:
        return "its baseline"
    if ledger.target.quantity == "loss":
        return "the text's tokens after those of the reference"
    return "the reference"


def _higher(ledger: Ledger) -> str:
    """Return by how much the target differs."""
    what, size = printable(ledger.target.description(), 60), format_number(abs(ledger.difference))
    direction = "higher" if ledger.difference > 0 else "lower"
    return f"The {what} is {size} {direction} for the text than for {reference_words(ledger)}."


def _likelier(ledger: Ledger) -> str:
    """Return which text makes an answer likelier; empty where the target is no probability of one answer."""
    target = ledger.target
    if target.quantity not in ("prob", "log_prob") or len(target.labels) != 1 or target.against:
        return ""
    values = (ledger.value, ledger.reference_value)
    own, other = (min(exp(value), 1.0) if target.quantity == "log_prob" else value for value in values)
    shown, other_shown = format_percent(own), format_percent(other)
    if shown == other_shown:
        return ""
    much = "much " if max(own, other) >= _MUCH * min(own, other) else ""
    direction = "more" if own > other else "less"
    label = printable(target.labels[0].strip() or target.labels[0], 30)
    excerpts = _excerpts(ledger)
    after, than = excerpts or ("for the text", f"for {reference_words(ledger)}")
    return f"“{label}” is {much}{direction} likely {after} ({shown}) than {than} ({other_shown})."


def _excerpts(ledger: Ledger) -> tuple[str, str] | None:
    """Return both texts from the word where they part, if the answer is the token that follows them."""
    sides = (ledger.tokens, ledger.reference_tokens)
    ends = ledger.target.positions == (len(ledger.tokens) - 1,)
    if ledger.baseline is not None or not ends or any(len(tokens.texts) != 1 for tokens in sides):
        return None
    words, others = (tokens.texts[0].split() for tokens in sides)
    same = next((at for at, (a, b) in enumerate(zip(words, others, strict=False)) if a != b), None)
    if same is None:  # one text is the beginning of the other
        return None
    rests = [" ".join(["…"] * (same > 0) + each[same:]) for each in (words, others)]
    if any(len(rest) > _EXCERPT for rest in rests):
        return None
    return f"after “{printable(rests[0], 60)}”", f"after “{printable(rests[1], 60)}”"


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
    since = max(before, default=-1) + 1
    share = format_percent(float(shares[-1, last]))
    if since == ledger.layers:
        return (f"Only after the last block it is at {name(last)} ({share}).",)
    there = shares[since:, last][complete[since:]]
    is_all = bool(np.all(np.abs(there - 1) <= _NEARLY_ALL))
    when = f"From block {since} on" if before else "In every block"
    most = "it is" if is_all else "at least half of it is"
    return (f"{when}, {most} at {name(last)} ({share} after the last block).",)


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
