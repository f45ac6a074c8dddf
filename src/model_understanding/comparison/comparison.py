"""The comparison of two reports."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_understanding.comparison.alignment import Alignment
from model_understanding.comparison.attention import AttentionComparison
from model_understanding.comparison.attributions import AttributionComparison
from model_understanding.comparison.outputs import EvaluationPair, ValuePair
from model_understanding.errors import InputError
from model_understanding.results.rendering import Rendered
from model_understanding.results.report import Report

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Comparison(Rendered):
    """Two reports with aligned tokens, and the differences between them.

    Args:
        first: The first report, without its explanations.
        second: The second report, likewise; differences are second minus first.
        names: Names of the reports, for example ``("a.json", "b.json")``.
        alignment: Alignment of the tokens of the two texts.
        outputs: The outputs: each class, or each generated token.
        attributions: Comparisons of corresponding attributions.
        attention: Comparisons of corresponding attention maps.
        evaluations: The metrics of both reports.
        notes: Other differences, for example of the models or versions.
        left_out: What could not be compared, and why.
        change: The largest change of a token's share, an attention weight or a probability (or of a value,
            for a regression).
    """

    first: Report
    second: Report
    names: tuple[str, ...]
    alignment: Alignment
    outputs: tuple[ValuePair, ...]
    attributions: tuple[AttributionComparison, ...]
    attention: tuple[AttentionComparison, ...]
    evaluations: tuple[EvaluationPair, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    change: float

    def __post_init__(self) -> None:
        for name in ("names", "outputs", "attributions", "attention", "evaluations", "notes", "left_out"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.names) != 2:
            raise ValueError("A comparison needs two names.")

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per attribution, target and unit of the two texts."""
        import pandas

        if not self.attributions:
            raise InputError("The comparison has no attribution.", hint="Save it as .json or .html instead.")
        return pandas.concat([part.to_dataframe() for part in self.attributions], ignore_index=True)
