"""How a map was tested: the metrics of a report in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from model_understanding.results import Evaluation
from model_understanding.show.shared.words import (
    control_name,
    evaluation_condition,
    evaluation_value,
    format_number,
    printable,
    raw_value_and_range,
)

QUESTIONS: "MappingProxyType[str, str]" = MappingProxyType(
    {
        "verdict": "Do the scores predict the effect of removing tokens?",
        "z_score": "Do the scores predict the effect of removing tokens, with each replacement?",
        "comprehensiveness": "How far does the target drop without the top-ranked tokens?",
        "sufficiency": "How far does the target drop with only the top-ranked tokens?",
        "completeness": "How far are the scores from summing to the target's change?",
        "agreement": "How similarly do other methods rank the tokens?",
        "normalized_aopc": "Where is the drop between the smallest and the largest possible for this model?",
        "deletion": "How does the target change as tokens are removed in order?",
        "insertion": "How does the target change as tokens are added in order?",
        "leave_one_out_tau": "Do the scores agree with removing each token alone?",
        "linear_datamodeling_score": "Do the scores agree with removing random halves of the tokens?",
        "stability": "Do the scores stay the same with another seed, batch or padding?",
        "randomization": "Do the scores change if the weights are random?",
    }
)
"""The question that each metric answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedRow:
    """One value of a metric.

    Args:
        question: The question that it answers.
        condition: The output that was measured and what replaced the tokens; may be empty.
        value: The value as text, ``–`` if it has none.
        control: The mean of the control and what it is, as text; ``–`` without one.
        better: ``higher`` or ``lower``.
        notes: The verdict's reasons, or why there is no value.
    """

    question: str
    condition: str
    value: str
    control: str
    better: str
    notes: tuple[str, ...]


def question_of(metric: str) -> str:
    """Return the question that a metric answers; the name of a metric that a user added.

    >>> question_of("agreement"), question_of("my_metric")
    ('How similarly do other methods rank the tokens?', 'my metric')
    """
    return QUESTIONS.get(metric) or printable(metric.replace("_", " "), 60)


def tested_rows(evaluations: Sequence[Evaluation]) -> tuple[TestedRow, ...]:
    """Return the metrics of a report in words, in their order.

    Args:
        evaluations: The evaluations.
    """
    return tuple(map(_row, evaluations))


def _row(evaluation: Evaluation) -> TestedRow:
    mean = evaluation.control_mean
    notes = filter(None, (evaluation.verdict, raw_value_and_range(evaluation), *evaluation.reasons))
    return TestedRow(
        question=question_of(evaluation.metric),
        condition=printable(evaluation_condition(evaluation), 80),
        value=evaluation_value(evaluation),
        control="–" if mean is None else f"{format_number(mean)} ({control_name(evaluation)})",
        better="higher" if evaluation.higher_is_better else "lower",
        notes=tuple(printable(note, 400) for note in notes),
    )
