"""ModelVisualizer: explains sequence classifiers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from jaxtyping import Float
from torch import Tensor

from model_understanding.attribution.isolation import Errors, attempted
from model_understanding.errors import InputError
from model_understanding.lens.read import lens_of_classes
from model_understanding.model.guard import explanation
from model_understanding.model_diff.compute import ModelPair
from model_understanding.passes.predicted_targets import MakeTarget
from model_understanding.results import (
    Failure,
    Ledger,
    LogitLens,
    ModelDiff,
    ModelDiffSummary,
    Prediction,
    Target,
)
from model_understanding.results.target import Quantity
from model_understanding.targets.classification import ClassName, prediction_reader, resolve_targets
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import outputs_of_texts
from model_understanding.text.words import Words
from model_understanding.tokens import Tokens
from model_understanding.visualizers.answering import AnsweringVisualizer
from model_understanding.visualizers.ledgers import computed_ledger
from model_understanding.visualizers.model_diffs import (
    computed_model_diff,
    other_visualizer,
    summarized_model_diffs,
)
from model_understanding.visualizers.texts import tokenized

Text = str | Words | tuple[str | Words, str | Words]


class ModelVisualizer(AnsweringVisualizer[Text, ClassName, Prediction]):
    """Explain a sequence classifier: which tokens drove its answer, and where it attends.

    An input is a text or a (text, pair) tuple. A target is a label or an index, several of them, or
    ``"all"``; by default the predicted class. The answer is a ``Prediction``.

    Args:
        name_or_model: A hub id, a folder, ``demo:sentiment``, a model or a ``transformers`` pipeline.
        model: A loaded model, instead of the first argument.
        tokenizer: Its tokenizer; needed with a loaded model.
        device: Where to run; a GPU if there is one, when left out.
        dtype: Data type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token for the hub.
        trust_remote_code: Whether to run code that comes with the checkpoint.
        allow_pickle: Whether to load weights from pickles, which can run code.
        device_map: Spread the weights over devices (``"auto"``, or modules and their devices); gradient
            methods need all of them on accelerators, or the whole model on one device.

    Raises:
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.

    >>> visualizer = ModelVisualizer("demo:sentiment")
    >>> visualizer.predict("A wonderful film.").label
    'positive'
    """

    task = SEQUENCE_CLASSIFICATION

    @explanation()
    def compute_ledger(
        self,
        text: Text,
        reference: Text | None = None,
        *,
        target: ClassName | Callable[[Any], Any] | None = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        baseline: str = "default",
    ) -> Ledger:
        """Return where in the model, and at which token, the difference between two texts arises.

        Two forward passes and one backward pass, whose local derivatives are the exact differences between
        both runs: what passes each layer sums to the difference, with nothing left over.

        Args:
            text: A text, or a (text, pair) tuple.
            reference: What it is compared with: another text. Texts with as many tokens are compared position
                by position; of others the tokens that both share, and fillers stand where one text has no
                counterpart. If left out: the text's own baseline.
            target: A label or an index, or a function of the model's outputs that returns one number; the
                class that is predicted for the text if left out.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            baseline: Without a reference, the embeddings that replace the text's: ``mask``, ``pad``,
                ``mean``, ``zero``, ``id:NUMBER``, ``text:WORDS``, or ``default`` for the first of these that
                the model has. Special tokens keep their own.

        Returns:
            The ledger.

        Raises:
            InputError: A text, the target or the baseline cannot be used.
            UnsupportedModelError: The two runs of this model cannot be compared exactly.
            NumericalError: A layer does not sum to the difference.

        >>> ledger = ModelVisualizer("demo:sentiment").compute_ledger("A good film.", "A bad film.")
        >>> ledger.tokens.surfaces()[int(abs(ledger.residual[0]).argmax())]  # entering the first block
        'good'
        """
        encoding = self._encode(text)
        function = target if callable(target) else None
        if function is not None:
            targets = self._function_targets(function)
        else:
            answer = self._answers([encoding])[0] if target is None else None
            targets = self._targets_of(encoding, answer, target, against, quantity)
        other = None if reference is None else self._encode(reference)
        return computed_ledger(self.runner, encoding, other, targets, function, baseline)

    @explanation()
    def compute_model_diff(
        self,
        other: Any,
        text: Text,
        *,
        target: ClassName | Callable[[Any], Any] | None = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        restore: int | None = None,
    ) -> ModelDiff:
        """Return which modules' weights make the difference between two models on a text, and at which token.

        Two forward passes, one of each model, and one backward pass, whose local derivatives are the exact
        differences between both: what is booked to the modules sums to the difference, with nothing left
        over. It splits a change that all of them make together.

        Args:
            other: The model that is compared with this one: a model, the name or folder of one, or a
                visualizer. It may be fine-tuned, merged, quantized, or have an adapter of peft.
            text: A text, or a (text, pair) tuple.
            target: A label or an index, or a function of the model's outputs that returns one number; the
                class that this model predicts for the text if left out.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            restore: A number of modules: measure how much of the difference comes back if so many of this
                model's modules, those with the largest values, take the places of the other's, and as many
                random ones. One forward pass each, on our own copy of the other model. Modules that share a
                weight, such as tied embeddings, are taken together.

        Returns:
            The diff: what the target's value in the other model minus its value in this one is made of.

        Raises:
            InputError: The text or the target cannot be used, or the models differ in their architecture,
                tokens, dtype or device.
            UnsupportedModelError: The models cannot be compared exactly.
            NumericalError: What is booked does not sum to the difference.
        """
        with_other = other_visualizer(self, other)
        pair = ModelPair(self.runner, with_other.runner)
        return self._model_diff(pair, with_other, text, target, against, quantity, restore)

    @explanation()
    def compute_model_diffs(
        self,
        other: Any,
        texts: Iterable[Text],
        *,
        target: ClassName | Callable[[Any], Any] | None = None,
        against: ClassName | None = None,
        quantity: Quantity = "logit",
        restore: int | None = None,
        errors: Errors = "raise",
        each: Callable[[ModelDiff | Failure], None] | None = None,
    ) -> ModelDiffSummary:
        """Return which modules' weights make the difference between two models over many texts.

        Of each text only sums are kept.

        Args:
            other: The model that is compared with this one, as ``compute_model_diff`` takes it.
            texts: Texts, or (text, pair) tuples.
            target: As ``compute_model_diff`` takes it; of each text the class that this model predicts for
                it if left out.
            against: Another class: the difference target − against is explained.
            quantity: ``logit``, ``log_prob`` or ``prob``.
            restore: As ``compute_model_diff`` takes it.
            errors: ``"raise"``, or ``"skip"`` texts that cannot be compared, which are counted.
            each: A function that is called with the diff of each text, or with its failure.

        Returns:
            The mean of each module's share, its sign, and their intervals.

        Raises:
            InputError: As ``compute_model_diff`` does, or no text could be compared.
            UnsupportedModelError: The models cannot be compared exactly.
            NumericalError: What is booked does not sum to the difference.
        """
        with_other = other_visualizer(self, other)
        pair = ModelPair(self.runner, with_other.runner)

        def diff_of(text: Text) -> ModelDiff:
            return self._model_diff(pair, with_other, text, target, against, quantity, restore)

        return summarized_model_diffs(diff_of, texts, errors, each)

    def _model_diff(
        self,
        pair: ModelPair,
        with_other: "ModelVisualizer",
        text: Text,
        target: ClassName | Callable[[Any], Any] | None,
        against: ClassName | None,
        quantity: Quantity,
        restore: int | None,
    ) -> ModelDiff:
        encoding = self._encode(text)
        function = target if callable(target) else None
        if function is not None:
            targets = self._function_targets(function)
        else:
            answer = self._answers([encoding])[0] if target is None else None
            targets = self._targets_of(encoding, answer, target, against, quantity)
        return computed_model_diff(pair, encoding, with_other._encode(text), targets, function, restore)

    def _encode(self, text: Any, output: Any = None) -> Encoding:
        _refuse_choices(text)
        return self.runner.model.encode(*tokenized(self.tokenizer, text, output))

    def _encodings(self, text: Any, output: Any = None) -> tuple[Encoding, ...]:
        return (self._encode(text, output),)

    def _encode_each(self, texts: Sequence[Any], errors: Errors) -> list[tuple[Encoding, ...] | Failure]:
        read = zip(texts, outputs_of_texts(self.tokenizer, texts), strict=True)
        return [
            attempted(partial(self._encodings, text, output), errors, index, len(texts))
            for index, (text, output) in enumerate(read)
        ]

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[Prediction]:
        model, read = self.runner.model, self._answer_reader()
        logits = model.logits(model.batch(encodings))
        return [read(row, encoding.tokens[0]) for encoding, row in zip(encodings, logits, strict=True)]

    def _answer_reader(self) -> Callable[[Float[Tensor, "positions classes"], Tokens], Prediction]:
        predict = prediction_reader(self.runner.model.config)
        return lambda logits, tokens: predict(tokens, logits[0].float().cpu().numpy())

    def _targets_of(
        self,
        encoding: Encoding,
        answer: Prediction | None,
        target: Any,
        against: ClassName | None,
        quantity: Quantity,
    ) -> Sequence[Target]:
        if target is None:
            assert answer is not None
            target = answer.index
        return resolve_targets(self.runner.model.config, target, against, quantity)

    def _check_target(self, target: Any, against: ClassName | None, quantity: Quantity) -> None:
        if target is not None:
            resolve_targets(self.runner.model.config, target, against, quantity)

    def _predicted_target(self, against: ClassName | None, quantity: Quantity) -> MakeTarget:
        config = self.runner.model.config

        @cache
        def target(index: int) -> Target:
            return resolve_targets(config, index, against, quantity)[0]

        return lambda logits, _: target(int(logits[0].argmax()))

    def _lens(self, encoding: Encoding, top: int) -> LogitLens:
        return lens_of_classes(self.runner.model, encoding, top)


def _refuse_choices(text: Any) -> None:
    """Raise InputError for a text with several others, which is the input of a reranker or of zero-shot."""
    parts = tuple(text.values()) if isinstance(text, Mapping) else text
    is_pair = isinstance(parts, tuple) and len(parts) == 2 and isinstance(parts[0], str)
    if is_pair and isinstance(parts[1], list | tuple) and not isinstance(parts[1], Words):
        raise InputError(
            "The input is one text with several others. A classifier reads a text, or a pair of texts.",
            hint='For documents to rank, pass task="reranking" to visualizer, or use RerankerVisualizer '
            '(--document). For labels, pass task="zero-shot-classification", or use '
            "ZeroShotClassificationVisualizer (--label). For pairs, pass [(text, other), …].",
        )
