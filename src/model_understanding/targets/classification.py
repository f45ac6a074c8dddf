"""Targets of a sequence classifier: its classes, and their probabilities."""

import difflib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from model_understanding.checks import index_in, is_whole, one_of
from model_understanding.errors import InputError
from model_understanding.results import Prediction, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.statistics import sigmoid, softmax
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION
from model_understanding.tokens import Tokens

ClassName = str | int
OutputActivation = Literal["softmax", "sigmoid", "identity"]
"""The function that turns logits into probabilities."""


def problem_of(config: Any) -> str:
    """Return ``single_label``, ``multi_label`` or ``regression``, by the rule transformers trains with.

    Args:
        config: The model's config.

    Returns:
        The kind of problem.
    """
    problem_type = getattr(config, "problem_type", None)
    if problem_type == "multi_label_classification":
        return "multi_label"
    if problem_type == "regression" or config.num_labels == 1:
        return "regression"
    return "single_label"


def output_activation(config: Any) -> OutputActivation:
    """Return the output activation of a classifier; ``identity`` for a regression.

    Args:
        config: The model's config.
    """
    activations: dict[str, OutputActivation] = {
        "single_label": "softmax",
        "multi_label": "sigmoid",
        "regression": "identity",
    }
    return activations[problem_of(config)]


def labels_of(config: Any) -> tuple[str, ...]:
    """Return the names of the classes, in the model's order."""
    names = {int(index): str(name) for index, name in (config.id2label or {}).items()}
    return tuple(names.get(index, f"LABEL_{index}") for index in range(config.num_labels))


def prediction_of(config: Any, tokens: Tokens, logits: Float[np.ndarray, " classes"]) -> Prediction:
    """Return a classifier's prediction from its logits.

    Args:
        config: The model's config.
        tokens: The model's input.
        logits: The logits of one text.

    Returns:
        Labels, logits and probabilities.
    """
    return prediction_reader(config)(tokens, logits)


def prediction_reader(config: Any) -> Callable[[Tokens, Float[np.ndarray, " classes"]], Prediction]:
    """Return ``prediction_of`` for many texts of a classifier, whose config takes long to read.

    Args:
        config: The model's config.
    """
    return partial(_prediction, problem_of(config), labels_of(config))


def _prediction(
    problem: str, labels: tuple[str, ...], tokens: Tokens, logits: Float[np.ndarray, " classes"]
) -> Prediction:
    precise = logits.astype(np.float64)
    if problem == "single_label":
        probabilities = softmax(precise)
    else:
        probabilities = sigmoid(precise) if problem == "multi_label" else None
    return Prediction(
        tokens=tokens, labels=labels, logits=logits, probabilities=probabilities, problem=problem
    )


def resolve_targets(
    config: Any,
    target: ClassName | Sequence[ClassName],
    against: ClassName | None,
    quantity: Quantity,
) -> tuple[Target, ...]:
    """Return the targets for the classes a caller named.

    Args:
        config: The model's config.
        target: A label, an index, several of them, or ``"all"``.
        against: The contrast class, or ``None``.
        quantity: ``logit``, ``log_prob`` or ``prob``.

    Returns:
        One target for each class.

    Raises:
        InputError: A label or index does not exist, or the quantity does not fit the problem.
    """
    problem, labels = problem_of(config), labels_of(config)
    one_of(quantity, "quantity", QUANTITIES)
    if problem == "regression" and quantity != "logit":
        raise InputError(
            f"A regression model has no {quantity!r}: it predicts values, not probabilities.",
            hint="Pass quantity='logit'.",
        )
    if isinstance(target, str) and target == "all" and "all" not in labels:
        indices = list(range(len(labels)))
    elif isinstance(target, Sequence) and not isinstance(target, str):
        indices = [class_index(labels, name) for name in target]
    else:
        indices = [class_index(labels, target)]
    if not indices:
        raise InputError("No target class is given.", hint="Pass a label, an index, or target='all'.")
    contrast = () if against is None else (class_index(labels, against),)
    if contrast and contrast[0] in indices:
        raise InputError(
            f"The target and its contrast are both {labels[contrast[0]]!r}.",
            hint="Pass a different class as against.",
        )
    return tuple(
        Target(
            task=SEQUENCE_CLASSIFICATION,
            indices=(index,),
            labels=(labels[index],),
            against=contrast,
            against_labels=tuple(labels[i] for i in contrast),
            quantity=quantity,
        )
        for index in indices
    )


def class_index(labels: Sequence[str], name: ClassName) -> int:
    """Return the index of a class given by label or index.

    Args:
        labels: All labels.
        name: A label (exact, else ignoring case), or an index, counted from the end where negative.

    Returns:
        The index.

    Raises:
        InputError: There is no such class.

    >>> class_index(("negative", "positive"), "Positive")
    1
    """
    listed = ", ".join(labels[:20]) + (" …" if len(labels) > 20 else "")
    if is_whole(name):
        return index_in(name, len(labels), "class")
    if not isinstance(name, str):
        raise InputError(
            f"A class must be a label or an index. Got {name!r}.", hint=f"Pass one of {listed}, or an index."
        )
    if labels.count(name) > 1:
        raise InputError(
            f"{labels.count(name)} classes have the label {name!r}.", hint="Pass the index of the class."
        )
    if name in labels:
        return labels.index(name)
    folded = [label.casefold() for label in labels]
    if folded.count(name.casefold()) == 1:
        return folded.index(name.casefold())
    if name.removeprefix("-").isdecimal():  # the command line knows only strings
        return class_index(labels, int(name))
    close = difflib.get_close_matches(name, labels, n=1)
    raise InputError(
        f"Unknown label {name!r}. Allowed: {listed}.",
        hint=f"Did you mean {close[0]!r}?" if close else "Pass one of these labels, or an index.",
    )
