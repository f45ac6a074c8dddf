"""Targets of models that read each of several choices beside a question: one of them by name."""

from collections.abc import Sequence

from model_understanding.checks import index_in, is_whole, one_of
from model_understanding.errors import InputError
from model_understanding.results import Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.classification import OutputActivation
from model_understanding.targets.names import MULTIPLE_CHOICE, SEQUENCE_CLASSIFICATION

_SHOWN, _LENGTH = 10, 60  # choices that a message lists, characters of each


def choice_index(names: Sequence[str], name: str | int, what: str = "choices") -> int:
    """Return the index of a choice given by its text or index.

    Args:
        names: All choices.
        name: A choice (exact, else ignoring case), or an index, counted from the end where negative.
        what: What the choices are, in the plural.

    Raises:
        InputError: There is no such choice.

    >>> choice_index(("at home", "at work"), "At work"), choice_index(("at home", "at work"), -1)
    (1, 1)
    """
    if is_whole(name):
        return index_in(name, len(names), what.removesuffix("s"), "the input")
    listed = ", ".join(repr(each[:_LENGTH]) for each in names[:_SHOWN]) + (
        " …" if len(names) > _SHOWN else ""
    )
    hint = f"Pass one of them, or an index from 0 to {len(names) - 1}."
    if not isinstance(name, str):
        raise InputError(f"One of the {what} is named by its text or index. Got {name!r:.60}.", hint=hint)
    for folded in (lambda text: text, str.casefold):
        indices = [index for index, each in enumerate(names) if folded(each) == folded(name)]
        if len(indices) > 1:
            raise InputError(
                f"{len(indices)} of the {what} are {name[:_LENGTH]!r}.",
                hint=f"Pass the index: {' or '.join(map(str, indices))}.",
            )
        if indices:
            return indices[0]
    if name.removeprefix("-").isdecimal():  # the command line knows only strings
        return choice_index(names, int(name), what)
    raise InputError(f"{name[:_LENGTH]!r} is none of the {what}: {listed}.", hint=hint)


def choice_target(name: str, quantity: Quantity) -> Target:
    """Return the logit of one choice as a target: the only output for a question and this choice.

    Args:
        name: The choice.
        quantity: ``logit``.

    Raises:
        InputError: The quantity depends on the other choices.
    """
    _only_logit(quantity, "choice")
    return Target(task=MULTIPLE_CHOICE, indices=(0,), labels=(name,), quantity=quantity)


def hypothesis_target(
    name: str,
    entailment: int,
    contradiction: int | None,
    classes: Sequence[str],
    quantity: Quantity,
    activation: OutputActivation = "softmax",
) -> Target:
    """Return what a model of entailment says of one label as a target.

    ``logit(entailment)``, minus ``logit(contradiction)`` where each label is judged by itself. Its
    probability is then ``sigmoid(logit(entailment) − logit(contradiction))``: of two classes the softmax over
    them.

    Args:
        name: The label.
        entailment: Index of the class that says that the text entails the label's hypothesis.
        contradiction: Index of the class that says the opposite; ``None`` if it does not count.
        classes: Names of the model's classes.
        quantity: ``logit``; of a label that is judged by itself by a softmax over two classes also
            ``log_prob`` or ``prob``.
        activation: The model's output activation.

    Raises:
        InputError: The quantity depends on the other labels, or cannot be read from the model's outputs.
    """
    if contradiction is None:
        _only_logit(quantity, "label")
    elif quantity != "logit" and (len(classes) > 2 or activation != "softmax"):
        raise InputError(
            f"quantity={quantity!r} is not possible: the probability of a label is a sigmoid of "
            f"{classes[entailment]} − {classes[contradiction]}, which is no output of the model: its own "
            f"probabilities are {_own_probabilities(len(classes), activation)}.",
            hint="Pass quantity='logit', the difference: the probability is higher exactly where it is.",
        )
    elif quantity != "logit":
        contradiction = None  # the softmax over both is the sigmoid of their difference
    return Target(
        task=SEQUENCE_CLASSIFICATION,
        indices=(entailment,),
        labels=(classes[entailment],),
        against=() if contradiction is None else (contradiction,),
        against_labels=() if contradiction is None else (classes[contradiction],),
        quantity=quantity,
        name=name,
    )


def _own_probabilities(classes: int, activation: OutputActivation) -> str:
    return f"a softmax over {classes} classes" if activation == "softmax" else f"those of the {activation}"


def _only_logit(quantity: Quantity, what: str) -> None:
    if one_of(quantity, "quantity", QUANTITIES) != "logit":
        raise InputError(
            f"quantity={quantity!r} is not possible: the probability of a {what} depends on all of them, and "
            "the model reads each by itself.",
            hint="Pass quantity='logit': differences of logits are differences of log-probabilities.",
        )
