"""The verdict on one map, as a reader sees it."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from model_understanding.results import Evaluation
from model_understanding.show.shared.words import printable

Verdict = Literal["supported", "weak", "not supported", "not measured"]
SYMBOLS: "MappingProxyType[Verdict, str]" = MappingProxyType(
    {"supported": "●", "weak": "◐", "not supported": "○", "not measured": "–"}
)
"""The mark of each verdict, which stands for its color where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far one map may be believed.

    Args:
        verdict: ``supported``, ``weak``, ``not supported``, or ``not measured``.
        words: What the verdict rests on, in a plain sentence or two; empty if nothing was measured.
    """

    verdict: Verdict
    words: str = ""

    @property
    def symbol(self) -> str:
        """The mark of the verdict: ``●``, ``◐``, ``○`` or ``–``."""
        return SYMBOLS[self.verdict]

    @property
    def is_faded(self) -> bool:
        """Whether the map is drawn faded: its scores do not predict the effect of removing tokens."""
        return self.verdict == "not supported"


NOT_MEASURED = Trust(verdict="not measured")


def trust_of(evaluation: Evaluation) -> Trust:
    """Return the verdict of an evaluation that gives one.

    Args:
        evaluation: The evaluation.

    >>> import numpy as np
    >>> found = Evaluation(metric="verdict", value=2.9, curve=np.zeros((0, 2)), control=np.zeros(0),
    ...     higher_is_better=True, verdict="supported", reasons=("Scores predict the effect: z = 2.9.",))
    >>> trust_of(found)
    Trust(verdict='supported', words='Scores predict the effect: z = 2.9.')
    """
    verdict: Verdict = "not measured"
    for name in SYMBOLS:
        if evaluation.verdict == name:
            verdict = name
    return Trust(
        verdict=verdict, words=printable(evaluation.summary or next(iter(evaluation.reasons), ""), 400)
    )
