"""What each saliency map of a report says: a question, its answer in one sentence, and the map's verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from model_understanding.results import Attribution, Evaluation, Report
from model_understanding.show.shared.tasks import are_steps
from model_understanding.show.shared.units import TextUnits, default_level, unit_scores
from model_understanding.show.shared.words import printable
from model_understanding.show.views.questions import question
from model_understanding.show.views.saliency import prompt_scores
from model_understanding.show.views.trust import NOT_MEASURED, Trust, trust_of
from model_understanding.tokens import Level

_MOST, _LEAST = 3, 2  # words named for the target, and against it
_NAMED = 0.25  # share of the largest score from which a word is named
_MOSTLY = 0.5  # share of the scores on one side from which the named words are most of it
_LABEL = 48  # characters of a named word, sentence or class


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one saliency map says.

    Args:
        attribution: Index of the attribution; contrasts follow the others.
        first: Index of its first target.
        last: Index of its last target; the map is the sum over targets ``first`` to ``last``.
        title: The question that the map answers, for example ``Why positive?``.
        why: The answer in pieces of a sentence; every second one is a word of the text, to be emphasized.
        level: The level at which the text is best read, and at which the answer names it.
        of_prompt: Whether only words of the prompt count, here and where the map is drawn: the sum over a
            continuation, whose own words depend mostly on those just before them.
        trust: The verdict on the map.
        method: The method of the attribution.
        target: Description of the target, by which evaluations name it.

    >>> reading = Reading(attribution=0, first=0, last=0, title="Why positive?", level="word",
    ...     why=("mostly ", "happy", "; against: ", "thin"), trust=NOT_MEASURED)
    >>> reading.sentence
    'mostly “happy”; against: “thin”'
    """

    attribution: int
    first: int
    last: int
    title: str
    why: tuple[str, ...]
    level: Level
    trust: Trust
    of_prompt: bool = False
    method: str = ""
    target: str = ""

    @property
    def sentence(self) -> str:
        """The answer as plain text."""
        return plain_sentence(self.why)


def plain_sentence(pieces: Sequence[str]) -> str:
    """Return a sentence about words of a text as plain text, with these words in quotes.

    Args:
        pieces: The sentence in pieces, every second one a word of the text.

    >>> plain_sentence(("mostly ", "is", " and ", "“!”"))
    'mostly “is” and “!”'
    """
    return "".join(
        f"“{piece}”" if index % 2 and not piece.startswith("“") else piece
        for index, piece in enumerate(pieces)
    )


def readings(report: Report) -> tuple[Reading, ...]:
    """Return what each map of a report says.

    Args:
        report: The report.

    Returns:
        For each attribution, and for the contrasts after them: where its targets are the steps of a
        continuation, the map of the whole continuation; then the map of each target.
    """
    return tuple(_readings(report))


def main_reading(report: Report) -> Reading | None:
    """Return what the map says that a report opens with: the first of the first attribution, if any."""
    return next(_readings(report), None)


def map_title(evaluation: Evaluation, maps: Sequence[Reading]) -> str:
    """Return the question that the map of an evaluation answers; empty if the report has no such map.

    Args:
        evaluation: The evaluation.
        maps: What each map of the report says.
    """
    named = (evaluation.method, evaluation.target)
    return next((one.title for one in maps if (one.method, one.target) == named), "")


def why_pieces(row: Attribution, level: Level, units: TextUnits | None = None) -> tuple[str, ...]:
    """Return in pieces of a sentence which words the scores of one target name.

    Args:
        row: An attribution of one target.
        level: The level at which words are named.
        units: The units of the text at this level, where there are many rows over one text.

    Returns:
        Plain pieces and, at odd places, words of the text.

    >>> found = Attribution.from_arrays(["happy", "but", "thin"], [3.0, 0.1, -1.0])
    >>> why_pieces(found, "token")
    ('mostly ', 'happy', '; against: ', 'thin')
    """
    units = TextUnits(row.tokens, level) if units is None else units
    groups = units.groups(row.valid[0])
    starts = [group[0] for group in groups]
    scores = unit_scores(row, 0, groups)
    counted = np.logical_or.reduceat(row.valid[0], starts) & ~row.tokens.special[starts]
    peak = float(np.abs(scores[counted]).max(initial=0))
    if not counted.any():
        return ("no word of the text has a score",)
    if peak == 0:
        return ("no word of the text has an effect",)
    labels = [_name(units.label(group)) for group in groups]
    ranked = [int(unit) for unit in np.argsort(-np.abs(scores), kind="stable") if counted[unit]]

    def named(sign: float, count: int) -> tuple[list[str], float]:
        """Return the strongest words on one side, and their share of all scores on it."""
        side = [unit for unit in ranked if sign * scores[unit] > 0]
        strong = list(dict.fromkeys(labels[u] for u in side if abs(scores[u]) >= _NAMED * peak))
        # Punctuation says little in a sentence: it is named only where nothing is stronger.
        words = [word for word in strong if word == strong[0] or any(map(str.isalnum, word))][:count]
        total = sum(abs(scores[unit]) for unit in side)
        share = sum(abs(scores[unit]) for unit in side if labels[unit] in words) / (total or 1)
        return words, share

    words, share = named(1, _MOST)
    lead = "mostly " if share >= _MOSTLY else "spread over the text, most of all "
    if not row.signed:
        return ("most sensitive to ", *_listed(words))
    against, _ = named(-1, _LEAST)
    if not words:
        return ("against: ", *_listed(against), "; nothing in the text clearly supports it")
    return (lead, *_listed(words), *(("; against: ", *_listed(against)) if against else ()))


@lru_cache(maxsize=4096)
def _name(label: str) -> str:
    """Return a word as it stands in a sentence; sentences, punctuation and blanks in quotes."""
    name = printable(label.strip(" ") or label)
    if len(name) > _LABEL:
        name = f"{name[:_LABEL].rpartition(' ')[0] or name[:_LABEL]}…"
    is_word = " " not in name and any(map(str.isalnum, name))
    return name if is_word else f"“{name}”"


def _listed(words: Sequence[str]) -> Iterator[str]:
    """Yield words with what stands between them: words, comma, words, and, words."""
    for index, word in enumerate(words):
        if index:
            yield " and " if index == len(words) - 1 else ", "
        yield word


@dataclass(frozen=True, slots=True)
class MapSpan:
    """Which targets of which attribution a map of a report adds up; see ``Reading``."""

    attribution: int
    first: int
    last: int


def map_spans(report: Report) -> Iterator[MapSpan]:
    """Yield the maps of a report, in the order of ``readings``.

    Args:
        report: The report.
    """
    contrasts = () if report.contrasts is None else (report.contrasts,)
    for index, attribution in enumerate((*report.attributions, *contrasts)):
        last = len(attribution.targets) - 1
        if last > 0 and attribution is not report.contrasts and are_steps(attribution.targets):
            yield MapSpan(index, 0, last)
        for target in range(last + 1):
            yield MapSpan(index, target, target)


def _readings(report: Report) -> Iterator[Reading]:
    contrasts = () if report.contrasts is None else (report.contrasts,)
    attributions = (*report.attributions, *contrasts)
    is_judged: set[str] = set()  # the verdicts that have found their map
    units: dict[int, TextUnits] = {}

    def trust(row: Attribution) -> Trust:
        target = row.targets[0].description()
        for evaluation in report.evaluations:
            if evaluation.verdict is None or target in is_judged:
                continue
            if (evaluation.method, evaluation.target) == (row.method, target):
                is_judged.add(target)
                return trust_of(evaluation)
        return NOT_MEASURED

    for span in map_spans(report):
        attribution = attributions[span.attribution]
        level = default_level(attribution.tokens)
        if span.attribution not in units:
            units[span.attribution] = TextUnits(attribution.tokens, level)
        is_whole = span.last > span.first
        row = prompt_scores(attribution.summed()) if is_whole else attribution.row(span.first)
        yield Reading(
            attribution=span.attribution,
            first=span.first,
            last=span.last,
            title=_whole_title(row) if is_whole else question(report, attribution, span.first),
            why=why_pieces(row, level, units[span.attribution]),
            level=level,
            of_prompt=is_whole,
            trust=trust(row),
            method=row.method,
            target=row.targets[0].description(),
        )


def _whole_title(row: Attribution) -> str:
    return "Why this output?" if row.targets[0].task == "seq2seq-lm" else "Why this answer?"
