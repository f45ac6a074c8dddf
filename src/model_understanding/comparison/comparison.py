"""Two reports side by side: what is the same, what is not, and by how much."""

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison(Rendered):
    """Two reports, their tokens aligned by what the texts say, and the differences.

    Args:
        first: The first report, without its explanations.
        second: The second, likewise; every difference is the second less the first.
        names: What to call them, as ``("a.json", "b.json")``.
        alignment: Which tokens of the two texts are the same.
        outputs: The answers: each class, or each generated token.
        attributions: The attributions that fit each other.
        attention: The attention maps that fit each other.
        evaluations: The metrics of both.
        notes: What else differs between the two: the model, the versions.
        left_out: What could not be compared, and why.
        change: The largest change there is: of a token's share, of an attention weight, of a probability
            (of a value, for a regression).
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
            raise ValueError("A comparison has two names.")

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row for each attribution, target and unit of the two texts."""
        import pandas

        if not self.attributions:
            raise InputError(
                "The comparison holds no attribution.", hint="Save it as .json or .html instead."
            )
        return pandas.concat([part.to_dataframe() for part in self.attributions], ignore_index=True)

    def _table(self) -> "pandas.DataFrame":
        return self.to_dataframe()
