"""Explain sequence classifiers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from model_understanding.errors import InputError
from model_understanding.protocols import AttributionMethod
from model_understanding.results import AttentionMap, Attribution, Prediction, Report, Target
from model_understanding.results.target import Quantity
from model_understanding.runner import Encoding
from model_understanding.runner.tokenization import tokenize
from model_understanding.tasks import SEQUENCE_CLASSIFICATION
from model_understanding.tasks.sequence_classification import ClassName, prediction_of, resolve_targets
from model_understanding.visualizers.attributing import attribute, method_of, predicted_classes
from model_understanding.visualizers.base import AxisChoice, Visualizer

Text = str | tuple[str, str]
ClassTarget = ClassName | Sequence[ClassName] | Callable[[Any], Any] | None


class ModelVisualizer(Visualizer):
    """Explain a sequence classifier: which tokens drove its answer, and where it looked.

    Args:
        name_or_model: A hub id, a folder, ``demo:sentiment``, a model or a ``transformers`` pipeline.
        model: A loaded model, in place of the first.
        tokenizer: Its tokenizer; needed with a loaded model.
        device: Where to run; a GPU where there is one, when left out.
        dtype: Number type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token of the hub.
        trust_remote_code: Run code that comes with the checkpoint; never unless asked.
        allow_pickle: Load weights from pickles, which can run code; never unless asked.

    Raises:
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code the caller did not ask for.

    >>> visualizer = ModelVisualizer("demo:sentiment")
    >>> visualizer.predict("A wonderful film.").label
    'positive'
    """

    task = SEQUENCE_CLASSIFICATION

    def predict(self, text: Text) -> Prediction:
        """Return the classifier's answer.

        Args:
            text: A text, or a (text, pair) tuple.

        Returns:
            Labels, logits and probabilities.

        Raises:
            InputError: The text is empty or longer than the model allows.
        """
        encoding = self._encode(text)
        return prediction_of(self.runner.config, encoding.tokens[0], self._logits([encoding])[0])

    def compute_saliency(
        self,
        text: Text | list[Text],
        method: str | AttributionMethod = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
    ) -> Any:
        """Return how much each token contributed to the answer.

        Args:
            text: A text, a (text, pair) tuple, or a list of them.
            method: A method's name (``model-understanding methods`` lists them) or a method object.
            target: A label, an index, several of them, ``"all"``, a function of the model's outputs that
                returns one number, or ``None`` for the predicted class.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.

        Returns:
            An ``Attribution`` with a row for each target; a list of them for a list of texts.

        Raises:
            InputError: The text, the target or the method cannot be used.
            UnsupportedModelError: The method would give wrong numbers on this architecture.
        """
        many = isinstance(text, list)
        encodings = [self._encode(one) for one in (text if many else [text])]
        chosen = method_of(method)
        function = target if callable(target) else None
        if function is not None:
            name = getattr(function, "__name__", type(function).__name__)
            custom = Target(task=self.task, quantity="custom", name=name)
            targets: list[tuple[Target, ...]] = [(custom,)] * len(encodings)
        else:
            assert not callable(target)
            predicted = predicted_classes(self.runner, encodings) if target is None else []
            targets = [
                resolve_targets(
                    self.runner.config,
                    predicted[number] if target is None else target,
                    against,
                    quantity,
                )
                for number in range(len(encodings))
            ]
        found = attribute(self.runner, chosen, encodings, targets, function)
        return found if many else found[0]

    def compute_attention(
        self,
        text: Text,
        layer: AxisChoice = -1,
        head: AxisChoice = "mean",
        map: str = "raw",
    ) -> AttentionMap:
        """Return where the model looked, exact and with the model's own kernels.

        Args:
            text: A text, or a (text, pair) tuple.
            layer: An index, several, ``"all"``, or ``"mean"`` or ``"max"`` over all.
            head: The same for heads.
            map: The map's name.

        Returns:
            Weights from queries (rows) to keys (columns).

        Raises:
            InputError: The text is empty or too long, or there is no such layer or head.
            UnsupportedModelError: The model has no attention, or one that cannot be read exactly.
        """
        return self._attention(self._encode(text), layer, head, map)

    def analyze(
        self,
        text: Text,
        *,
        method: str | AttributionMethod = "default",
        target: ClassTarget = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        show: bool | None = None,
    ) -> Report:
        """Explain an answer: prediction, saliency of the predicted class, and attention.

        Args:
            text: A text, or a (text, pair) tuple.
            method: The attribution method.
            target: What to explain, as ``compute_saliency`` takes it; the predicted class where left out.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            show: Whether to show the report now; when left out a notebook shows the value returned, and
                a script or terminal gets coloured text.

        Returns:
            The report; ``report.save("x.html")`` keeps it.
        """
        encoding = self._encode(text)
        prediction = prediction_of(self.runner.config, encoding.tokens[0], self._logits([encoding])[0])
        saliency = self.compute_saliency(
            text,
            method=method,
            target=prediction.index if target is None else target,
            against=against,
            quantity=quantity,
        )
        report = Report(
            prediction=prediction,
            attributions=(saliency,),
            attention=self._attention_for_report(encoding),
            provenance=saliency.provenance,
        )
        return self._shown(report, show)

    def _attention_for_report(self, encoding: Encoding) -> tuple[AttentionMap, ...]:
        return self._attention_where_possible(lambda: self._attention(encoding, -1, "mean", "raw"))

    def _compute_saliency_of(self, text: Any) -> Attribution:
        return self.compute_saliency(text)

    def _compute_attention_of(self, text: Any) -> AttentionMap:
        return self.compute_attention(text)

    def _encode(self, text: Text) -> Encoding:
        if isinstance(text, tuple):
            if len(text) != 2:
                raise InputError(
                    f"A pair is a tuple of two texts. Got {len(text)}.", hint="Pass (text, pair), or a list."
                )
            tokens, inputs = tokenize(self.tokenizer, text[0], text[1])
        else:
            tokens, inputs = tokenize(self.tokenizer, text)
        return self.runner.encode(tokens, inputs)

    def _logits(self, encodings: Sequence[Encoding]) -> Float[np.ndarray, "texts classes"]:
        logits = self.runner.logits(self.runner.batch(encodings))
        return logits[:, 0].float().cpu().numpy()
