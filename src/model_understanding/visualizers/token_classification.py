"""TokenClassificationVisualizer: explains taggers, which label every token of a text."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.lens.read import lens_at_positions
from model_understanding.results import LogitLens, Tagging, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.classification import labels_of
from model_understanding.targets.entities import AGGREGATIONS, OUTSIDE, Aggregation, tagging_of, units_of
from model_understanding.targets.names import TOKEN_CLASSIFICATION
from model_understanding.targets.token_classification import TagTarget, entity_labels, tag_targets
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize
from model_understanding.text.words import Words, words_or_text
from model_understanding.visualizers.answering import AnsweringVisualizer, Explained

TaggedText = str | Words
_ENDS = ("E-", "S-", "L-", "U-")  # of schemes with letters for last and single tokens of an entity


class TokenClassificationVisualizer(AnsweringVisualizer[TaggedText, TagTarget, Tagging]):
    """Explain a tagger (entities, parts of speech, personal data): why each span has its label.

    An input is a text, or its ``Words``. The answer is a ``Tagging``. Every entity is explained by default,
    as the mean over the tokens that decide its label; of a text without entities, the likeliest label of
    one. A target is

    - an entity by its index, its text or its label: ``0``, ``"Angela Merkel"``, ``"PER"``;
    - a label at a token or a text: ``(3, "B-PER")``, ``("Paris", "LOC")``, ``("word:2", "ORG")``; without
      ``B-`` or ``I-`` the likelier of both;
    - a span of tokens, with the model's labels or another: ``range(3, 5)``, ``((3, 5), "ORG")``;
    - a list of these, or ``"all"`` entities.

    ``against`` is another label: ``against="ORG"`` asks why PER and not ORG (for every entity that is not
    ORG itself), ``against="O"`` why there is an entity.

    Args:
        name_or_model: A hub id, a folder, a model or a ``transformers`` pipeline.
        aggregation: How tokens are joined to entities, as in ``transformers``' pipeline: ``none``,
            ``simple``, or with one label for each word, that of its ``first`` token, of their ``average`` or
            of the most certain one, ``max``. If left out: that of a given pipeline, else ``simple``.
        ignore_labels: Labels that mark no entity; if left out, those of a given pipeline, else ``O``.
        **options: Further options of loading a model, as ``ModelVisualizer`` takes them: ``model``,
            ``tokenizer``, ``device``, ``dtype``, ``revision``, ``token``, ``trust_remote_code``,
            ``allow_pickle``, ``device_map``.

    Raises:
        InputError: There is no such aggregation.
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
    """

    task = TOKEN_CLASSIFICATION

    def __init__(
        self,
        name_or_model: Any = None,
        *,
        aggregation: Aggregation | None = None,
        ignore_labels: Collection[str] | None = None,
        **options: Any,
    ) -> None:
        given = options.get("model") if name_or_model is None else name_or_model
        settings: Any = getattr(given, "_postprocess_params", {"aggregation_strategy": "simple"})
        strategy = settings.get("aggregation_strategy", "none")  # a pipeline joins nothing by default
        chosen = getattr(strategy, "value", strategy) if aggregation is None else aggregation
        ignored = settings.get("ignore_labels", OUTSIDE) if ignore_labels is None else ignore_labels
        self.aggregation: Any = one_of(chosen, "aggregation", AGGREGATIONS)
        self.ignore_labels = tuple(ignored)
        super().__init__(name_or_model, **options)

    def _encode(self, text: Any) -> Encoding:
        text = words_or_text(text)
        if isinstance(text, tuple) and not isinstance(text, Words):
            raise InputError(
                f"A tagger reads one text at a time. Got a tuple of {len(text)}.",
                hint="Pass a list of texts, or Words(...) for a text that is split into words.",
            )
        return self.runner.model.encode(*tokenize(self.tokenizer, text))

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[Tagging]:
        model = self.runner.model
        logits = model.logits(model.batch(encodings)).float().cpu().numpy()
        labels = labels_of(model.config)
        return [
            tagging_of(
                self.tokenizer,
                encoding.tokens[0],
                labels,
                row[: len(encoding.tokens[0])],
                self.aggregation,
                self.ignore_labels,
            )
            for encoding, row in zip(encodings, logits, strict=True)
        ]

    def _targets_of(
        self,
        encoding: Encoding,
        answer: Tagging | None,
        target: Any,
        against: Any,
        quantity: Quantity,
    ) -> Sequence[Target]:
        assert answer is not None
        units = units_of(self.tokenizer, answer.tokens, answer.logits, self.aggregation)
        return tag_targets(answer, units, target, against, quantity)

    def _needs_answer(self, target: Any, against: Any) -> bool:
        return not callable(target)

    def _check_target(self, target: Any, against: Any, quantity: Quantity) -> None:
        one_of(quantity, "quantity", QUANTITIES)
        if against is not None:
            entity_labels(labels_of(self.runner.model.config), against)

    def _lens(self, encoding: Encoding, top: int) -> LogitLens:
        """Return the label that each layer would give each token."""
        positions = np.flatnonzero(encoding.tokens[0].segments >= 0).tolist()
        labels = labels_of(self.runner.model.config)
        return lens_at_positions(self.runner.model, encoding, positions, labels.__getitem__, top)

    def _explained(
        self,
        text: Any,
        encodings: Sequence[Encoding],
        answer: Tagging | None,
        target: Any,
        against: Any,
        quantity: Quantity,
    ) -> list[Explained]:
        (explained,) = super()._explained(text, encodings, answer, target, against, quantity)
        if answer is None:
            return [explained]
        cautions = (*explained.encoding.cautions, *_cautions(answer, target))
        return [Explained(replace(explained.encoding, cautions=cautions), explained.targets)]


def _cautions(answer: Tagging, target: Any) -> list[str]:
    """Return warnings about what is explained."""
    cautions: list[str] = []
    if not answer.entities and (target is None or target == "all"):
        cautions.append(
            "The text has no entity. The likeliest label of one is explained instead; it is not the model's "
            "answer."
        )
    used = {answer.labels[index] for entity in answer.entities for index in entity.indices}
    ends = sorted(label for label in used if label.startswith(_ENDS))
    if ends and answer.aggregation != "none":
        cautions.append(
            f"Only labels with B- and I- are joined, as in transformers' pipeline: {', '.join(ends)} are "
            "entities of their own."
        )
    return cautions
