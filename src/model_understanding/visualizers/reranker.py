"""RerankerVisualizer: explains cross-encoders, which score documents for a query."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from model_understanding.checks import one_of
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.loading.cross_encoder import CrossEncoderSettings, cross_encoder_settings
from model_understanding.loading.options import LoadingOptions
from model_understanding.results import Choices, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.statistics import sigmoid
from model_understanding.targets.classification import class_index, labels_of
from model_understanding.targets.names import RERANKING, SEQUENCE_CLASSIFICATION
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.choosing import ChoosingVisualizer, Compared, Question

Activation = Literal["identity", "sigmoid", "tanh"]
_ACTIVATIONS = ("identity", "sigmoid", "tanh")
_RELEVANT = ("relevant", "positive", "yes", "true", "duplicate", "paraphrase", "entailment")


class RerankerVisualizer(ChoosingVisualizer[Question]):
    """Explain a reranker (cross-encoder): which words make a document relevant to a query.

    The model is a sequence classifier of pairs with one output, the score, or two, for not relevant and
    relevant. An input is a (query, document) or (query, documents) tuple; query and document are the sides of
    one text. The answer is ``Choices``: the documents with their scores, whose ``ranking`` is best first. A
    target is a document by its text or index; by default a report has a map for each document, the best one
    first, and other results explain the best.

    What is explained is the logit; of two outputs the logit of relevant minus that of the other, whose
    sigmoid is the probability of relevant. Scores of a single output are made of the logits as
    sentence-transformers does: by the activation that the checkpoint names, else by a sigmoid. A sigmoid
    gives ``probabilities``, and ``values`` stay the logits, which it does not change the order of.

    Args:
        name_or_model: A hub id, a folder, a model or a ``transformers`` pipeline.
        activation: What makes scores of a single output: ``identity``, ``sigmoid`` or ``tanh``, instead of
            the checkpoint's own.
        relevant: Of two classes, the label or index of the one that says that a document is relevant.
        **loading: How to load the model, as ``ModelVisualizer`` takes it.

    Raises:
        InputError: There is no such activation or class.
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
        UnsupportedModelError: It has more than two classes.
    """

    task = SEQUENCE_CLASSIFICATION
    use = RERANKING
    kind = "document"
    without_lens = "the output for a query and one document is a single score"
    keys = ("query", "documents")

    def __init__(
        self,
        name_or_model: Any = None,
        *,
        activation: Activation | None = None,
        relevant: str | int | None = None,
        **loading: Any,
    ) -> None:
        if activation is not None:
            one_of(activation, "activation", _ACTIVATIONS)
        super().__init__(name_or_model, **loading)
        options = {name: loading[name] for name in ("revision", "token") if name in loading}
        self._settings: CrossEncoderSettings = cross_encoder_settings(
            name_or_model, self.runner.model.config, LoadingOptions(**options)
        )
        self._activation = activation
        self._relevant = None if relevant is None else class_index(self._labels, relevant)

    def rank(self, query: str, documents: Sequence[str]) -> Choices:
        """Return documents with their scores for a query; ``.ranking`` puts them in order, best first.

        Args:
            query: The query.
            documents: The documents; those of one length share a forward pass.

        Returns:
            Scores in the order given, as ``predict((query, documents))``.

        Raises:
            InputError: There is no document, or one is empty or longer than the model allows.
        """
        return self.predict((query, documents))

    @property
    def activation(self) -> str:
        """What makes a score of a logit: ``identity``, ``sigmoid`` or ``tanh``; of two outputs a sigmoid."""
        if self._outputs == 2:
            return "sigmoid"
        return self._activation or self._settings.activation or "sigmoid"

    @property
    def relevant(self) -> int:
        """Index of the output that says that a document is relevant."""
        if self._outputs == 1:
            return 0
        named = self._named_relevant()
        return 1 if named is None else named

    @property
    def _labels(self) -> tuple[str, ...]:
        return labels_of(self.runner.model.config)

    @property
    def _outputs(self) -> int:
        return len(self._labels)

    def _named_relevant(self) -> int | None:
        if self._relevant is not None:
            return self._relevant
        names = [label.lower().replace("_", " ") for label in self._labels]
        return next((names.index(name) for name in _RELEVANT if name in names), None)

    def _check_model(self) -> None:
        if self._outputs > 2:
            raise UnsupportedModelError(
                f"{self.runner.model.name} has {self._outputs} classes; a reranker has one output, or two "
                "for not relevant and relevant.",
                hint="Use ModelVisualizer for pairs of texts, or ZeroShotClassificationVisualizer for a "
                "model of entailment.",
            )

    def _encode(self, text: Any) -> Encoding:
        encoding = super()._encode(text)
        return replace(encoding, cautions=(*encoding.cautions, *self._cautions()))

    def _cautions(self) -> tuple[str, ...]:
        """Return warnings about what makes a score, or is read, other than the checkpoint says."""
        cautions: list[str] = []
        settings = self._settings
        if self._outputs == 2 and self._named_relevant() is None:
            cautions.append(
                f"No class is called relevant: {self._labels[1]!r} is taken for it. Pass relevant=… to the "
                "visualizer if the other one is."
            )
        if settings.other and self._activation is None and self._outputs == 1:
            cautions.append(
                f"The checkpoint names the activation {settings.other}, which is not known here: scores are "
                "made by a sigmoid. Their order is that of the logits."
            )
        if settings.prompt:
            cautions.append(
                f"The checkpoint puts a prompt before each query, which is not done here: "
                f"{settings.prompt!r}. Write it into the query."
            )
        return tuple(cautions)

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[Any]:
        model = self.runner.model
        return list(model.logits(model.batch(encodings))[:, 0].float().cpu().numpy())

    def _compared(self, answers: Sequence[Any]) -> Compared:
        logits = np.array(answers, dtype=np.float64)
        margins = logits[:, self.relevant]
        if self._outputs == 2:
            margins = margins - logits[:, 1 - self.relevant]
        if self.activation == "sigmoid":
            return Compared(margins, sigmoid(margins), multi_label=True)
        return Compared(np.tanh(margins) if self.activation == "tanh" else margins, None, quantity="score")

    def _target(self, name: str, choices: int, quantity: Quantity) -> Target:
        one_of(quantity, "quantity", QUANTITIES)
        if self._outputs == 1 and quantity != "logit":
            raise InputError(
                f"A reranker with one output has no {quantity!r}: its logit is explained.",
                hint="Pass quantity='logit': a score is higher exactly where the logit is.",
            )
        other = (1 - self.relevant,) if self._outputs == 2 and quantity == "logit" else ()
        return Target(
            task=SEQUENCE_CLASSIFICATION,
            indices=(self.relevant,),
            labels=(self._labels[self.relevant],),
            against=other,
            against_labels=tuple(self._labels[index] for index in other),
            quantity=quantity,
            name=name,
        )
