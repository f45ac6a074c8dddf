"""The scores of one target, or of the sum of several, over the units of a text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model_understanding.results import Attribution, Target
from model_understanding.results.target import LANGUAGE_TASKS, QUANTITY_NAMES
from model_understanding.show.shared.runs import Run, highlighted_runs
from model_understanding.show.shared.tasks import second_start, text_names
from model_understanding.show.shared.units import TextUnits, default_level
from model_understanding.show.shared.words import (
    format_number,
    format_percent,
    gap_text,
    method_name,
    printable,
    share_list,
    sign_meanings,
    target_name,
    target_value,
)
from model_understanding.tokens import Level, Tokens

MIN_STRENGTH = 0.06
"""Part of the strongest color below which a unit is not colored."""
TOP = 5
"""Units that are listed beside the text."""
_MIN_SPECIAL_SHARE = 0.1  # of the total score, from which special tokens are named in a note
_NONE = "–"
_UNIT_NAMES: dict[Level, str] = {
    "token": "tokens",
    "character": "tokens",
    "word": "words",
    "sentence": "sentences",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A token, word or sentence with its score.

    Args:
        index: Its position among the units.
        label: Its text, with blanks and control characters made visible.
        score: Its score, in the unit of the target; 0 if it has none.
        share: Its score as a share of the absolute scores of all units, with its sign.
        interval: Half-width of the 95 % confidence interval, for methods that sample.
        rank: 1 for the largest absolute score; ``None`` for special tokens and units without a score.
        special: Whether it is a special or chat-template token: in gray, and not on the color scale.
        scored: Whether it has a score. A special token that the method keeps in place has none.
        target: Whether it is (part of) what is explained, for generated tokens.
        strength: Length of its bar: the score as a part of the scale's end, from −1 to 1.
        colored: Whether the text shows its color.
        share_text: The share as text, ``–`` without a score; positive signed values have a plus sign.
        score_text: The score as text.
        interval_text: The half-width as text; empty if it is not known.
        side: Which of two texts it is in: ``question``, ``context``; empty for a single text.
    """

    index: int
    label: str
    score: float
    share: float
    interval: float | None
    rank: int | None
    special: bool
    scored: bool
    target: bool
    strength: float
    colored: bool
    share_text: str
    score_text: str
    interval_text: str
    side: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """One source text in runs that refer to units.

    Args:
        runs: The runs, in reading order.
        side: What the text is of two: ``question``, ``context``; empty for a single one.
    """

    runs: tuple[Run, ...]
    side: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyView:
    """What every output shows of the scores of one target.

    Args:
        title: The target, for example ``logit of positive``.
        value: The value of the target, for complete methods with its base value:
            ``base value −0.12 → f(x) = 2.13``.
        method: The method and its parameters.
        gap: How far the scores are from summing to the target's change; empty if they need not.
        level: What a unit is.
        unit_name: Plural name of the units: ``words``.
        signed: Whether the sign of a score has a meaning.
        signs: What positive and what negative scores mean.
        units: The units, in reading order.
        paragraphs: The text in runs that refer to the units, one paragraph for each source text; a
            continuation stands in the paragraph of its prompt.
        peak: The absolute score at the end of the color scale, special tokens excluded.
        notes: Sentences about what the reader sees.
        faded: Whether the evaluation does not support the scores: colors are faded or hatched.
    """

    title: str
    value: str
    method: str
    gap: str
    level: Level
    unit_name: str
    signed: bool
    signs: tuple[str, str]
    units: tuple[Unit, ...]
    paragraphs: tuple[Paragraph, ...]
    peak: float
    notes: tuple[str, ...]
    faded: bool

    def top(self, count: int = TOP) -> tuple[Unit, ...]:
        """Return the units with the largest absolute scores, largest first; special tokens are not ranked.

        Args:
            count: Maximum number of units; units with a score of 0 are not listed.
        """
        ranked = [unit for unit in self.units if unit.rank is not None and unit.score]
        return tuple(sorted(ranked, key=lambda unit: unit.rank or 0)[:count])

    def scored(self) -> tuple[Unit, ...]:
        """Return the units that have a score, in reading order."""
        return tuple(unit for unit in self.units if unit.scored)


def saliency_view(
    attribution: Attribution,
    first: int = 0,
    last: int | None = None,
    *,
    level: Level | None = None,
    of_prompt: bool = False,
    faded: bool = False,
    sides: Sequence[str] | None = None,
) -> SaliencyView:
    """Return what every output shows of one target of an attribution, or of the sum of several.

    Args:
        attribution: The attribution.
        first: Index of the target.
        last: Index of the last target of a sum; by default only the first.
        level: What a unit is; by default words, or the sentences of a long text.
        of_prompt: Whether only the prompt's words are shown with their scores: of the sum over a
            continuation, as ``Reading.of_prompt`` says.
        faded: Whether the evaluation does not support these scores.
        sides: What each of two texts is called; by default what the task says.

    Returns:
        The view.

    Raises:
        InputError: There is no such target.
    """
    explained = attribution.summed(first, first if last is None else max(first, last))
    if of_prompt:
        explained = prompt_scores(explained)
    level = default_level(attribution.tokens) if level is None else level
    groups = TextUnits(attribution.tokens, level).groups(explained.valid[0])
    folded = explained if len(groups) == len(explained.tokens) else explained.joined(groups)
    task = explained.targets[0].task
    sides = text_names(task, explained.tokens.texts) if sides is None else tuple(sides)
    units = _units(folded, _targeted(explained, groups), sides)
    return SaliencyView(
        title=_title(attribution, explained, first, last),
        value=_value(explained, adds_up=not of_prompt),
        method=method_name(attribution),
        gap="" if of_prompt else gap_text(explained),
        level=level,
        unit_name=_UNIT_NAMES[level],
        signed=folded.signed,
        signs=sign_meanings(folded.targets[0]),
        units=units,
        paragraphs=paragraphs_of(folded.tokens, sides, task),
        peak=_peak(folded),
        notes=(*_notes(units, folded), *_sum_notes(folded, first, last, of_prompt)),
        faded=faded,
    )


def prompt_scores(whole: Attribution) -> Attribution:
    """Return the attribution of a whole continuation with scores on the prompt only.

    Args:
        whole: An attribution of one target: the sum over the steps of a continuation.
    """
    valid = whole.valid.copy()
    valid[:, min(whole.targets[0].positions) + 1 :] = False  # the logits of a position predict the next
    return replace(whole, valid=valid)


def signed_percent(share: float, signed: bool) -> str:
    """Return a share in percent, with a plus sign if it is positive and signs have a meaning.

    >>> signed_percent(0.25, True), signed_percent(0.25, False), signed_percent(0.0001, True)
    ('+25.0 %', '25.0 %', '< 0.1 %')
    """
    text = format_percent(share)
    return f"+{text}" if signed and share > 0 and not text.startswith("<") else text


def _units(folded: Attribution, targeted: Sequence[bool], sides: tuple[str, ...]) -> tuple[Unit, ...]:
    scores = folded.scores[0].astype(np.float64)
    total = float(np.abs(scores).sum()) or 1.0
    scored, special = folded.scored[0], folded.tokens.special
    intervals, peak = folded.intervals(), _peak(folded)
    ranked = scored & ~special
    order = [int(unit) for unit in np.argsort(-np.abs(scores), kind="stable") if ranked[unit]]
    ranks = {unit: rank for rank, unit in enumerate(order, 1)}
    segments = folded.tokens.segments.tolist()
    units = []
    for index, label in enumerate(folded.tokens.labels()):
        score = float(scores[index])
        is_scored = bool(scored[index])
        sign = "+" if folded.signed and score > 0 else ""
        strength = min(max(score / peak, -1.0), 1.0)
        interval = None if intervals is None or not is_scored else float(intervals[0, index])
        units.append(
            Unit(
                index=index,
                label=printable(label),
                score=score,
                share=score / total,
                interval=interval,
                rank=ranks.get(index),
                special=bool(special[index]),
                scored=is_scored,
                target=targeted[index],
                strength=strength,
                colored=index in ranks and abs(strength) >= MIN_STRENGTH,
                share_text=signed_percent(score / total, folded.signed) if is_scored else _NONE,
                score_text=sign + format_number(score) if is_scored else _NONE,
                interval_text="" if interval is None else format_number(interval),
                side=sides[segments[index]] if 0 <= segments[index] < len(sides) else "",
            )
        )
    return tuple(units)


def _peak(folded: Attribution) -> float:
    """Return the largest absolute score, of special tokens only if there are no others; 1 if all are 0."""
    sizes = np.abs(folded.scores[0].astype(np.float64))
    words = float(sizes[~folded.tokens.special].max(initial=0))
    return words or float(sizes.max(initial=0)) or 1.0


def _targeted(explained: Attribution, groups: Sequence[Sequence[int]]) -> list[bool]:
    """Return which units the target is about: generated tokens, an entity, a mask, an answer."""
    positions = _positions_of(explained.targets[0])
    return [not positions.isdisjoint(group) for group in groups]


def _positions_of(target: Target) -> set[int]:
    """Return the tokens that a target is about; none for a class or a loss of the whole text."""
    if target.quantity == "loss":
        return set()
    if target.task in LANGUAGE_TASKS:
        return {position + 1 for position in target.positions}
    if target.task == "question-answering":
        return set(range(min(target.indices), max(target.indices) + 1)) if target.indices else set()
    return set(target.positions)


def _title(attribution: Attribution, explained: Attribution, first: int, last: int | None) -> str:
    if last is None or last <= first:
        return target_name(explained.targets[0])
    count = last - first + 1
    quantity = QUANTITY_NAMES.get(explained.targets[0].quantity, "target")
    answer = "output" if explained.targets[0].task == "seq2seq-lm" else "answer"
    whole = f"the whole {answer}" if count == len(attribution.targets) else f"{count} generated tokens"
    return f"{quantity} of {whole}"


def _value(explained: Attribution, adds_up: bool) -> str:
    value = target_value(explained)
    if not adds_up or explained.baseline_outputs is None or explained.gaps is None:
        return f"value {value}"
    return f"base value {format_number(float(explained.baseline_outputs[0]))} → f(x) = {value}"


def paragraphs_of(tokens: Tokens, sides: Sequence[str] = (), task: str = "") -> tuple[Paragraph, ...]:
    """Return the runs of each source text; a continuation stands in the paragraph of its prompt.

    Args:
        tokens: The tokens, folded so that no two tokens split a character.
        sides: What each of two texts is.
        task: The task of the model.
    """
    second = second_start(tokens, task)
    paragraphs: list[tuple[int, list[Run]]] = [(0, [])]
    for run in highlighted_runs(tokens):
        is_second = run.unit is not None and 0 <= second <= run.unit
        source = max(run.source, 1) if is_second else run.source
        if source > paragraphs[-1][0] and task != "causal-lm":
            paragraphs.append((source, []))
        paragraphs[-1][1].append(run)
    return tuple(
        Paragraph(runs=tuple(found), side=sides[source] if source < len(sides) else "")
        for source, found in paragraphs
        if found
    )


def _notes(units: Sequence[Unit], folded: Attribution) -> tuple[str, ...]:
    template = folded.tokens.special & (folded.tokens.segments >= 0)
    kept = int((template & folded.valid[0] & ~folded.scored[0]).sum())
    special = sorted(
        (unit for unit in units if unit.special and unit.score), key=lambda unit: -abs(unit.score)
    )
    held = sum(abs(unit.share) for unit in special)
    notes = []
    if held >= _MIN_SPECIAL_SHARE and any(unit.rank for unit in units):
        labels, shares = [unit.label for unit in special], [unit.share for unit in special]
        named = share_list(labels, range(len(special)), shares)
        has_template = template.any() and folded.targets[0].task == "causal-lm"
        name = "Special and chat-template tokens" if has_template else "Special tokens"
        notes.append(
            f"{name} have {format_percent(held)} of the total score ({named}). They are not on the "
            "color scale."
        )
    if not any(unit.score for unit in units):
        notes.append("All scores are 0.")
    elif kept and folded.targets[0].task == "causal-lm":
        notes.append(
            f"{kept} token{'s' if kept > 1 else ''} of the chat template {'have' if kept > 1 else 'has'} no "
            "score: the method keeps them in place."
        )
    return tuple(notes)


def _sum_notes(folded: Attribution, first: int, last: int | None, of_prompt: bool) -> tuple[str, ...]:
    if last is None or last <= first:
        return ()
    prompt = "source" if folded.targets[0].task == "seq2seq-lm" else "prompt"
    what = f"Scores of the {prompt}" if of_prompt else "Scores"
    how = "" if folded.signed else ": magnitudes, so an upper bound"
    return (f"{what}, summed over {last - first + 1} generated tokens{how}.",)
