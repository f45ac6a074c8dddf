"""The outputs and metrics of two reports, paired."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model_understanding.comparison.alignment import Matching
from model_understanding.results.choices import Choices
from model_understanding.results.evaluation import Evaluation
from model_understanding.results.generation import Generation
from model_understanding.results.mask_filling import MaskFilling
from model_understanding.results.prediction import Prediction
from model_understanding.results.report import Answer
from model_understanding.results.serialization import JsonResult
from model_understanding.results.span_answer import SpanAnswer
from model_understanding.results.tagging import Tagging


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuePair(JsonResult):
    """A value of the first report and the corresponding value of the second.

    Args:
        quantity: ``probability``, or ``value`` for a regression.
        first_name: Class or generated text in the first report; ``None`` if it has none.
        second_name: Class or generated text in the second report; ``None`` if it has none.
        first: The first value; ``None`` if there is none.
        second: The second value; ``None`` if there is none.
    """

    quantity: str
    first_name: str | None
    second_name: str | None
    first: float | None
    second: float | None

    @property
    def difference(self) -> float | None:
        """The second value minus the first; ``None`` if one is missing."""
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def change(self) -> float:
        """The absolute difference; a value without a counterpart counts in full."""
        return abs((self.second or 0.0) - (self.first or 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationPair(JsonResult):
    """The same metric in both reports.

    Args:
        first: Evaluation of the first report; ``None`` if it has none.
        second: Evaluation of the second report; ``None`` if it has none.
    """

    first: Evaluation | None
    second: Evaluation | None


def compare_predictions(first: Prediction, second: Prediction) -> Iterator[ValuePair]:
    """Yield a pair per class, by name: in the order of the first report, then classes of the second only."""
    has_probabilities = first.probabilities is not None and second.probabilities is not None
    ours, theirs = (
        side.probabilities if has_probabilities and side.probabilities is not None else side.logits
        for side in (first, second)
    )
    for i, j in paired_names(first.labels, second.labels):
        yield ValuePair(
            quantity="probability" if has_probabilities else "value",
            first_name=None if i is None else first.labels[i],
            second_name=None if j is None else second.labels[j],
            first=None if i is None else _decimal(ours[i]),
            second=None if j is None else _decimal(theirs[j]),
        )


def compare_answers(first: Answer, second: Answer) -> Iterator[ValuePair]:
    """Yield a pair per entity, span, token of a mask or choice, by name: in the order of the first report."""
    names, values = zip(*(_named_values(answer) for answer in (first, second)), strict=True)
    quantities = {_quantity_of(answer) for answer in (first, second)}
    for i, j in paired_names(*names):
        yield ValuePair(
            quantity=quantities.copy().pop() if len(quantities) == 1 else "value",
            first_name=None if i is None else names[0][i],
            second_name=None if j is None else names[1][j],
            first=None if i is None else _decimal(values[0][i]),
            second=None if j is None else _decimal(values[1][j]),
        )


def _named_values(answer: Answer) -> tuple[list[str], list[float]]:
    """Return what a model answers, and could, each with its value."""
    match answer:
        case Tagging():
            return (
                [f"{entity.text} {entity.label}" for entity in answer.entities],
                [entity.probability for entity in answer.entities],
            )
        case SpanAnswer():
            spans = (*answer.spans, answer.no_answer)
            return [span.text or "no answer" for span in spans], [span.probability for span in spans]
        case MaskFilling():
            several = len(answer.positions) > 1
            names = [
                f"mask {mask}: {label.strip() or label}" if several else label.strip() or label
                for mask, labels in enumerate(answer.top_labels, 1)
                for label in labels
            ]
            return names, answer.top_probabilities.ravel().tolist()
        case Choices():
            values = answer.values if answer.probabilities is None else answer.probabilities
            return list(answer.names), values.tolist()


def _quantity_of(answer: Answer) -> str:
    is_value = isinstance(answer, Choices) and answer.probabilities is None
    return "value" if is_value else "probability"


def compare_generations(first: Generation, second: Generation, matching: Matching) -> Iterator[ValuePair]:
    """Yield a pair per generated span; the probability of several tokens is the product of theirs."""
    for unit in matching.units:
        sides = [_generated(generation, part) for generation, part in zip((first, second), unit, strict=True)]
        if sides[0] is None and sides[1] is None:
            continue
        names, values = zip(*(side or (None, None) for side in sides), strict=True)
        yield ValuePair(
            quantity="probability",
            first_name=names[0],
            second_name=names[1],
            first=values[0],
            second=values[1],
        )


def compare_evaluations(
    first: Sequence[Evaluation], second: Sequence[Evaluation]
) -> Iterator[EvaluationPair]:
    """Yield a pair per metric, quantity and replacement, in order; where these repeat, per target too."""
    names = [
        [(evaluation.metric, evaluation.quantity, evaluation.replacement) for evaluation in side]
        for side in (first, second)
    ]
    repeated = {name for side in names for name in side if side.count(name) > 1}
    names = [
        [
            (*name, evaluation.target if name in repeated else "")
            for name, evaluation in zip(of, side, strict=True)
        ]
        for of, side in zip(names, (first, second), strict=True)
    ]
    for i, j in paired_names(*names):
        yield EvaluationPair(first=None if i is None else first[i], second=None if j is None else second[j])


def paired_names(
    first: Sequence[object], second: Sequence[object]
) -> Iterator[tuple[int | None, int | None]]:
    """Yield the indices of equal names, each used once; then those of names that only the second has.

    >>> list(paired_names("ab", "bc"))
    [(0, None), (1, 0), (None, 1)]
    """
    unused = list(range(len(second)))
    for i, name in enumerate(first):
        match = next((j for j in unused if second[j] == name), None)
        if match is not None:
            unused.remove(match)
        yield i, match
    yield from ((None, j) for j in unused)


def _generated(generation: Generation, positions: tuple[int, ...]) -> tuple[str, float] | None:
    steps = [position - generation.prompt_length for position in positions]
    if not steps or steps[0] < 0:
        return None
    text = "".join(generation.tokens.select(positions).surfaces())
    return text, _decimal(np.prod(generation.probabilities[steps].astype(np.float64)))


def _decimal(value: object) -> float:
    """Return a 32-bit float as the shortest decimal that restores it."""
    return float(str(np.float32(value)))  # type: ignore[arg-type]
