"""What is drawn of the difference between two models on one text."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model_understanding.results import ModelDiff, ModelDiffSummary, ModuleChange, Restoration
from model_understanding.results.target import QUANTITY_NAMES
from model_understanding.show.shared.modules import module_words
from model_understanding.show.shared.words import format_number, format_percent, model_name, printable
from model_understanding.show.views.difference_map import CANCELING, share_text

HOW_TO_READ = (
    "Both models read the same text. What the maps show is by how much the changed weights of each module "
    "make the target's value differ between them, and at which token; together they make all of the "
    "difference, apart from rounding.",
    "A module's contribution is what its changed weights change of its output, at the mean of its inputs in "
    "both models, times how much of the difference that output passes on.",
    "Shares above 100 % are undone by negative ones elsewhere.",
    "A diff splits a joint change: all weights change together. It does not predict the effect of changing "
    "one module alone; restoring modules (restore=, --restore) measures what the largest ones do.",
)
NOTE = "A diff splits a joint change; it does not predict the effect of changing one module alone."
HALF = 0.5
"""The share of the difference from which a module or token is named as one that has most of it."""
_LENGTH = 30
_SMALL = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRow:
    """A module or token in a list of those with the largest values.

    Args:
        name: The module or token.
        value: What of the difference it makes.
        share: Its share of the difference.
        at: The token at which most of a module's value arises; empty if there is no such token.
    """

    name: str
    value: str
    share: str
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDiffView:
    """The difference between two models in words.

    Args:
        answer: What the difference is and which modules make it, in sentences.
        headline: The target's value in both models.
        texts: The text, and what was compared.
        modules: The modules with the largest values.
        tokens: The tokens with the largest values, over all modules.
        facts: How exact the diff is, and what a reader must know.
    """

    answer: tuple[str, ...]
    headline: str
    texts: tuple[str, ...]
    modules: tuple[DiffRow, ...]
    tokens: tuple[DiffRow, ...]
    facts: tuple[str, ...]


def model_diff_view(diff: ModelDiff, top: int = 8) -> ModelDiffView:
    """Return what every output shows of a diff.

    Args:
        diff: The diff.
        top: Number of rows in each list.
    """
    first, second = model_names(diff)
    what = printable(diff.target.description(), 60)
    return ModelDiffView(
        answer=tuple(_answer(diff)),
        headline=(
            f"{what}: {format_number(diff.value)} in {first}, {format_number(diff.other_value)} in {second}"
        ),
        texts=(f"text: {printable(' ▸ '.join(filter(None, diff.tokens.texts)), 80)}", *_answers(diff)),
        modules=tuple(_module_row(diff, index) for index in _order(_values(diff))[:top]),
        tokens=tuple(_token_rows(diff, top)),
        facts=tuple(_facts(diff)),
    )


def model_names(diff: ModelDiff | ModelDiffSummary) -> tuple[str, str]:
    """Return what both models are called."""
    names = printable(diff.provenance.model, 40), printable(diff.other.model, 40)
    return names if names[0] != names[1] else ("the first model", "the other model")


def restoration_text(restored: Restoration, changed: int) -> str:
    """Return what restoring modules brought back, in one sentence.

    Args:
        restored: What came back.
        changed: Number of modules that have other weights.
    """
    count = len(restored.modules)
    if count == changed and not restored.random_shares:
        which = (
            "the only changed module" if count == 1 else f"all {count} changed modules, there are no more,"
        )
        return f"Restoring {which} brings back {format_percent(restored.share)} of the difference."
    which = (
        "the module with the largest value" if count == 1 else f"the {count} modules with the largest values"
    )
    median = float(np.median(restored.random_shares)) if restored.random_shares else 0.0
    draws = len(restored.random_shares)
    as_many = "one random module" if count == 1 else f"{count} random modules"
    return (
        f"Restoring {which} brings back {format_percent(restored.share)} of the difference; restoring "
        f"{as_many}, {format_percent(median)} (median of {draws} draws)."
    )


def _answer(diff: ModelDiff) -> Iterator[str]:
    what = printable(diff.target.in_a_sentence(), 100)
    if not diff.modules:
        yield "No weights differ in what this answer is computed from: the models answer the same."
        return
    difference = diff.difference
    if not difference:
        yield f"The {what} is the same in both models: nothing to split."
        return
    verb = "rises" if difference > 0 else "drops"
    moved = f"The {what} {verb} by {format_number(abs(difference))}"
    values = _values(diff)
    total = float(np.abs(values).sum())
    if total > CANCELING * abs(difference):
        yield (
            f"{moved}: what is left of contributions that cancel. Those of the modules have a total size of "
            f"{format_number(total)}, so shares of the difference say little."
        )
    else:
        main, *others = _main_modules(diff, values / difference)
        yield f"{moved}; {main}."
        yield from others
        yield from _main_place(diff)
    if diff.restored is not None:
        yield restoration_text(diff.restored, len(diff.modules))


def _main_modules(diff: ModelDiff, shares: np.ndarray) -> Iterator[str]:
    """Yield which module has most of the difference, as a part of a sentence, then which ones come next."""
    order = [index for index in np.argsort(-shares, kind="stable") if shares[index] > 0]
    if not order:
        yield "no module has a share of it"
        return
    main = order[0]
    place = main_token(diff, main)
    where = f", mostly at {place}" if place else ""
    share = format_percent(float(shares[main]))
    if shares[main] >= HALF:
        share = "all" if len(diff.modules) == 1 else share
        yield f"{share} of it comes from {_words(diff.modules[main])}{where}"
        return
    yield f"the largest share, {share}, comes from {_words(diff.modules[main])}{where}"
    half = int(np.searchsorted(np.cumsum(shares[order]), HALF)) + 1
    listed = ", ".join(
        f"{_words(diff.modules[index])} ({format_percent(float(shares[index]))})" for index in order[1:3]
    )
    following = f" The next ones: {listed}." if listed else ""
    yield f"No single module has half of it; the {half} largest together do.{following}"


def _main_place(diff: ModelDiff) -> Iterator[str]:
    """Yield at which token at least half of the difference arises over all modules, if there is one."""
    if len(diff.modules) == 1:
        return
    shares = diff.at_tokens.sum(0, dtype=np.float64) / diff.difference
    main = int(np.argmax(shares)) if shares.size else -1
    if main >= 0 and shares[main] >= HALF:
        token, share = token_in_quotes(diff, main), format_percent(float(shares[main]))
        yield f"Over all modules, {share} of it arises at {token}."


def _words(change: ModuleChange) -> str:
    return printable(module_words(change.name, change.layer), 60)


def gap_words(diff: ModelDiff) -> str:
    """Return how much of the difference the modules leave unexplained."""
    if diff.gap < _SMALL:
        return "completeness gap below 0.1 %"
    return f"completeness gap {format_percent(diff.gap)}"


def origin(result: ModelDiff | ModelDiffSummary) -> str:
    """Return what a page is of, in a few words."""
    names = " → ".join(filter(None, (model_name(result.provenance), model_name(result.other))))
    return " · ".join(filter(None, ("difference between two models", names)))


def answers_of(diff: ModelDiff) -> tuple[str, str]:
    """Return what each model answers, in one line each; empty if that is not known."""
    answers = diff.answers or ("", "")
    stripped = [answer.strip() or answer for answer in answers]
    if stripped[0] == stripped[1]:  # tokens may differ in a blank alone
        stripped = list(answers) if answers[0] != answers[1] else stripped
    return printable(stripped[0], _LENGTH), printable(stripped[1], _LENGTH)


def _answers(diff: ModelDiff) -> Iterator[str]:
    if diff.answers is None:
        return
    first, second = answers_of(diff)
    names = model_names(diff)
    if diff.answers[0] == diff.answers[1]:
        yield f"both models answer “{first}”"
    else:
        yield f"{names[0]} answers “{first}”, {names[1]} “{second}”"


def _values(diff: ModelDiff) -> np.ndarray:
    return np.array([change.value for change in diff.modules])


def _order(values: np.ndarray) -> list[int]:
    return [int(index) for index in np.argsort(-np.abs(values), kind="stable") if values[index]]


def _module_row(diff: ModelDiff, index: int) -> DiffRow:
    change = diff.modules[index]
    return DiffRow(
        name=printable(change.name, 60),
        value=format_number(change.value),
        share=share_text(change.value, diff.difference),
        at=main_token(diff, index),
    )


def _token_rows(diff: ModelDiff, top: int) -> Iterator[DiffRow]:
    """Yield the tokens with the largest values over all modules, and what arises at no single token."""
    if not diff.modules:
        return
    values = diff.at_tokens.sum(0, dtype=np.float64)
    for index in _order(values)[:top]:
        value = float(values[index])
        yield DiffRow(
            name=token_in_quotes(diff, index),
            value=format_number(value),
            share=share_text(value, diff.difference),
        )
    rest = float(
        sum(change.value for change, row in zip(diff.modules, diff.at_tokens, strict=True) if not row.any())
    )
    if rest:
        name = "at no single token"
        yield DiffRow(name=name, value=format_number(rest), share=share_text(rest, diff.difference))


def main_token(diff: ModelDiff, index: int) -> str:
    """Return, in quotes, the token at which at least half of a module's value arises, if there is one."""
    row, value = diff.at_tokens[index], diff.modules[index].value
    if not row.any() or not value:
        return ""
    place = int(np.argmax(row / value))
    return token_in_quotes(diff, place) if row[place] / value >= HALF else ""


def token_in_quotes(diff: ModelDiff, position: int) -> str:
    """Return a token in quotes."""
    return f"“{printable(diff.tokens.labels()[position].strip(), _LENGTH)}”"


def _facts(diff: ModelDiff) -> Iterator[str]:
    if not diff.modules:
        return
    count = len(diff.modules)
    if diff.unchanged:
        changed = "1 module has" if count == 1 else f"{count} modules have"
        yield f"{changed} other weights; in {diff.unchanged} they are the same"
    else:
        changed = "the one module" if count == 1 else f"all {count} modules"
        has = "has" if count == 1 else "have"
        yield f"{changed} that the answer is computed from {has} other weights"
    yield gap_words(diff)
    yield NOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanRow:
    """A module in the list of those with the largest mean shares.

    Args:
        name: The module.
        share: The mean magnitude of its shares.
        interval: The interval of that mean; empty for a single text.
        signed: The mean of its shares with their signs.
    """

    name: str
    share: str
    interval: str
    signed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDiffSummaryView:
    """The differences between two models over many texts in words.

    Args:
        answer: How large the differences are and which modules make them, in sentences.
        modules: The modules with the largest mean shares.
        facts: How the shares are to be read.
    """

    answer: tuple[str, ...]
    modules: tuple[MeanRow, ...]
    facts: tuple[str, ...]


def model_diff_summary_view(summary: ModelDiffSummary, top: int = 8) -> ModelDiffSummaryView:
    """Return what every output shows of a summary of diffs.

    Args:
        summary: The summary.
        top: Number of modules.
    """
    return ModelDiffSummaryView(
        answer=tuple(_summary_answer(summary)),
        modules=tuple(
            MeanRow(
                name=printable(module_words(module.name, module.layer), 60),
                share=format_percent(module.share),
                interval=_interval(module.share_interval),
                signed=format_percent(module.signed_share),
            )
            for module in summary.modules[:top]
        ),
        facts=tuple(_summary_facts(summary)),
    )


def _summary_answer(summary: ModelDiffSummary) -> Iterator[str]:
    what = QUANTITY_NAMES.get(summary.quantity, summary.quantity)
    texts = "1 text" if summary.texts == 1 else f"{summary.texts} texts"
    if not summary.modules:
        yield f"No weights differ in what the answers to {texts} are computed from."
        return
    is_one = summary.texts == 1
    if is_one:
        verb = "drops" if summary.difference < 0 else "rises"
        yield (
            f"Only one text was compared: on text {summary.largest_text + 1}, the answer's {what} {verb} by "
            f"{format_number(summary.size)}."
        )
    else:
        yield (
            f"Over {texts}, the answer's {what} changes by {format_number(summary.size)} on average (signed "
            f"mean {format_number(summary.difference)}; largest {format_number(summary.largest)}, on text "
            f"{summary.largest_text + 1})."
        )
    if summary.changed_answers:
        on = "" if is_one else f" on {summary.changed_answers} of them"
        yield f"The models answer differently{on}."
    main = summary.modules[0]
    words, share = printable(module_words(main.name, main.layer), 60), format_percent(main.share)
    yield f"The largest {'share' if is_one else 'mean share'}, {share}, comes from {words}."
    if summary.restored is not None:
        back = f"brings back {format_percent(summary.restored)} of the difference{'' if is_one else 's'}"
        if summary.restored_at_random is None:
            yield f"Restoring all changed modules {back}."
        else:
            at_random = format_percent(summary.restored_at_random)
            yield (
                f"Restoring the modules with the largest values {back}; as many random modules, {at_random}."
            )


def _summary_facts(summary: ModelDiffSummary) -> Iterator[str]:
    if not summary.modules:
        return
    yield (
        "A share is a module's part of what all modules add and take away on a text; signed shares are "
        "positive where it raises the value."
    )
    if summary.texts == 1:
        yield "A 95 % interval needs at least two texts."
    if summary.failed:
        failed = "1 text" if summary.failed == 1 else f"{summary.failed} texts"
        yield f"{failed} could not be compared."
    yield (
        "completeness gap below 0.1 %"
        if summary.gap < _SMALL
        else f"gap at most {format_percent(summary.gap)}"
    )
    yield NOTE


def _interval(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return ""
    low, high = (format_percent(min(max(0.0, end), 1.0)) for end in interval)
    return f"{low} – {high}"
