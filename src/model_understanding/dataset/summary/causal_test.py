"""What a word does to the answers of texts that it is put into, beside control words in the same places."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.dataset.summary.bootstrap import RESAMPLES
from model_understanding.dataset.summary.candidates import Part, placed_words
from model_understanding.dataset.summary.insertion import (
    Span,
    boundaries_of,
    inserted_span,
    with_inserted,
    with_replaced,
)
from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.results import Prediction
from model_understanding.results.dataset_summary import CausalEffect
from model_understanding.statistics import benjamini_hochberg, matched_p_value

FEWEST_TEXTS = 5
"""Fewer texts than these are no test."""
_AT_ONCE = 512  # texts that share batches

Input = str | tuple[str, str]


class Boundary(NamedTuple):
    """Where words go between the words of a text.

    Args:
        segment: In which text, 0 or 1.
        place: Before which character.
    """

    segment: int
    place: int


class Place(NamedTuple):
    """A text that words are put into.

    Args:
        key: Orders the texts at random, the same at each call.
        row: Its row.
    """

    key: int
    row: StoredRow

    @property
    def words(self) -> list[Part]:
        """Its words, found again at each call: a list of them takes far more memory than the text."""
        return placed_words(self.row)

    def boundary(self, generator: np.random.Generator) -> Boundary:
        """Return a random boundary between words.

        Args:
            generator: Draws it.
        """
        parts = self.words
        segments = sorted({part.segment for part in parts})
        segment = segments[generator.integers(len(segments))]
        text = self._texts()[segment]
        boundaries = boundaries_of(text, [part.outer for part in parts if part.segment == segment])
        return Boundary(segment, boundaries[generator.integers(len(boundaries))])

    def inserted(self, words: Sequence[str], boundary: Boundary) -> tuple[Input, ...]:
        """Return the text with each of some words, all at the same boundary.

        Args:
            words: The words, as they are written.
            boundary: Where they go.
        """
        segment, place = boundary
        text = self._texts()[segment]
        return tuple(self._with(segment, with_inserted(text, place, word)) for word in words)

    def span(self, word: str, boundary: Boundary) -> Span:
        """Return where an inserted word is in its text.

        Args:
            word: The word, as it is written.
            boundary: Where it went.
        """
        return inserted_span(self._texts()[boundary.segment], boundary.place, word)

    def swapped(self, words: Sequence[str], replaced: Part) -> tuple[Input, ...]:
        """Return the text with each of some words in the place of the same one.

        Args:
            words: The words, as they are written.
            replaced: The word that goes.
        """
        text = self._texts()[replaced.segment]
        texts = (with_replaced(text, replaced.span, word) for word in words)
        return tuple(self._with(replaced.segment, text) for text in texts)

    def _texts(self) -> tuple[str, ...]:
        return (self.row.text,) if self.row.pair is None else (self.row.text, self.row.pair)

    def _with(self, segment: int, text: str) -> Input:
        if self.row.pair is None:
            return text
        return (text, self.row.pair) if segment == 0 else (self.row.text, text)


class Trial(NamedTuple):
    """A text with a candidate and with each of its control words.

    Args:
        row: The text's row.
        variants: With the candidate, then with each control word.
        segment: Which text the candidate is in, 0 or 1.
        span: Start and end of the candidate in it.
    """

    row: int
    variants: tuple[Input, ...]
    segment: int = 0
    span: Span = (0, 0)


class Outcome(NamedTuple):
    """What the model answers.

    Args:
        is_answer: Whether it answers the candidate's class.
        log_probability: Of that class.
    """

    is_answer: bool
    log_probability: float


def outcomes_of(
    explainer: Any, inputs: Sequence[Input], answer: int, progress: Callable[[int], Any]
) -> dict[Input, Outcome]:
    """Return what the model answers for each input; those that it cannot read are left out.

    Args:
        explainer: The classifier's visualizer.
        inputs: Texts or pairs; equal ones are read once.
        answer: The class.
        progress: Called with the number of inputs that are done.
    """
    # Those of one length share batches. The longest come first: the time left is not longer than said.
    distinct = sorted(dict.fromkeys(inputs), key=lambda each: -len("".join(each)))
    outcomes: dict[Input, Outcome] = {}
    progress(0)
    for start in range(0, len(distinct), _AT_ONCE):
        some = distinct[start : start + _AT_ONCE]
        predictions = explainer.predict(some, errors="skip")
        outcomes |= {
            each: _outcome(prediction, answer)
            for each, prediction in zip(some, predictions, strict=True)
            if prediction
        }
        progress(start + len(some))
    return outcomes


def effect_of(trials: Sequence[Trial], outcomes: Mapping[Input, Outcome], seed: int) -> CausalEffect | None:
    """Return what a candidate does above its control words; ``None`` for too few texts.

    Args:
        trials: The texts with each word; those that the model cannot read with one of them do not count.
        outcomes: What the model answers for them.
        seed: Of the bootstrap.
    """
    complete = readable_trials(trials, outcomes)
    if len(complete) < FEWEST_TEXTS:
        return None
    read = [[outcomes[variant] for variant in trial.variants] for trial in complete]
    answers = np.array([[each.is_answer for each in row] for row in read])
    log_probabilities = np.array([[each.log_probability for each in row] for row in read])
    events, others = answers[:, 0], answers[:, 1:]
    shifts = log_probabilities[:, 0] - log_probabilities[:, 1:].mean(axis=1)
    p_value = matched_p_value(events, others)
    return CausalEffect(
        trials=len(events),
        flips=int(events.sum()),
        control_trials=others.size,
        control_flips=int(others.sum()),
        difference=float(events.mean() - others.mean()),
        interval=_interval(events, others, seed),
        shift=float(shifts.mean()),
        p_value=p_value,
        adjusted=p_value,
    )


def readable_trials(trials: Sequence[Trial], outcomes: Mapping[Input, Outcome]) -> list[Trial]:
    """Return the texts that the model can read with every word.

    Args:
        trials: The texts with each word.
        outcomes: What the model answers for them.
    """
    return [trial for trial in trials if all(variant in outcomes for variant in trial.variants)]


def corrected(effects: Sequence[CausalEffect | None]) -> list[CausalEffect | None]:
    """Return effects with their p-values adjusted for the number of candidates.

    Args:
        effects: The effect of each candidate, where it was tested.
    """
    tested = [effect for effect in effects if effect is not None]
    adjusted = iter(benjamini_hochberg(np.array([effect.p_value for effect in tested])).tolist())
    return [None if effect is None else replace(effect, adjusted=next(adjusted)) for effect in effects]


def _outcome(prediction: Prediction, answer: int) -> Outcome:
    logits = prediction.logits.astype(np.float64)
    if prediction.problem == "multi_label":
        return Outcome(bool(logits[answer] >= 0), float(-np.logaddexp(0, -logits[answer])))
    return Outcome(prediction.index == answer, float(logits[answer] - np.logaddexp.reduce(logits)))


def _interval(
    events: Bool[np.ndarray, " texts"], others: Bool[np.ndarray, "texts controls"], seed: int
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval, by text, of the difference of flip rates.

    Two more texts, in which the word alone and the control words alone flip the answer, keep it from having
    no width where all texts agree (Agresti & Min 2005, "Simple improved confidence intervals for comparing
    matched proportions").
    """
    differences: Float[np.ndarray, " texts"] = np.append(events - others.mean(axis=1), [1.0, -1.0])
    count = len(differences)
    draws = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)
