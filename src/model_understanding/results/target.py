"""The target of an explanation: one scalar of the model's output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import visible_text

Quantity = Literal["logit", "log_prob", "prob", "loss", "custom"]
LANGUAGE_TASKS = ("causal-lm", "seq2seq-lm")
"""Tasks whose logits at a position predict the next token: their targets are steps of a generation."""
QUANTITIES: tuple[str, ...] = ("logit", "log_prob", "prob")
QUANTITY_NAMES = {"logit": "logit", "log_prob": "log-probability", "prob": "probability"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(JsonResult):
    r"""One scalar of the model's output.

    ``value = reduce_p( quantity(logits[position_p], index_p) − quantity(logits[position_p], against_p) )``

    Args:
        task: The model's task, for example ``sequence-classification``.
        positions: Positions of the logits: of tokens, or 0 and 1 for the start and end of an answer; empty
            for a classifier, which has a single row.
        indices: The class or vocabulary ID at each position; of an answer its first and last token.
        labels: Their names.
        against: Class or vocabulary ID to subtract at each position; empty without a contrast.
        against_labels: Their names.
        reduce: How several positions are combined.
        quantity: ``logit``, ``log_prob`` or ``prob``; ``loss`` is −``log_prob``; ``custom`` is a function of
            the caller.
        name: Name of the target, if any, for example ``loss``, ``continuation`` or the text of a span.

    >>> Target(task="sequence-classification", indices=(1,), labels=("positive",)).description()
    'logit of positive'
    """

    task: str
    positions: tuple[int, ...] = ()
    indices: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    against: tuple[int, ...] = ()
    against_labels: tuple[str, ...] = ()
    reduce: Literal["sum", "mean"] = "sum"
    quantity: Quantity = "logit"
    name: str | None = None

    def __post_init__(self) -> None:
        for field in ("positions", "indices", "labels", "against", "against_labels"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if self.positions and len(self.positions) != len(self.indices):
            raise ValueError(
                f"positions and indices must have the same length. Got {len(self.positions)} and "
                f"{len(self.indices)}."
            )
        if self.labels and len(self.labels) != len(self.indices):
            raise ValueError(
                f"labels and indices must have the same length. Got {len(self.labels)} and "
                f"{len(self.indices)}."
            )
        if self.against and len(self.against) != len(self.indices):
            raise ValueError(
                f"indices and against must have the same length. Got {len(self.indices)} and "
                f"{len(self.against)}."
            )

    def description(self) -> str:
        """Return a description of the target, for example ``logit of positive − negative``."""
        if self.quantity == "loss":
            name = self.name or "loss"
            return f"language-model {name if name != 'loss' else 'loss of the prompt'}"
        if self.quantity == "custom":
            name = self.name or "target"
            return name if name.startswith("target") else f"custom target {name}"
        labels = self.name or ", ".join(map(_shown, self.labels[:4]))
        if not self.name and len(self.labels) > 4:
            labels += f" … ({len(self.labels)} in total)"
        # Of tokens that are one target by their mean, each label once.
        others = list(dict.fromkeys(self.against_labels) if self.reduce == "mean" else self.against_labels)
        contrast = f" − {', '.join(map(_shown, others[:4]))}" if self.against else ""
        if len(others) > 4:
            contrast += " …"
        if self.task == "sentence-similarity":  # its only output is no logit
            return f"{', '.join(self.labels)}"
        return f"{QUANTITY_NAMES[self.quantity]} of {labels}{contrast}"

    def in_a_sentence(self) -> str:
        """Return the description as a sentence has it, after "the".

        >>> Target(task="sequence-classification", indices=(1,), labels=("positive",), against=(0,),
        ...        against_labels=("negative",)).in_a_sentence()
        'difference in logit between positive and negative'
        """
        if self.name == "continuation" and self.quantity in QUANTITY_NAMES:
            return self.description().replace(" of continuation", " of the continuation", 1)
        if self.name or len(self.labels) != 1 or len(self.against_labels) != 1:
            return self.description()
        first, second = _shown(self.labels[0]), _shown(self.against_labels[0])
        return f"difference in {QUANTITY_NAMES[self.quantity]} between {first} and {second}"


def _shown(label: str) -> str:
    """Return a token as one word: without the blanks around it, and visible if it is blank."""
    return label.strip() or visible_text(label)


def name_of_function(function: Callable[..., Any]) -> str:
    """Return the name of a function, or of the class of a callable object."""
    return getattr(function, "__name__", type(function).__name__)


def function_target(task: str, function: Callable[..., Any]) -> Target:
    """Return the target defined by a caller's function of the model's outputs."""
    return Target(task=task, quantity="custom", name=name_of_function(function))


def sum_of_steps(steps: Sequence[Target]) -> Target:
    """Return the sum of the targets of several generation steps as one target.

    Args:
        steps: Targets of a language model, one per position.

    >>> first, second = (Target(task="causal-lm", positions=(at,), indices=(at + 5,)) for at in (1, 2))
    >>> sum_of_steps([second, first]).indices
    (6, 7)
    """
    ordered = sorted(steps, key=lambda target: target.positions)
    return replace(
        ordered[0],
        positions=tuple(position for target in ordered for position in target.positions),
        indices=tuple(index for target in ordered for index in target.indices),
        labels=tuple(label for target in ordered for label in target.labels),
        against=tuple(index for target in ordered for index in target.against),
        against_labels=tuple(label for target in ordered for label in target.against_labels),
        reduce="sum",
        name="continuation",
    )
