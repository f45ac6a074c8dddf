"""Everything ``analyze`` found, ready to show, save and load."""

import io
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from model_understanding.errors import InputError
from model_understanding.results.attention_map import AttentionMap
from model_understanding.results.attribution import Attribution
from model_understanding.results.evaluation import Evaluation
from model_understanding.results.files import array_in, reading
from model_understanding.results.generation import Generation, contrast_of
from model_understanding.results.head_scores import HeadScores
from model_understanding.results.logit_lens import LogitLens
from model_understanding.results.prediction import Prediction
from model_understanding.results.provenance import Provenance
from model_understanding.results.query_key import QueryKey
from model_understanding.results.rendering import Rendered

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report(Rendered):
    """A prediction or a generation, with its attributions, its attention and where they come from.

    Args:
        prediction: A classifier's answer.
        generation: A language model's continuation.
        attributions: The attributions, the main one first.
        contrasts: Why each token of a generation and not one of its likeliest alternatives: a row for each
            step and alternative.
        attention: The attention maps, the main one first: pictures and the terminal draw it, the page all.
        evaluations: How far the attributions may be believed.
        heads: Scores of the attention heads, by which they can be ranked.
        lens: What each layer would answer.
        query_keys: Queries and keys of single heads; ``with_query_keys`` adds them.
        provenance: Model, software and cautions.

    Raises:
        ValueError: Neither or both of a prediction and a generation are given.
    """

    SUFFIXES: ClassVar[tuple[str, ...]] = (*Rendered.SUFFIXES, ".npz")

    prediction: Prediction | None = None
    generation: Generation | None = None
    attributions: tuple[Attribution, ...] = ()
    contrasts: Attribution | None = None
    attention: tuple[AttentionMap, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    heads: HeadScores | None = None
    lens: LogitLens | None = None
    query_keys: tuple[QueryKey, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if (self.prediction is None) == (self.generation is None):
            raise ValueError("A report holds either a prediction or a generation.")
        for name in ("attributions", "attention", "evaluations", "query_keys"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts explained: a sentence, a pair, or a prompt and its continuation."""
        source = self.prediction or self.generation
        assert source is not None
        return source.tokens.texts

    def with_query_keys(self, *found: QueryKey) -> Self:
        """Return the report with the queries and keys of further heads, which its page then shows.

        Args:
            *found: What ``compute_query_key`` returned for this report's text.
        """
        return replace(self, query_keys=(*self.query_keys, *found))

    def contrast(self, step: int, alternative: str | int) -> Attribution:
        """Return why a token was written and not an alternative.

        ``score of logit(written) − logit(alternative)``: above 0 (where the method has signs) for the
        token written, below 0 for the alternative.

        Args:
            step: The step of the generation, counted from 0, or from −1 at the end.
            alternative: The text or the id of the token that might have been written.

        Returns:
            The attribution of one target.

        Raises:
            InputError: The report holds no such contrast.
        """
        return contrast_of(self.generation, self.contrasts, step, alternative)

    @property
    def main_attention(self) -> tuple[AttentionMap, ...]:
        """The map that pictures and the terminal draw: the first, or none."""
        return self.attention[:1]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a report that ``save`` wrote as ``.json`` or ``.npz``.

        Args:
            path: The file.

        Returns:
            The report; showing it needs no torch.

        Raises:
            InputError: The file does not exist or is no report.
        """
        source = Path(path).expanduser()
        with reading("a report", source, "Report.save('x.json') or Report.save('x.npz')"):
            is_archive = source.suffix.lower() == ".npz"
            text = str(array_in(source, "report")) if is_archive else source.read_text(encoding="utf-8")
        return cls.from_json(text)

    def _bytes(self, suffix: str) -> bytes:
        # Of a base with slots: the short form of super() does not know the class that has them.
        return _archive(self) if suffix == ".npz" else Rendered._bytes(self, suffix)

    def _table(self) -> "pandas.DataFrame":
        import pandas

        attributions = self.attributions if self.contrasts is None else (*self.attributions, self.contrasts)
        if not attributions:
            raise InputError("The report holds no attribution.", hint="Save it as .json or .html instead.")
        return pandas.concat(
            [attribution.to_dataframe().assign(method=attribution.method) for attribution in attributions]
        )


def _archive(report: Report) -> bytes:
    arrays: dict[str, Any] = {"report": np.array(report.to_json())}
    for number, attribution in enumerate(report.attributions):
        arrays[f"scores_{number}"] = attribution.scores
        arrays[f"offsets_{number}"] = attribution.tokens.offsets
    if report.contrasts is not None:
        arrays["contrasts"] = report.contrasts.scores
    for number, attention in enumerate(report.attention):
        arrays[f"attention_{number}"] = attention.weights
    if report.heads is not None:
        arrays["head_scores"] = report.heads.scores
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
