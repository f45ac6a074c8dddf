"""The result of ``analyze``, ready to show, save and load."""

import io
import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from model_understanding.errors import InputError
from model_understanding.results.attention_map import AttentionMap
from model_understanding.results.attribution import Attribution
from model_understanding.results.choices import Choices
from model_understanding.results.evaluation import Evaluation
from model_understanding.results.files import read_array, reading
from model_understanding.results.generation import Generation, contrast_of
from model_understanding.results.head_scores import HeadScores
from model_understanding.results.logit_lens import LogitLens
from model_understanding.results.mask_filling import MaskFilling
from model_understanding.results.packed_arrays import rounded_floats
from model_understanding.results.prediction import Prediction
from model_understanding.results.provenance import Provenance
from model_understanding.results.query_key import QueryKey
from model_understanding.results.rendering import Rendered
from model_understanding.results.serialization import json_beside
from model_understanding.results.span_answer import SpanAnswer
from model_understanding.results.tagging import Tagging
from model_understanding.results.token_links import TokenLinks
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    import pandas

Answer = Tagging | SpanAnswer | MaskFilling | Choices
"""What a model answers that is neither one class nor a generated text."""
Part = (
    Prediction
    | Generation
    | Answer
    | TokenLinks
    | Attribution
    | AttentionMap
    | HeadScores
    | LogitLens
    | QueryKey
)
"""What a report can have a single one of; see ``Report.of``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Report(Rendered):
    """A prediction or a generation with its attributions, attention maps and evaluations.

    A report can also have neither, only results about one text: ``Report.of(attention)`` is the page, the
    figure and the notebook display of one attention map.

    Args:
        prediction: The prediction of a classifier.
        generation: The generation of a language model.
        answer: The answer of another kind of model: labeled tokens, a span, filled masks, or choices.
        attributions: The attributions, the main one first.
        contrasts: Attribution of each generated token against its most probable alternatives, with a row for
            each step and alternative.
        attention: The attention maps, the main one first. Figures and terminal show the main map, the page
            shows all.
        evaluations: The faithfulness of the main attribution.
        heads: Scores of the attention heads, by which they can be ranked.
        lens: The logit lens.
        query_keys: Queries and keys of single heads; ``with_query_keys`` adds them.
        links: Which tokens of two texts make them similar.
        provenance: Model, software and warnings.

    Raises:
        ValueError: More than one of prediction, generation and answer is given, or nothing that has a text.
    """

    SUFFIXES: ClassVar[tuple[str, ...]] = (*Rendered.SUFFIXES, ".npz")

    prediction: Prediction | None = None
    generation: Generation | None = None
    answer: Answer | None = None
    attributions: tuple[Attribution, ...] = ()
    contrasts: Attribution | None = None
    attention: tuple[AttentionMap, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    heads: HeadScores | None = None
    lens: LogitLens | None = None
    query_keys: tuple[QueryKey, ...] = ()
    links: TokenLinks | None = None
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.prediction, self.generation, self.answer)) > 1:
            raise ValueError("A report has one of prediction, generation and answer, not several.")
        for name in ("attributions", "attention", "evaluations", "query_keys"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self._sequences():
            raise ValueError("A report needs a prediction, a generation or another result about a text.")

    @classmethod
    def of(cls, part: Part) -> Self:
        """Return the report that has a single part, to show or save the part by itself.

        Args:
            part: A prediction, generation, attribution, attention map, head scores, logit lens, or the query
                and keys of a head.

        >>> Report.of(Attribution.from_arrays(["good", "film"], [0.75, -0.25])).texts
        ('good film',)
        """
        provenance = getattr(part, "provenance", Provenance())
        match part:
            case Prediction():
                return cls(prediction=part)
            case Generation():
                return cls(generation=part, provenance=provenance.with_cautions(part.cautions))
            case Tagging() | SpanAnswer() | MaskFilling() | Choices():
                return cls(answer=part)
            case TokenLinks():
                return cls(links=part, provenance=provenance)
            case Attribution():
                return cls(attributions=(part,), provenance=provenance)
            case AttentionMap():
                return cls(attention=(part,), provenance=provenance)
            case HeadScores():
                return cls(heads=part, provenance=provenance)
            case LogitLens():
                return cls(lens=part, provenance=provenance)
            case QueryKey():
                return cls(query_keys=(part,), provenance=provenance)

    @property
    def tokens(self) -> Tokens:
        """The tokens of the explained text."""
        return self._sequences()[0]

    @property
    def texts(self) -> tuple[str, ...]:
        """The explained texts: a single text, a pair, or a prompt and its continuation."""
        return self.tokens.texts

    def _sequences(self) -> list[Tokens]:
        """Return the tokens of every part, those of the prediction or generation first."""
        alone = (self.prediction, self.generation, self.answer, *self.attributions)
        others = (self.heads, self.lens, *self.query_keys)
        return [
            *(part.tokens for part in alone if part is not None),
            *(attention.keys for attention in self.attention),
            *(part.tokens for part in others if part is not None),
            *(() if self.links is None else (self.links.first,)),
        ]

    def with_query_keys(self, *query_keys: QueryKey) -> Self:
        """Return the report with the queries and keys of more heads, which its page then shows.

        Args:
            *query_keys: Results of ``compute_query_key`` for the text of this report.
        """
        return replace(self, query_keys=(*self.query_keys, *query_keys))

    def with_cautions(self, *cautions: str) -> Self:
        """Return the report with more warnings for the reader.

        Args:
            *cautions: The warnings.
        """
        provenance = replace(self.provenance, cautions=(*self.provenance.cautions, *cautions))
        return replace(self, provenance=provenance) if cautions else self

    def contrast(self, step: int, alternative: str | int) -> Attribution:
        """Return the attribution of a generated token against an alternative token.

        The target is ``logit(generated token) − logit(alternative)``: positive scores of signed methods
        support the generated token, negative scores the alternative.

        Args:
            step: The generation step; negative indices count from the end.
            alternative: Text or ID of the alternative token.

        Returns:
            The attribution of one target.

        Raises:
            InputError: The report has no such contrast.
        """
        return contrast_of(self.generation, self.contrasts, step, alternative)

    @property
    def main_attention(self) -> tuple[AttentionMap, ...]:
        """The map that figures and terminal show: the first one, if any."""
        return self.attention[:1]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a report that ``save`` wrote as ``.json`` or ``.npz``.

        Args:
            path: The file.

        Returns:
            The report; showing it needs no torch.

        Raises:
            InputError: The file does not exist or is not a report.
        """
        source = Path(path).expanduser()
        with reading("a report", source, "Report.save('x.json') or Report.save('x.npz')"):
            is_archive = source.suffix.lower() == ".npz"
            if not is_archive:
                return cls.from_json(source.read_text(encoding="utf-8"))
            header = read_array(source, "report")
            text = bytes(header).decode("utf-8") if header.dtype == np.uint8 else str(header)
            return cls.from_json(text, arrays=partial(read_array, source))

    def _bytes(self, suffix: str, exact: bool) -> bytes:
        # Not super(): with slots=True its short form refers to the class before dataclass replaced it.
        return _archive(self, exact) if suffix == ".npz" else Rendered._bytes(self, suffix, exact)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return the scores of all attributions as one table, as ``.csv`` has them.

        Raises:
            InputError: The report has no attribution.
        """
        import pandas

        attributions = self.attributions if self.contrasts is None else (*self.attributions, self.contrasts)
        if not attributions:
            raise InputError("The report has no attribution.", hint="Save it as .json or .html instead.")
        return pandas.concat(
            [attribution.to_dataframe().assign(method=attribution.method) for attribution in attributions]
        )


def _archive(report: Report, exact: bool) -> bytes:
    """Return the report as ``.npz``: its arrays by name, and a header that refers to them."""
    arrays: dict[str, np.ndarray] = {}
    for index, attribution in enumerate(report.attributions):
        arrays[f"scores_{index}"] = attribution.scores
        arrays[f"offsets_{index}"] = attribution.tokens.offsets
    if report.contrasts is not None:
        arrays["contrasts"] = report.contrasts.scores
    for index, attention in enumerate(report.attention):
        arrays[f"attention_{index}"] = attention.weights
    if report.heads is not None:
        arrays["head_scores"] = report.heads.scores
    header = json_beside(report, arrays).encode("utf-8", "backslashreplace")
    if not exact:
        for index in range(len(report.attention)):
            arrays[f"attention_{index}"] = rounded_floats(arrays[f"attention_{index}"])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, report=np.frombuffer(header, np.uint8), **arrays)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()
