"""BlackBoxVisualizer: explains a classifier or a generator that is known only by its answers."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, NoReturn, overload

import numpy as np
from jaxtyping import Float

from model_understanding.attribution.choose import MethodChoice, method_of
from model_understanding.attribution.isolation import Errors, attempted, isolated, skips
from model_understanding.attribution.protocol import AttributionMethod
from model_understanding.attribution.run import attribution_of, parameters_of
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.perturbation.black_box import BLACK_BOX, BlackBox, perturbation_hint, takes_black_box
from model_understanding.results import Attribution, Failure, Prediction, Provenance, Report, Target
from model_understanding.results.provenance import versions_of
from model_understanding.results.target import name_of_function
from model_understanding.targets.classification import ClassName, resolve_targets
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens
from model_understanding.visualizers.plotting import PlotsSaliency, show_if_wanted
from model_understanding.visualizers.texts import texts_of

_DEFAULT_METHOD = "shapley_sampling"
_ROUNDING = 1e-3  # how far rounded probabilities of an API may be from a sum of 1


class BlackBoxVisualizer(PlotsSaliency):
    """Explain a function from texts to numbers, such as a model behind an API.

    Perturbation methods remove parts of the text and call the function again; what is explained is the number
    that it returns, whatever its unit. A generator is explained by a function that returns, for example, the
    log-probability of one answer after each text.

    Args:
        predict_fn: From a list of B texts to an array of shape ``(B, C)``, a number for each class
            (probabilities or logits), or ``(B,)``, one number for each text. Its exceptions pass through.
        tokenizer: A transformers tokenizer whose tokens are removed; the text's words if left out.
        labels: Names of the C classes; ``class 0`` and so on if left out.
        replacement: What replaces each removed token in the text, such as a mask that the model knows, or
            ``"delete"`` to remove tokens without replacement.
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
        *,
        tokenizer: Any = None,
        labels: Sequence[str] | None = None,
        replacement: str = "[MASK]",
        batch_size: int = 32,
    ) -> None:
        if labels is not None and not _are_names(labels):
            raise InputError(
                f"labels must be a list of strings, one for each class. Got {labels!r}.",
                hint="Leave labels out if the classes have no names.",
            )
        self._black_box = BlackBox(
            predict_fn, tokenizer=tokenizer, replacement=replacement, batch_size=batch_size
        )
        self.labels = None if labels is None else tuple(labels)

    @property
    def runner(self) -> BlackBox:
        """A black box without answers so far: what a method takes in place of a model's runner."""
        black_box = self._black_box
        return BlackBox(
            black_box.predict_fn,
            tokenizer=black_box.tokenizer,
            replacement=black_box.replacement,
            batch_size=black_box.batch_size,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({name_of_function(self._black_box.predict_fn)})"

    @overload
    def predict(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self,
        text: str,
        *,
        errors: Errors = "raise",
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        text: Iterable[str],
        *,
        errors: Literal["raise"] = "raise",
    ) -> list[Prediction]: ...
    @overload
    def predict(
        self,
        text: Iterable[str],
        *,
        errors: Errors,
    ) -> list[Prediction | Failure]: ...
    def predict(
        self,
        text: str | Iterable[str],
        *,
        errors: Errors = "raise",
    ) -> Prediction | list[Prediction] | list[Prediction | Failure]:
        """Return what the function returns for a text.

        Args:
            text: A text, or many of them, as ``compute_saliency`` takes them.
            errors: What to do with a text that fails, of many: as ``compute_saliency`` takes it.

        Returns:
            Labels and outputs; probabilities too if the outputs are a distribution over classes. A list of
            these for many texts.

        Raises:
            InputError: The text is empty, or the function's output cannot be used.
        """
        skips(errors)
        box, (texts, several) = self.runner, texts_of(text, pairs=True)
        if not several:
            return self._prediction(box, box.encode(texts[0]).tokens[0])
        return self._each(box, texts, errors, lambda encoding: self._prediction(box, encoding.tokens[0]))

    @overload
    def compute_saliency(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self,
        text: str,
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Errors = "raise",
    ) -> Attribution: ...
    @overload
    def compute_saliency(
        self,
        text: Iterable[str],
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Literal["raise"] = "raise",
    ) -> list[Attribution]: ...
    @overload
    def compute_saliency(
        self,
        text: Iterable[str],
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Errors,
    ) -> list[Attribution | Failure]: ...
    def compute_saliency(
        self,
        text: str | Iterable[str],
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Errors = "raise",
    ) -> Attribution | list[Attribution] | list[Attribution | Failure]:
        """Return how much each word or token contributed to the answer.

        Args:
            text: A text; or many of them: a list, ``pandas.Series``, array, column of a data set or
                generator.
            method: A perturbation method's name or object; ``"default"`` is ``shapley_sampling``.
            target: A label, an index, several of them, ``"all"``, or ``None`` for the class with the
                highest number.
            against: Another class: the difference target − against is explained.
            errors: Of many texts, what to do with one that fails: ``"raise"`` its error, or ``"skip"`` it.
                Then a ``Failure``, which is false, stands in its place with the reason.

        Returns:
            An ``Attribution`` with a row for each target, in the unit of what the function returns; a
            list of them, in order, for many texts.

        Raises:
            InputError: The text, the target or the function's output cannot be used.
            UnsupportedModelError: The method needs the model itself.
        """
        skips(errors)
        perturbation = self._method(method)
        box, (texts, several) = self.runner, texts_of(text, pairs=True)
        if not several:
            return self._attribution(box, box.encode(texts[0]), perturbation, target, against)
        return self._each(
            box,
            texts,
            errors,
            lambda encoding: self._attribution(box, encoding, perturbation, target, against),
        )

    @overload
    def analyze(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable of strings
        self,
        text: str,
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Errors = "raise",
        show: bool | None = None,
    ) -> Report: ...
    @overload
    def analyze(
        self,
        text: Iterable[str],
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Literal["raise"] = "raise",
        show: bool | None = None,
    ) -> list[Report]: ...
    @overload
    def analyze(
        self,
        text: Iterable[str],
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Errors,
        show: bool | None = None,
    ) -> list[Report | Failure]: ...
    def analyze(
        self,
        text: str | Iterable[str],
        *,
        method: MethodChoice = "default",
        target: ClassName | Sequence[ClassName] | None = None,
        against: ClassName | None = None,
        errors: Errors = "raise",
        show: bool | None = None,
    ) -> Report | list[Report] | list[Report | Failure]:
        """Explain an answer: what the function returns, and how much each word or token contributed to it.

        Args:
            text: A text, or many of them, as ``compute_saliency`` takes them.
            method: A perturbation method's name or object, as ``compute_saliency`` takes it.
            target: What to explain, as ``compute_saliency`` takes it.
            against: Another class: the difference target − against is explained.
            errors: What to do with a text that fails, of many: as ``compute_saliency`` takes it.
            show: Whether to show the report now. If left out, a notebook shows the returned value, and a
                script or terminal gets colored text. Reports of many texts are not shown unless ``True``.

        Returns:
            The ``Report``; ``report.save("x.html")`` saves it. A list of reports, in order, for many texts.

        Raises:
            InputError: The text, the target or the function's output cannot be used.
            UnsupportedModelError: The method needs the model itself.
        """
        skips(errors)
        perturbation = self._method(method)
        box, (texts, several) = self.runner, texts_of(text, pairs=True)

        def report(encoding: Encoding) -> Report:
            saliency = self._attribution(box, encoding, perturbation, target, against)
            return Report(
                prediction=self._prediction(box, encoding.tokens[0]),
                attributions=(saliency,),
                provenance=saliency.provenance,
            )

        if not several:
            return show_if_wanted(report(box.encode(texts[0])), show)
        reports = self._each(box, texts, errors, report)
        for result in reports if show else ():
            if isinstance(result, Report):
                result.show()
        return reports

    def _each(
        self, box: BlackBox, texts: Sequence[Any], errors: Errors, call: Callable[[Encoding], Any]
    ) -> list[Any]:
        """Return what a call returns for each text, or why it failed; the texts are asked in full batches."""
        count = len(texts)
        encodings = [
            attempted(partial(box.encode, text), errors, index, count) for index, text in enumerate(texts)
        ]
        read = [index for index, encoding in enumerate(encodings) if not isinstance(encoding, Failure)]

        def ask(members: Sequence[int]) -> dict[int, None]:
            box.predictions([encodings[index].tokens[0].texts[0] for index in members])  # pyright: ignore[reportAttributeAccessIssue]
            return dict.fromkeys(members)

        failed = {index: asked for index, asked in isolated(ask, read, errors).items() if asked is not None}
        encodings = [failed.get(index, encoding) for index, encoding in enumerate(encodings)]
        return [
            encoding
            if isinstance(encoding, Failure)
            else attempted(partial(call, encoding), errors, index, count)
            for index, encoding in enumerate(encodings)
        ]

    def compute_attention(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: attention is inside the model, which a function from texts to numbers does not show.

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

    def _method(self, method: MethodChoice) -> AttributionMethod:
        perturbation = method_of(_DEFAULT_METHOD if method == "default" else method)
        if not takes_black_box(perturbation):
            raise UnsupportedModelError(
                f"The method {perturbation.name!r} needs the model itself; a predict_fn gives values only.",
                hint=perturbation_hint(),
            )
        return perturbation

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
        outputs = box.predictions(tokens.texts)[0]
        if self.labels is not None and len(self.labels) != len(outputs):
            raise InputError(
                f"Got {len(self.labels)} label{'s' * (len(self.labels) != 1)}, but predict_fn returned "
                f"{len(outputs)} numbers for a text.",
                hint="Pass one label for each number, or leave labels out.",
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
        """Return the caller's targets; their values are what the function returns, in its own unit."""
        labels = self._labels(outputs)
        classes = SimpleNamespace(num_labels=len(labels), id2label=dict(enumerate(labels)))
        target = int(outputs.argmax()) if target is None else target
        return tuple(
            replace(
                resolved,
                task=BLACK_BOX,
                quantity="custom",
                name=" − ".join((*resolved.labels, *resolved.against_labels)),
            )
            for resolved in resolve_targets(classes, target, against, "logit")
        )

    def _prediction(self, box: BlackBox, tokens: Tokens) -> Prediction:
        outputs = self._outputs(box, tokens)
        is_distribution = len(outputs) > 1 and (outputs >= 0).all() and abs(outputs.sum() - 1) <= _ROUNDING
        return Prediction(
            tokens=tokens,
            labels=self._labels(outputs),
            logits=outputs,
            probabilities=outputs if is_distribution else None,
            problem="single_label" if len(outputs) > 1 else "regression",
        )

    def _provenance(self) -> Provenance:
        tokenizer = self._black_box.tokenizer
        return Provenance(
            model=f"predict_fn {name_of_function(self._black_box.predict_fn)}",
            task=BLACK_BOX,
            tokenizer="words of the text" if tokenizer is None else type(tokenizer).__name__,
            versions=versions_of("numpy"),
        )


def _are_names(labels: object) -> bool:
    is_list = isinstance(labels, Sequence) and not isinstance(labels, str) and len(labels) > 0
    return is_list and all(isinstance(label, str) for label in labels)  # pyright: ignore[reportGeneralTypeIssues]
