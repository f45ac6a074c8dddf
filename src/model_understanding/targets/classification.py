"""Sequence classification: classes, their probabilities, and what a target means."""

import difflib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from model_understanding.errors import InputError
from model_understanding.results import Prediction, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION
from model_understanding.tokens import Tokens

ClassName = str | int
OutputActivation = Literal["softmax", "sigmoid", "identity"]
"""What turns logits into probabilities."""


def problem_of(config: Any) -> str:
    """Return ``single_label``, ``multi_label`` or ``regression``, by the rule transformers trains with.

    Args:
        config: The model's configuration.

    Returns:
        The kind of problem.
    """
    declared = getattr(config, "problem_type", None)
    if declared == "multi_label_classification":
        return "multi_label"
    if declared == "regression" or config.num_labels == 1:
        return "regression"
    return "single_label"


def output_activation(config: Any) -> OutputActivation:
    """Return what turns the logits of a classifier into probabilities; ``identity`` for a regression.

    Args:
        config: The model's configuration.
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
    """Return a classifier's answer from its logits.

    Args:
        config: The model's configuration.
        tokens: What the model saw.
        logits: The logits of one text.

    Returns:
        Labels, logits and probabilities.
    """
    problem = problem_of(config)
    values = logits.astype(np.float64)
    if problem == "single_label":
        exponentials = np.exp(values - values.max())
        probabilities = exponentials / exponentials.sum()
    else:
        probabilities = np.exp(-np.logaddexp(0, -values)) if problem == "multi_label" else None
    return Prediction(
        tokens=tokens, labels=labels_of(config), logits=logits, probabilities=probabilities, problem=problem
    )


def resolve_targets(
    config: Any,
    target: ClassName | Sequence[ClassName],
    against: ClassName | None,
    quantity: Quantity,
) -> tuple[Target, ...]:
    """Return the targets a caller named.

    Args:
        config: The model's configuration.
        target: A label, an index, several of them, or ``"all"``.
        against: The contrast class, or ``None``.
        quantity: ``logit``, ``log_prob`` or ``prob``.

    Returns:
        One target for each class asked for.

    Raises:
        InputError: A label or index does not exist, or the quantity does not fit the problem.
    """
    problem, labels = problem_of(config), labels_of(config)
    if quantity not in QUANTITIES:
        raise InputError(
            f"Quantity {quantity!r} is unknown. Allowed: {', '.join(QUANTITIES)}.",
            hint="Use quantity='logit' unless you need another.",
        )
    if problem == "regression" and quantity != "logit":
        raise InputError(
            f"A regression model has no {quantity!r}: its outputs are the values themselves.",
            hint="Use quantity='logit'.",
        )
    if isinstance(target, str) and target == "all" and "all" not in labels:
        wanted: list[int] = list(range(len(labels)))
    elif isinstance(target, Sequence) and not isinstance(target, str):
        wanted = [class_index(labels, name) for name in target]
    else:
        wanted = [class_index(labels, target)]
    if not wanted:
        raise InputError("No class was chosen.", hint="Pass a label, an index, or target='all'.")
    contrast = () if against is None else (class_index(labels, against),)
    if contrast and contrast[0] in wanted:
        raise InputError(
            f"The target and its contrast are both {labels[contrast[0]]!r}.",
            hint="Pass another class as against.",
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
        for index in wanted
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
    count = len(labels)
    if isinstance(name, bool) or not isinstance(name, str | int | np.integer):
        raise InputError(
            f"A class is a label or an index. Got {name!r}.", hint=f"Labels: {', '.join(labels[:20])}."
        )
    if not isinstance(name, str):
        if -count <= name < count:
            return int(name) % count
        raise InputError(
            f"There is no class {name}: the model has {count}.", hint=f"Pass an index from 0 to {count - 1}."
        )
    if labels.count(name) > 1:
        raise InputError(f"{labels.count(name)} classes are named {name!r}.", hint="Pass the index of one.")
    if name in labels:
        return labels.index(name)
    folded = [label.casefold() for label in labels]
    if folded.count(name.casefold()) == 1:
        return folded.index(name.casefold())
    if name.removeprefix("-").isdecimal():  # the command line knows only strings
        return class_index(labels, int(name))
    close = difflib.get_close_matches(name, labels, n=1)
    listed = ", ".join(labels[:20]) + (" …" if count > 20 else "")
    raise InputError(
        f"There is no label {name!r}. Allowed: {listed}.",
        hint=f"Did you mean {close[0]!r}?" if close else "Pass one of these labels or an index.",
    )
