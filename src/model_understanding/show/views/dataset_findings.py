"""What a reader of a run over a data set must know first: what it relies on, its errors, its faithfulness."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model_understanding.results.dataset_summary import (
    Confusion,
    DatasetSummary,
    ErrorSlice,
    OverusedWord,
    Shortcut,
    WordEffect,
)
from model_understanding.show.shared.words import format_percent, printable
from model_understanding.show.views.dataset_words import counted, in_quotes, short
from model_understanding.statistics import wilson_interval

_NAMED_WORDS, _NAMED_ANSWERS = 3, 3
_FIRST_WORDS = 10  # of an answer, of which some are named
_ENOUGH_TEXTS = 5  # with a word that is named
_CLEARLY = 0.4  # of the largest of their effects, which a named word must have

Finding = tuple[str, ...]
"""A sentence in pieces; every second piece is a word or a label."""


@dataclass(frozen=True, slots=True)
class Topic:
    """Sentences about one thing.

    Args:
        name: What they are about; empty if they say it themselves.
        findings: The sentences.
    """

    name: str
    findings: tuple[Finding, ...]


def topics(summary: DatasetSummary) -> tuple[Topic, ...]:
    """Return what a reader must know first: what the model relies on, its errors, and how far to believe it.

    What a test of cause and effect gives and what goes with an answer are sentences of their own.
    """
    searched = [(printable(note, 400),) for note in summary.error_notes]
    every = (
        Topic("Relies on", (_shortcut_finding(summary.shortcuts), _word_finding(summary))),
        Topic(
            "Errors",
            (
                _mistake_finding(summary.confusion),
                _overused_finding(summary.overused),
                _slice_finding(summary.slices),
                *searched,
            ),
        ),
        Topic("Faithfulness", (_trust_finding(summary),)),
    )
    kept = (Topic(one.name, tuple(filter(None, one.findings))) for one in every)
    return tuple(topic for topic in kept if topic.findings)


def findings(summary: DatasetSummary) -> tuple[Finding, ...]:
    """Return the sentences of all topics."""
    return tuple(finding for topic in topics(summary) for finding in topic.findings)


def _mistake_finding(confusion: Confusion | None) -> Finding:
    """Return which classes are confused most often."""
    if confusion is None or (wrong := confusion.labeled - confusion.right) < 2:
        return ()
    count, row, column = max(
        (count, -row, -column)
        for row, counts in enumerate(confusion.counts)
        for column, count in enumerate(counts)
        if row != column
    )
    if count < 2:
        return ()
    label, answer = short(confusion.labels[-row]), short(confusion.labels[-column])
    which = f"All {wrong:,}" if count == wrong else f"{count:,} of {wrong:,}"
    return (f"{which} wrong answers are to texts labeled ", label, ": the model answers ", answer, ".")


def _trust_finding(summary: DatasetSummary) -> Finding:
    """Return how far the scores of the words are to be believed."""
    trust = summary.trust
    if trust is None:
        return ("Not evaluated.",) if any(answer.words for answer in summary.answers) else ()
    if not trust.rows:
        return ("No row of the sample could be evaluated.",)
    low, high = map(format_percent, trust.interval)
    supported, share = trust.verdicts.get("supported", 0), format_percent(trust.supported)
    sampled = "row" if trust.sampled == summary.rows - summary.failed else "sampled row"
    finding = (
        f"In {supported:,} of {counted(trust.rows, sampled)} ({share}; 95 % interval {low} to {high}), the "
        "scores predict what removing words does to the answer."
    )
    is_doubtful = trust.interval[1] < 0.5
    return (f"{finding} Do not rely on the words above." if is_doubtful else finding,)


def _overused_finding(overused: Sequence[OverusedWord] | None) -> Finding:
    """Return the word with which an answer is given more often than is right."""
    if not overused:
        return ()
    first = overused[0]
    return (
        "With ",
        in_quotes(first.word),
        " in a text, the model answers ",
        short(first.label),
        f" more often than is right: in {format_percent(first.answered_share)} of these rows; "
        f"{format_percent(first.labeled_share)} are labeled so.",
    )


def _shortcut_finding(shortcuts: tuple[Shortcut, ...] | None) -> Finding:
    if not shortcuts:
        return ()
    confirmed = [shortcut for shortcut in shortcuts if shortcut.confirmed]
    if not confirmed and len(shortcuts) == 1:
        return ("The tested word does not decide an answer by itself.",)
    if not confirmed:
        return (f"None of {len(shortcuts):,} tested words decides an answer by itself.",)
    first_of: dict[str | None, Shortcut] = {}
    for shortcut in confirmed:
        first_of.setdefault(shortcut.word.label, shortcut)
    named = list(first_of.values())[:_NAMED_ANSWERS]
    pieces: list[str] = ["Inserting "]
    for place, shortcut in enumerate(named):
        causal, label = shortcut.inserted, short(shortcut.word.label)
        if place:
            pieces[-1] += "; "
        rates = f"{causal.flips:,} of {causal.trials:,} other texts to "
        control = f" (control words: {causal.control_flips:,} of {causal.control_trials:,})"
        pieces += [in_quotes(shortcut.word.word), f" changes the answer of {rates}", label, control]
    pieces[-1] += "."
    if more := len(confirmed) - len(named):
        does = "changes answers by itself" if more == 1 else "change answers by themselves"
        pieces[-1] += f" {counted(more, 'more word')} also {does}."
    return tuple(pieces)


def _word_finding(summary: DatasetSummary) -> Finding:
    answers = sorted((answer for answer in summary.answers if answer.rows), key=lambda answer: -answer.rows)
    if not answers:
        return ()
    total = sum(answer.rows for answer in answers)
    frequent = [(answer, _frequent(answer.words)) for answer in answers]
    if not any(words for _, words in frequent):
        return ("No word is in enough rows to say.",)
    if not summary.signed:  # an important word may oppose the answer
        frequent = [
            (answer, [word for word in words if goes_with_answer(word, answer.rows / total)])
            for answer, words in frequent
        ]
    pieces: list[str] = ["Most important words: " if not summary.signed else "Strongest words: "]
    for answer, words in [(answer, words) for answer, words in frequent if words][:_NAMED_ANSWERS]:
        if len(pieces) > 1:
            pieces[-1] += "; "
        for place, effect in enumerate(named(_apart(words), summary.signed)):
            if place:
                pieces[-1] += ", "
            pieces += [in_quotes(name_of(effect)), ""]
        if answer.label is not None:
            pieces[-1] += f" ({short(answer.label)})"
    if len(pieces) == 1:
        return ("No important word goes with one answer more often than other words do.",)
    pieces[-1] += "."
    return tuple(pieces)


def _frequent(words: Iterable[WordEffect]) -> list[WordEffect]:
    """Return the words that are in enough different texts to be named first."""
    return [word for word in words if texts_of(word) >= _ENOUGH_TEXTS]


def _apart(words: Iterable[WordEffect]) -> list[WordEffect]:
    """Return words without those that are in the very same rows as one before them."""
    first_of: dict[str, WordEffect] = {}
    for word in words:
        first_of.setdefault(name_of(word), word)
    return list(first_of.values())


def name_of(word: WordEffect) -> str:
    """Return what is said for a word: of those that are in the very same rows, what names them best."""
    return word.tied[0] if word.tied else word.word


def texts_of(word: WordEffect) -> int:
    """Return how many different texts of an answer have a word."""
    return word.texts or word.rows


def goes_with_answer(word: WordEffect, share: float) -> bool:
    """Return whether rows with a word get its answer more often than all rows do, beyond chance.

    Args:
        word: The word.
        share: Share of all rows that get the answer.
    """
    if word.answer_share is None:  # of a language model
        return True
    texts = texts_of(word)
    return wilson_interval(texts, max(texts, round(texts / max(word.answer_share, 1e-9))))[0] > share


def _slice_finding(slices: tuple[ErrorSlice, ...] | None) -> Finding:
    if not slices:
        return ()
    first = slices[0]
    verb = "has" if first.errors == 1 else "share"
    pieces: list[str] = [f"{counted(first.errors, 'confident error')} {verb} "]
    for index, word in enumerate(first.words[:_NAMED_WORDS]):
        if index:
            pieces[-1] += ", "
        pieces += [in_quotes(word), ""]
    pieces[-1] += f": {mistake(first)}."
    return tuple(pieces)


def mistake(slice_: ErrorSlice) -> str:
    """Return how the rows of a group of errors are wrong."""
    if slice_.label is None:
        return "wrong in several classes"
    return f"labeled {short(slice_.label)}, answered {short(slice_.prediction)}"


def common_words(slice_: ErrorSlice) -> str:
    """Return in which way the words of a group of errors are common to it."""
    if slice_.found_by == "presence":
        return "found by presence: more of these errors than right rows have the words, whatever their scores"
    return "found by scores: the words matter in more of these errors than of right rows"


def named(words: Iterable[WordEffect], signed: bool) -> list[WordEffect]:
    """Return the words of an answer that are named first, in the order of the summary.

    Words that support the answer, or all if none does. A word that is hardly above others, which frequent
    words such as ``and`` can be with certainty, is named only where no word is clearly above it.

    Args:
        words: The words of an answer.
        signed: Whether they have effects; else importances, of which 1 is an average word's.
    """
    every, average = list(words), 0.0 if signed else 1.0
    kept = [effect for effect in every if effect.effect > 0] or every
    sizes = [abs(effect.effect - average) for effect in kept[:_FIRST_WORDS]]
    least = _CLEARLY * max(sizes, default=0.0)
    return [effect for effect, size in zip(kept, sizes, strict=False) if size >= least][:_NAMED_WORDS]
