"""Two reports side by side: what is the same, what is not, and by how much."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model_understanding.errors import InputError
from model_understanding.results.alignment import Alignment
from model_understanding.results.attention_comparison import AttentionComparison
from model_understanding.results.attribution_comparison import AttributionComparison
from model_understanding.results.files import FIGURE_SUFFIXES, csv_text, save_as
from model_understanding.results.output_comparison import EvaluationPair, ValuePair
from model_understanding.results.report import Report
from model_understanding.results.serialization import JsonResult

if TYPE_CHECKING:
    import pandas

SUFFIXES = (".html", *FIGURE_SUFFIXES, ".json", ".csv")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison(JsonResult):
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

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the comparison; the suffix chooses the format.

        ``.html`` is one page that needs no network, ``.png``, ``.svg`` and ``.pdf`` are the figure,
        ``.json`` holds everything (``Comparison.from_json`` reads it), ``.csv`` the scores of both.

        Args:
            path: Where to write; the file appears whole or not at all.

        Returns:
            The path written.

        Raises:
            InputError: The suffix is none of these, or the file cannot be written.
        """
        return save_as(path, SUFFIXES, self._rendered)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row for each attribution, target and unit of the two texts."""
        import pandas

        if not self.attributions:
            raise InputError(
                "The comparison holds no attribution.", hint="Save it as .json or .html instead."
            )
        return pandas.concat([part.to_dataframe() for part in self.attributions], ignore_index=True)

    def to_html(self) -> str:
        """Return the comparison as one self-contained page."""
        from model_understanding.show.comparison_page import comparison_page

        return comparison_page(self)

    def _repr_html_(self) -> str:
        from model_understanding.show.comparison_page import comparison_fragment

        return comparison_fragment(self)

    def _rendered(self, suffix: str) -> bytes:
        if suffix == ".html":
            return self.to_html().encode("utf-8")
        if suffix == ".json":  # half a character, which UTF-8 cannot hold, as JSON's own escape
            return (self.to_json(indent=1) + "\n").encode("utf-8", "backslashreplace")
        if suffix == ".csv":
            return csv_text(self.to_dataframe()).encode("utf-8", "backslashreplace")
        from model_understanding.show.comparison_figure import comparison_figure
        from model_understanding.show.figure import figure_bytes

        return figure_bytes(comparison_figure(self), suffix.removeprefix("."))
