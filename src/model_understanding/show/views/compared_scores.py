"""The scores of two attributions over aligned words: what is drawn, in which order, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from model_understanding.comparison import Alignment, AttributionComparison, Comparison
from model_understanding.results import Attribution, Report
from model_understanding.results.target import LANGUAGE_TASKS, QUANTITY_NAMES
from model_understanding.show.shared.tasks import are_steps
from model_understanding.show.shared.words import (
    explained_name,
    format_number,
    format_percent,
    method_name,
    printable,
)
from model_understanding.show.views.compared_words import (
    NEUTRAL,
    Change,
    difference_text,
    joined_once,
    unit_labels,
    value_text,
)
from model_understanding.show.views.questions import target_names
from model_understanding.show.views.reading import plain_sentence, why_pieces
from model_understanding.show.views.trust import NOT_MEASURED, Trust, trust_of

LARGEST = 5
"""Differences that are listed beside the texts."""
WHOLE_ANSWER = "whole answer"
_MEASURES = {
    "score": "Raw scores are compared",
    "share": "Shares of the total |score| are compared",
    "size": "Absolute shares of the total |score| are compared",
}
_NAMED = 0.25  # part of the largest difference from which a word is named
_MOST, _AGAINST = 3, 2  # words named that go with the change of the answer, and that go against it
_SMALL_CHANGE = 0.005  # of a probability or log-probability, below which nothing changed that asks for a why
_BOUNDS = (1e-5, 1e-4, 1e-3, 1e-2, NEUTRAL)  # parts of the largest score that differences stay below
_LARGEST = "Largest changes: "
_LABEL = 48  # characters of a named word
Pieces = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreUnit:
    """A word or token of the two texts with both values.

    Args:
        index: Index of the unit.
        text: Its text; of a replaced word, the second.
        replaced: The text that it replaces; empty for none.
        label: Both, with what became of it: ``good``, ``good → bad``, ``very (removed)``, ``very (added)``.
        kind: ``same``, ``replaced``, ``first only`` or ``second only``.
        special: Whether it is a special token, which has no color and is not listed.
        first: The first value; ``None`` for none.
        second: The second value; ``None`` for none.
        change: The second value minus the first; a unit that is only in one text counts with its whole value.
        strength: The change as part of the color scale, from −1 to 1; 0 if it is no difference.
        first_text: The first value as text, ``–`` for none.
        second_text: The second value as text, ``–`` for none.
        change_text: The change as text, with its sign.
    """

    index: int
    text: str
    replaced: str
    label: str
    kind: str
    special: bool
    first: float | None
    second: float | None
    change: float
    strength: float
    first_text: str
    second_text: str
    change_text: str

    @property
    def formatted(self) -> Change:
        """The unit as a row of a table."""
        return Change(
            label=self.label,
            first=self.first_text,
            second=self.second_text,
            difference=self.change_text,
            size=self.change,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresView:
    """Both attributions of one pair of targets, or of the sum of several pairs.

    Args:
        part: The comparison of the rows of which one is shown.
        row: Index of the row.
        units: The units, in reading order.
        full: The value and the difference with the full color: the largest of all.
        largest: The units with the largest differences, largest first, at most ``LARGEST``.
        why: What the differences say, in pieces of a sentence; every second one is a word of the texts.
        agreement: Agreement of the rankings.
        trust: The verdict on the map of each report.
    """

    part: AttributionComparison
    row: int
    units: tuple[ScoreUnit, ...]
    full: float
    largest: tuple[ScoreUnit, ...]
    why: Pieces
    agreement: str
    trust: tuple[Trust, Trust]

    @property
    def sentence(self) -> str:
        """What the differences say, as plain text with the words of the texts in quotes."""
        return plain_sentence(self.why)

    @property
    def is_same(self) -> bool:
        """Whether no unit has a difference that counts."""
        return not self.largest


def attribution_title(part: AttributionComparison) -> str:
    """Return the target of both attributions, as in ``Saliency: logit of positive``."""
    return f"Saliency: {joined_once([explained_name(part.first), explained_name(part.second)])}"


def attribution_methods(part: AttributionComparison) -> str:
    """Return the methods of both attributions."""
    return joined_once([method_name(part.first), method_name(part.second)])


def measure_sentence(part: AttributionComparison) -> str:
    """Return what is compared, and why it is not the raw scores."""
    reasons = "; ".join(printable(reason, 160) for reason in part.reasons)
    text = f"{_MEASURES[part.measure]}{f': {reasons}' if reasons else ''}"
    if not part.opposite:
        return text
    first, second = (target_names(None, side)[0] for side in (part.first, part.second))
    return (
        f"{text}. What opposes {second} supports {first}, the other of two classes: the signs of the second "
        "report are reversed"
    )


def agreement_text(part: AttributionComparison, row: int = 0) -> str:
    """Return the agreement of the rankings: rank correlation and overlap of the top words."""
    texts = []
    if (correlation := part.rank_correlations[row]) is not None:
        texts.append(f"rank correlation {correlation:.2f}".replace("-", "−"))
    if (overlap := part.top_overlaps[row]) is not None:
        count = part.top_counts[row]
        if count == 1:
            texts.append("same top word" if overlap else "different top word")
        else:
            texts.append(f"{round(overlap * count)} of the top {count} words shared")
    return " · ".join(texts) or "too few common words for a rank correlation"


def target_name_of(part: AttributionComparison, row: int) -> str:
    """Return the label of the targets of a row, as in ``Paris → Berlin``."""
    return joined_once([target_names(None, side)[row] for side in (part.first, part.second)])


def has_steps(part: AttributionComparison) -> bool:
    """Return whether the targets are several steps of a continuation, whose sum is the whole answer."""
    return len(part.first.targets) > 1 and are_steps(part.first.targets) and are_steps(part.second.targets)


def main_scores(part: AttributionComparison, comparison: Comparison) -> ScoresView:
    """Return what a comparison of attributions opens with: its words, for the whole answer.

    Args:
        part: The comparison of two attributions.
        comparison: The comparison that it belongs to.
    """
    words = part.words()
    if has_steps(part) and part.signed:
        return scores_view(words.summed(), 0, comparison, is_whole=True)
    return scores_view(words, 0, comparison)


def scores_view(
    part: AttributionComparison, row: int, comparison: Comparison, *, is_whole: bool = False
) -> ScoresView:
    """Return what is drawn of one row of a comparison of attributions.

    Args:
        part: The comparison of two attributions.
        row: Index of the pair of targets.
        comparison: The comparison that it belongs to.
        is_whole: Whether the row is the sum over the steps of an answer.
    """
    values = [part.values(side)[row].astype(np.float64) for side in (0, 1)]
    valid = [part.valid(side)[row] for side in (0, 1)]
    special = part.alignment.special
    is_known = (valid[0] & valid[1]) | ((valid[0] | valid[1]) & ~part.alignment.paired)
    changes = np.where(is_known, values[1] - values[0], 0)
    kinds = part.alignment.kinds()
    seen = np.abs([*values, changes])[:, ~special]
    full = float(seen.max(initial=0)) or 1.0
    strengths = np.clip(changes / full, -1, 1)
    strengths[special | (np.abs(strengths) < NEUTRAL)] = 0
    labels = unit_labels(part.alignment)
    texts = _texts(part.alignment)
    present = [
        [float(value) if known else None for value, known in zip(values[side], valid[side], strict=True)]
        for side in (0, 1)
    ]
    units = tuple(
        ScoreUnit(
            index=index,
            text=texts[1][j] if j >= 0 else texts[0][i],
            replaced=texts[0][i] if kinds[index] == "replaced" else "",
            label=labels[index],
            kind=kinds[index],
            special=bool(special[index]),
            first=first,
            second=second,
            change=float(changes[index]),
            strength=float(strengths[index]),
            first_text=value_text(part, first),
            second_text=value_text(part, second),
            change_text=difference_text(part, float(changes[index])) if is_known[index] else "–",
        )
        for index, (first, second, (i, j)) in enumerate(zip(*present, part.alignment.pairs, strict=True))
    )
    order = np.argsort(-np.abs(strengths), kind="stable")[:LARGEST]
    largest = tuple(units[index] for index in order if strengths[index])
    return ScoresView(
        part=part,
        row=row,
        units=units,
        full=full,
        largest=largest,
        why=_why(part, row, units, full, comparison, is_whole=is_whole),
        agreement=agreement_text(part, row),
        trust=(
            _trust(comparison.first, part, row, 0, is_whole=is_whole),
            _trust(comparison.second, part, row, 1, is_whole=is_whole),
        ),
    )


@lru_cache(maxsize=8)  # one alignment has many targets
def _texts(alignment: Alignment) -> tuple[tuple[str, ...], ...]:
    """Return the words of each text as they stand in a sentence."""
    return tuple(
        tuple(printable(label, _LABEL) for label in tokens.labels())
        for tokens in (alignment.first, alignment.second)
    )


def _trust(report: Report, part: AttributionComparison, row: int, side: int, *, is_whole: bool) -> Trust:
    """Return the verdict of a report on the map that is compared."""
    attribution = (part.first, part.second)[side]
    target = attribution.targets[row]
    steps = 0 if report.generation is None else len(report.generation.probabilities)
    if is_whole and len(target.positions) != steps:
        return _untested(report, attribution)  # a sum over the common steps only
    for evaluation in report.evaluations:
        if evaluation.verdict is not None and (evaluation.method, evaluation.target) == (
            attribution.method,
            target.description(),
        ):
            return trust_of(evaluation)
    return _untested(report, attribution)


def _untested(report: Report, attribution: Attribution) -> Trust:
    """Return that a map was not tested; and the verdict on the whole continuation, if there is one."""
    whole = replace(attribution.targets[0], name="continuation").description()
    for evaluation in report.evaluations if report.generation is not None else ():
        if evaluation.verdict is not None and evaluation.target == whole:
            verdict = trust_of(evaluation).verdict
            words = f"The map shown was not tested. Verdict on the whole output: {verdict}."
            return Trust(verdict=NOT_MEASURED.verdict, words=words)
    return NOT_MEASURED


def _why(
    part: AttributionComparison,
    row: int,
    units: Sequence[ScoreUnit],
    full: float,
    comparison: Comparison,
    *,
    is_whole: bool,
) -> Pieces:
    counted = [unit for unit in units if not unit.special]
    largest = max((abs(unit.change) for unit in counted), default=0.0)
    if largest < NEUTRAL * full:
        if not largest:
            return ("No difference: every word has the same score in both reports.",)
        bound = next(bound for bound in _BOUNDS if largest <= bound * full)
        return (
            f"No difference: no word's score changes by more than {100 * bound:g} % of the largest score.",
        )
    named = sorted(
        (unit for unit in counted if abs(unit.change) >= max(_NAMED * largest, NEUTRAL * full)),
        key=lambda unit: -abs(unit.change),
    )
    if not part.signed:
        return _sentence(_LARGEST, [_unsigned_phrase(unit) for unit in named[:_MOST]])
    if not _same_direction(part, row):
        return _both_sides(part, row, is_whole=is_whole)
    target = part.first.targets[row]
    name = "the answer" if is_whole else target_names(None, part.first)[row]
    is_amount = target.quantity in ("loss", "custom") or target.task == "sentence-similarity"
    if is_amount and target.quantity != "custom":
        name = f"the {name}"
    lead, direction = _lead(part, row, comparison, name)
    forward = [unit for unit in named if unit.change * direction >= 0][:_MOST]
    against = [unit for unit in named if unit.change * direction < 0][:_AGAINST]
    if not forward:
        return _sentence(_LARGEST, [_phrase(unit, name, full, is_amount=is_amount) for unit in against])
    name = name if lead == _LARGEST else "it"
    pieces = _sentence(
        lead, [_phrase(unit, name, full, is_amount=is_amount) for unit in forward], end="" if against else "."
    )
    if not against:
        return pieces
    return _joined(
        pieces, _sentence("; but ", [_phrase(unit, name, full, is_amount=is_amount) for unit in against])
    )


def _same_direction(part: AttributionComparison, row: int) -> bool:
    """Return whether a higher value supports the same in both."""
    if part.opposite:
        return True
    first, second = part.first.targets[row], part.second.targets[row]
    return (first.labels, first.against_labels, first.name) == (
        second.labels,
        second.against_labels,
        second.name,
    )


def _lead(part: AttributionComparison, row: int, comparison: Comparison, name: str) -> tuple[str, float]:
    """Return how the sentence begins, and by how much what is explained changes; 0 if unknown or small."""
    target = part.first.targets[row]
    sides = [side for side in (comparison.first.prediction, comparison.second.prediction) if side is not None]
    shares = [
        float(side.probabilities[side.labels.index(name)])
        for side in sides
        if side.probabilities is not None and name in side.labels and not target.against_labels
    ]
    if len(shares) == 2:
        first, second = map(format_percent, shares)
        change = shares[1] - shares[0]
        if abs(change) < _SMALL_CHANGE:
            if first == second:
                return f"The probability of {name} stays at {second}. {_LARGEST}", 0.0
            return f"The probability of {name} hardly changes, from {first} to {second}. {_LARGEST}", 0.0
        words = f"The probability of {name} {_verb(change)} from {first} to {second}, mostly because "
        return words, change
    if part.measure == "score" and target.quantity in QUANTITY_NAMES and not sides:
        change = float(part.second.outputs[row] - part.first.outputs[row])
        quantity = QUANTITY_NAMES[target.quantity]
        words = f"The {quantity} of {name} {_verb(change)} by {format_number(abs(change))}, mostly because "
        return (words, change) if abs(change) >= _SMALL_CHANGE else (_LARGEST, 0.0)
    return _LARGEST, 0.0


def _verb(change: float) -> str:
    return "rises" if change > 0 else "drops"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phrase:
    """What happened to a word: the word, or the words between which it changed; of one, and of several."""

    words: tuple[str, ...]
    one: str
    several: str


def _phrase(unit: ScoreUnit, name: str, full: float, *, is_amount: bool = False) -> _Phrase:
    """Return what happened to a word; words raise or lower an amount, and support or oppose an answer."""
    small = NEUTRAL * full
    if unit.kind == "replaced":
        return _Phrase(words=(_named(unit.replaced), _named(unit.text)), one=" became ", several=" became ")
    if unit.kind != "same":
        verb = "removed" if unit.kind == "first only" else "added"
        return _Phrase(words=(_named(unit.text),), one=f" was {verb}", several=f" were {verb}")
    first, second = unit.first or 0.0, unit.second or 0.0
    if first > small and second < -small:
        one = several = f" turned against {name}"
        if is_amount:
            one, several = f" now lowers {name}", f" now lower {name}"
    elif first < -small and second > small:
        verb = "raise" if is_amount else "support"
        one, several = f" now {verb}s {name}", f" now {verb} {name}"
    else:
        supports = second > small if unit.change > 0 else first > small
        verbs = ("raise", "lower") if is_amount else ("support", "oppose")
        verb = verbs[0] if supports else verbs[1]
        degree = "more" if supports == (unit.change > 0) else "less"
        one, several = f" {verb}s {name} {degree}", f" {verb} {name} {degree}"
    return _Phrase(words=(_named(unit.text),), one=one, several=several)


def _unsigned_phrase(unit: ScoreUnit) -> _Phrase:
    if unit.kind in ("first only", "second only"):
        return _phrase(unit, "", 1.0)
    degree = "more" if unit.change > 0 else "less"
    return _Phrase(words=(_named(unit.text),), one=f" matters {degree}", several=f" matter {degree}")


def _named(word: str) -> str:
    """Return a word as it stands in a sentence; punctuation and blanks in quotes."""
    return word if any(character.isalnum() for character in word) else f"“{word}”"


def _sentence(lead: str, phrases: Sequence[_Phrase], end: str = ".") -> Pieces:
    """Return a lead and phrases as pieces of a sentence, with words to which the same happened together."""
    groups: dict[str, list[_Phrase]] = {}
    for phrase in phrases:
        key = "".join(phrase.words) if len(phrase.words) > 1 else phrase.one
        groups.setdefault(key, []).append(phrase)
    pieces = [lead]
    for index, group in enumerate(groups.values()):
        pieces[-1] += _between(index, len(groups))
        if len(group[0].words) > 1:
            pieces += [group[0].words[0], group[0].one, group[0].words[1], ""]
            continue
        words = list(dict.fromkeys(phrase.words[0] for phrase in group))
        for position, word in enumerate(words):
            if position:
                pieces.append(" and " if position == len(words) - 1 else ", ")
            pieces.append(word)
        pieces.append(group[0].one if len(words) == 1 else group[0].several)
    pieces[-1] += end
    return tuple(pieces)


def _between(index: int, count: int) -> str:
    return "" if not index else " and " if index == count - 1 else ", "


def _joined(first: Pieces, second: Pieces) -> Pieces:
    """Return pieces of two sentences as one; a plain piece that ends the first is joined with the next."""
    if len(first) % 2 == 0:
        return (*first, *second)
    return (*first[:-1], first[-1] + second[0], *second[1:])


def _target_in_sentence(attribution: Attribution, row: int) -> str:
    """Return the name of a target in a sentence: a class as it is, a token or a text in quotes."""
    name, target = target_names(None, attribution)[row], attribution.targets[row]
    is_token = target.task in LANGUAGE_TASKS and bool(target.positions)
    is_text = is_token or (" " in name and target.task != "token-classification")
    return f"“{name}”" if is_text and "“" not in name else name


def _both_sides(part: AttributionComparison, row: int, *, is_whole: bool) -> Pieces:
    """Return what supports each answer, where the two are not the same."""
    names = ("First answer", "Second answer")
    if not is_whole:
        names = tuple(_target_in_sentence(side, row) for side in (part.first, part.second))
    first, second = (why_pieces(side.row(row), "word") for side in (part.first, part.second))
    first = (f"{names[0]}: {first[0]}", *first[1:])
    return _joined(_joined(first, (f". {names[1]}: {second[0]}", *second[1:])), (".",))
