"""Explain a classifier or a generator of which only the answers are known."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from model_understanding.attribution.choose import method_of
from model_understanding.attribution.protocol import AttributionMethod
from model_understanding.attribution.run import attribution_of, parameters_of
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.perturbation.black_box import BLACK_BOX, BlackBox, perturbation_hint, takes_black_box
from model_understanding.results import Attribution, Prediction, Provenance, Report, Target
from model_understanding.results.provenance import versions_of
from model_understanding.results.target import name_of_function
from model_understanding.targets.classification import ClassName, resolve_targets
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens
from model_understanding.visualizers.plotting import DrawsSaliency, shown

_DEFAULT_METHOD = "shapley_sampling"
_SUMS_TO_ONE = 1e-3  # what rounding in an API's answer may leave


class BlackBoxVisualizer(DrawsSaliency):
    """Explain a function from texts to numbers, such as a model behind an API.

    Perturbation methods remove parts of the text and ask again; what is explained is the number that the
    function returns, whatever its unit. A generator is explained by a function that returns, say, the
    log-probability of one answer after each text.

    Args:
        predict_fn: From a list of B texts to an array of shape ``(B, C)``, a number for each class
            (probabilities or logits), or ``(B,)``, one number for each text. What it raises passes through.
        tokenizer: A transformers tokenizer whose tokens are removed; the text's words where left out.
        labels: Names of the C classes; ``class 0`` and so on where left out.
        replacement: What is put in the text in place of each removed token, as a mask that the model
            knows, or ``"delete"`` to leave tokens out.
        batch_size: Most texts in one call.

    Raises:
        InputError: A parameter cannot be used.

    >>> def predict(texts):
    ...     return [[2.0 - text.count("good"), 3.0 * text.count("good")] for text in texts]
    >>> visualizer = BlackBoxVisualizer(predict, labels=["bad", "good"])
    >>> visualizer.compute_saliency("A good film", method="occlusion").pairs()
    [('A', 0.0), ('good', 3.0), ('film', 0.0)]
    """

    task = BLACK_BOX

    def __init__(
        self,
        predict_fn: Callable[[list[str]], Any],
        tokenizer: Any = None,
        labels: Sequence[str] | None = None,
        replacement: str = "[MASK]",
        batch_size: int = 32,
    ) -> None:
        if labels is not None and not _are_names(labels):
            raise InputError(
                f"Labels are a list of strings, one for each class. Got {labels!r}.",
                hint="Leave them out where the classes have no names.",
            )
        self._given = BlackBox(
            predict_fn, tokenizer=tokenizer, replacement=replacement, batch_size=batch_size
        )
        self.labels = None if labels is None else tuple(labels)

    @property
    def runner(self) -> BlackBox:
        """A black box that has no answer yet: what a method takes in place of a model's runner."""
        given = self._given
        return BlackBox(
            given.predict_fn,
            tokenizer=given.tokenizer,
            replacement=given.replacement,
            batch_size=given.batch_size,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({name_of_function(self._given.predict_fn)})"

    def predict(self, text: str) -> Prediction:
        """Return what the function says about a text.

        Args:
            text: The text.

        Returns:
            Labels and outputs; probabilities too where the outputs are a distribution over classes.

        Raises:
            InputError: The text is empty, or the function's answer cannot be used.
        """
        box = self.runner
        return self._prediction(box, box.encode(text).tokens[0])

    def compute_saliency(
        self,
        text: str | list[str],
        method: str | AttributionMethod = _DEFAULT_METHOD,
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
    ) -> Any:
        """Return how much each word or token contributed to the answer.

        Args:
            text: A text, or a list of them.
            method: A perturbation method's name or object.
            target: A label, an index, several of them, ``"all"``, or ``None`` for the class with the
                highest number.
            against: Another class: the difference target − against is explained.

        Returns:
            An ``Attribution`` with a row for each target, in the unit of what the function returns; a
            list of them for a list of texts.

        Raises:
            InputError: The text, the target or the function's answer cannot be used.
            UnsupportedModelError: The method needs the model itself.
        """
        chosen = self._method(method)
        box = self.runner
        if not isinstance(text, list):
            return self._attribution(box, box.encode(text), chosen, target, against)
        encodings = [box.encode(one) for one in text]
        if encodings:
            box.answers([encoding.tokens[0].texts[0] for encoding in encodings])  # together, in full batches
        return [self._attribution(box, encoding, chosen, target, against) for encoding in encodings]

    def analyze(
        self,
        text: str,
        *,
        method: str | AttributionMethod = _DEFAULT_METHOD,
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        show: bool | None = None,
    ) -> Report:
        """Explain an answer: what the function says, and what in the text it rests on.

        Args:
            text: The text.
            method: A perturbation method's name or object.
            target: What to explain, as ``compute_saliency`` takes it.
            against: Another class: the difference target − against is explained.
            show: Whether to show the report now; when left out a notebook shows the value returned, and
                a script or terminal gets colored text.

        Returns:
            The report; ``report.save("x.html")`` keeps it.
        """
        chosen = self._method(method)
        box = self.runner
        encoding = box.encode(text)
        saliency = self._attribution(box, encoding, chosen, target, against)
        report = Report(
            prediction=self._prediction(box, encoding.tokens[0]),
            attributions=(saliency,),
            provenance=saliency.provenance,
        )
        return shown(report, show)

    def compute_attention(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: attention is inside the model, and a function from texts to numbers shows none of it.

        Raises:
            UnsupportedModelError: Always.
        """
        raise UnsupportedModelError(
            "A predict_fn gives values only: the model's attention cannot be seen.",
            hint="Load the model itself with ModelVisualizer or GenerativeModelVisualizer.",
        )

    def plot_attention(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse, as ``compute_attention`` does.

        Raises:
            UnsupportedModelError: Always.
        """
        self.compute_attention()

    def _method(self, method: str | AttributionMethod) -> AttributionMethod:
        chosen = method_of(_DEFAULT_METHOD if method == "default" else method)
        if not takes_black_box(chosen):
            raise UnsupportedModelError(
                f"The method {chosen.name!r} needs the model itself, and a predict_fn gives values only.",
                hint=perturbation_hint(),
            )
        return chosen

    def _attribution(
        self,
        box: BlackBox,
        encoding: Encoding,
        method: AttributionMethod,
        target: ClassName | Sequence[ClassName] | None,
        against: ClassName | None,
    ) -> Attribution:
        started = time.perf_counter()
        tokens = encoding.tokens[0]
        targets = self._targets(self._outputs(box, tokens), target, against)
        scores = method(box, encoding, targets)  # pyright: ignore[reportArgumentType]
        parameters = parameters_of(method)
        replacement = box.replacement_named(parameters.get("replacement", "default"))
        return attribution_of(
            method,
            scores,
            0,
            tokens=tokens,
            targets=targets,
            valid=np.ones((len(targets), len(tokens)), dtype=bool),
            parameters=parameters | {"replacement": replacement},
            provenance=replace(self._provenance(), seconds=time.perf_counter() - started),
        )

    def _outputs(self, box: BlackBox, tokens: Tokens) -> Float[np.ndarray, " classes"]:
        outputs = box.answers(tokens.texts)[0]
        if self.labels is not None and len(self.labels) != len(outputs):
            raise InputError(
                f"There are {len(self.labels)} labels, and predict_fn returned {len(outputs)} numbers.",
                hint="Pass a label for each number, or leave labels out.",
            )
        return outputs

    def _labels(self, outputs: Float[np.ndarray, " classes"]) -> tuple[str, ...]:
        if self.labels is not None:
            return self.labels
        return ("output",) if len(outputs) == 1 else tuple(f"class {i}" for i in range(len(outputs)))

    def _targets(
        self,
        outputs: Float[np.ndarray, " classes"],
        target: ClassName | Sequence[ClassName] | None,
        against: ClassName | None,
    ) -> tuple[Target, ...]:
        """Return the targets a caller named, as what the function returns for them, in no unit we know."""
        labels = self._labels(outputs)
        classes = SimpleNamespace(num_labels=len(labels), id2label=dict(enumerate(labels)))
        wanted = int(outputs.argmax()) if target is None else target
        named = resolve_targets(classes, wanted, against, "logit")
        return tuple(
            replace(
                one,
                task=BLACK_BOX,
                quantity="custom",
                name=" − ".join((*one.labels, *one.against_labels)),
            )
            for one in named
        )

    def _prediction(self, box: BlackBox, tokens: Tokens) -> Prediction:
        outputs = self._outputs(box, tokens)
        is_distribution = len(outputs) > 1 and (outputs >= 0).all() and abs(outputs.sum() - 1) <= _SUMS_TO_ONE
        return Prediction(
            tokens=tokens,
            labels=self._labels(outputs),
            logits=outputs,
            probabilities=outputs if is_distribution else None,
            problem="single_label" if len(outputs) > 1 else "regression",
        )

    def _provenance(self) -> Provenance:
        tokenizer = self._given.tokenizer
        return Provenance(
            model=f"predict_fn {name_of_function(self._given.predict_fn)}",
            task=BLACK_BOX,
            tokenizer="words of the text" if tokenizer is None else type(tokenizer).__name__,
            versions=versions_of("numpy"),
        )


def _are_names(labels: object) -> bool:
    is_list = isinstance(labels, Sequence) and not isinstance(labels, str) and len(labels) > 0
    return is_list and all(isinstance(label, str) for label in labels)  # pyright: ignore[reportGeneralTypeIssues]
