"""ZeroShotClassificationVisualizer: explains labels that a model of entailment gives by hypothesis."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.checks import one_of
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.lens.read import lens_of_classes
from model_understanding.results import LogitLens, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.statistics import sigmoid, softmax
from model_understanding.targets.choices import hypothesis_target
from model_understanding.targets.classification import labels_of
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION, ZERO_SHOT_CLASSIFICATION
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.choosing import ChoosingVisualizer, Compared, Question


class ZeroShotClassificationVisualizer(ChoosingVisualizer[str | Question]):
    """Explain labels that a classifier was not trained on: which words entail a hypothesis on them.

    The model is a sequence classifier of entailment (natural language inference). It reads the text with a
    hypothesis for each label ("This example is sports."), as transformers' zero-shot pipeline does, and gives
    the same probabilities. An input is a text, if the labels are given here, or a (text, labels) tuple. The
    answer is ``Choices``. A target is a label, or its index; by default a report has a map for each label,
    the likeliest first, and other results explain the likeliest.

    What is explained is the logit of entailment, whose softmax over the labels is their probability. With
    ``multi_label``, and for a single label, it is the logit of entailment minus that of contradiction, whose
    sigmoid is the probability of the label; of a model with two classes, its ``prob`` and ``log_prob`` can be
    explained, too.

    Args:
        name_or_model: A hub id, a folder, a model or a ``transformers`` pipeline.
        candidate_labels: The labels of inputs that are plain texts; a string may list them with commas.
        hypothesis_template: The hypothesis, with ``{}`` where the label goes.
        multi_label: Whether each label is judged by itself, so that several can hold.
        **loading: How to load the model, as ``ModelVisualizer`` takes it.

    Raises:
        InputError: The template has no place for a label.
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
        UnsupportedModelError: It has fewer than two classes.
    """

    task = SEQUENCE_CLASSIFICATION
    use = ZERO_SHOT_CLASSIFICATION
    kind = "label"
    keys = ("text", "labels")

    def __init__(
        self,
        name_or_model: Any = None,
        *,
        candidate_labels: str | Sequence[str] | None = None,
        hypothesis_template: str = "This example is {}.",
        multi_label: bool = False,
        **loading: Any,
    ) -> None:
        self.candidate_labels = None if candidate_labels is None else _labels(candidate_labels)
        self.hypothesis_template = hypothesis_template
        self.multi_label = multi_label
        hypothesis_of(hypothesis_template, "label")
        super().__init__(name_or_model, **loading)

    @property
    def entailment(self) -> int:
        """Index of the class that says that the text entails the hypothesis; the last if none is named so."""
        named = self._named_entailment()
        return self._classes - 1 if named is None else named

    @property
    def contradiction(self) -> int:
        """Index of the class that says the opposite: the first, or the last if that is entailment."""
        return self._classes - 1 if self.entailment == 0 else 0

    @property
    def _classes(self) -> int:
        return int(self.runner.model.config.num_labels)

    def _named_entailment(self) -> int | None:
        named = (self.runner.model.config.label2id or {}).items()
        return next((int(index) for label, index in named if str(label).lower().startswith("entail")), None)

    def _check_model(self) -> None:
        if self._classes < 2:
            raise UnsupportedModelError(
                f"{self.runner.model.name} has a single class; entailment and its opposite are two.",
                hint="Pass a classifier trained on natural language inference.",
            )

    def _question_and_choices(self, text: Any) -> tuple[str, tuple[str, ...]]:
        if isinstance(text, str):
            if self.candidate_labels is None:
                raise InputError(
                    f"The labels for {text[:40]!r} are not given.",
                    hint="Pass (text, [label, …]), or candidate_labels=[…] to the visualizer.",
                )
            text = (text, self.candidate_labels)
        elif isinstance(text, tuple) and len(text) == 2 and isinstance(text[1], str):
            text = (text[0], _labels(text[1]))
        return super()._question_and_choices(text)

    def _pair(self, question: str, choice: str) -> tuple[str, str]:
        return question, hypothesis_of(self.hypothesis_template, choice)

    def _encode(self, text: Any) -> Encoding:
        encoding = super()._encode(text)
        if self._named_entailment() is not None:
            return encoding
        names = labels_of(self.runner.model.config)
        caution = (
            f"No class is called entailment: {names[self.entailment]!r} is taken for it, as transformers' "
            "pipeline does. Set label2id of the model's config if another one is."
        )
        return replace(encoding, cautions=(*encoding.cautions, caution))

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[Any]:
        model = self.runner.model
        return list(model.logits(model.batch(encodings))[:, 0].float().cpu().numpy())

    def _lens(self, encoding: Encoding, top: int) -> LogitLens:
        return lens_of_classes(self.runner.model, encoding, top)

    def _compared(self, answers: Sequence[Any]) -> Compared:
        logits = np.array(answers, dtype=np.float64)
        if self._is_by_itself(len(logits)):
            values = logits[:, self.entailment] - logits[:, self.contradiction]
            return Compared(values, sigmoid(values), multi_label=True)
        return Compared(logits[:, self.entailment], softmax(logits[:, self.entailment]))

    def _is_by_itself(self, labels: int) -> bool:
        return self.multi_label or labels == 1

    def _target(self, name: str, choices: int, quantity: Quantity) -> Target:
        contradiction = self.contradiction if self._is_by_itself(choices) else None
        names = labels_of(self.runner.model.config)
        activation = self.runner.model.output_activation
        return hypothesis_target(name, self.entailment, contradiction, names, quantity, activation)

    def _check_target(self, target: Any, against: Any, quantity: Quantity) -> None:
        one_of(quantity, "quantity", QUANTITIES)
        # Without multi_label it depends on how many labels a text has.
        super()._check_target(target, against, quantity if self.multi_label else "logit")


def hypothesis_of(template: str, label: str) -> str:
    """Return the hypothesis of a label.

    Args:
        template: A text with ``{}``.
        label: What goes there.

    Raises:
        InputError: The template has no place for a label, or more than that.
    """
    try:
        hypothesis = template.format(label)
    except (IndexError, KeyError, ValueError, AttributeError) as error:
        raise _template_error(template) from error
    if hypothesis == template:
        raise _template_error(template)
    return hypothesis


def _template_error(template: object) -> InputError:
    return InputError(
        f"hypothesis_template={template!r} has no place for a label.",
        hint="Pass a text with {} where the label goes, such as 'This text is about {}.'",
    )


def _labels(labels: str | Sequence[str]) -> tuple[str, ...]:
    """Return labels that a string may list with commas, as transformers' pipeline reads them."""
    if isinstance(labels, str):
        return tuple(label.strip() for label in labels.split(",") if label.strip())
    return tuple(labels)
