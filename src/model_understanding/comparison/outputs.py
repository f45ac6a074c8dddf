"""What two models answered, and what was found of their explanations, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model_understanding.comparison.alignment import Matching
from model_understanding.results.evaluation import Evaluation
from model_understanding.results.generation import Generation
from model_understanding.results.prediction import Prediction
from model_understanding.results.serialization import JsonResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuePair(JsonResult):
    """One number of each report.

    Args:
        quantity: What the numbers are: ``probability``, or ``value`` for a regression.
        first_name: The class or the generated text in the first report; ``None`` where it has none.
        second_name: The same for the second.
        first: The first number, ``None`` where there is none.
        second: The second.
    """

    quantity: str
    first_name: str | None
    second_name: str | None
    first: float | None
    second: float | None

    @property
    def difference(self) -> float | None:
        """The second number less the first, ``None`` where one is missing."""
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def change(self) -> float:
        """The absolute difference; a number without a counterpart counts in full."""
        return abs((self.second or 0.0) - (self.first or 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationPair(JsonResult):
    """The same metric in both reports.

    Args:
        first: The first report's, ``None`` where it has none.
        second: The second report's.
    """

    first: Evaluation | None
    second: Evaluation | None


def compare_predictions(first: Prediction, second: Prediction) -> Iterator[ValuePair]:
    """Yield a pair for each class, by name: in the first report's order, then what only the second has."""
    has_probabilities = first.probabilities is not None and second.probabilities is not None
    ours, theirs = (
        side.probabilities if has_probabilities and side.probabilities is not None else side.logits
        for side in (first, second)
    )
    for a, b in paired_names(first.labels, second.labels):
        yield ValuePair(
            quantity="probability" if has_probabilities else "value",
            first_name=None if a is None else first.labels[a],
            second_name=None if b is None else second.labels[b],
            first=None if a is None else _decimal(ours[a]),
            second=None if b is None else _decimal(theirs[b]),
        )


def compare_generations(first: Generation, second: Generation, matching: Matching) -> Iterator[ValuePair]:
    """Yield a pair for each generated stretch; several tokens together have the product of their own."""
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
    """Yield a pair for each metric, quantity and replacement, in order."""
    names = [tuple((one.metric, one.quantity, one.replacement) for one in side) for side in (first, second)]
    for a, b in paired_names(*names):
        yield EvaluationPair(first=None if a is None else first[a], second=None if b is None else second[b])


def paired_names(
    first: Sequence[object], second: Sequence[object]
) -> Iterator[tuple[int | None, int | None]]:
    """Yield the places of equal names, each used once; then those that only the second has.

    >>> list(paired_names("ab", "bc"))
    [(0, None), (1, 0), (None, 1)]
    """
    left = list(range(len(second)))
    for place, name in enumerate(first):
        found = next((other for other in left if second[other] == name), None)
        if found is not None:
            left.remove(found)
        yield place, found
    yield from ((None, other) for other in left)


def _generated(generation: Generation, positions: tuple[int, ...]) -> tuple[str, float] | None:
    steps = [position - generation.prompt_length for position in positions]
    if not steps or steps[0] < 0:
        return None
    text = "".join(generation.tokens.select(positions).surfaces())
    return text, _decimal(np.prod(generation.probabilities[steps].astype(np.float64)))


def _decimal(value: object) -> float:
    """Return a 32-bit float as the shortest decimal that restores it."""
    return float(str(np.float32(value)))  # type: ignore[arg-type]
