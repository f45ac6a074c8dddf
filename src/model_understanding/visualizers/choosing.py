"""What the visualizers share whose models read each of several texts beside a question, and compare them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from model_understanding.errors import InputError
from model_understanding.results import Choices, Target
from model_understanding.results.target import Quantity
from model_understanding.targets.choices import choice_index
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import tokenize
from model_understanding.visualizers.answering import AnsweringVisualizer, Explained

ChoiceName = str | int
Question = tuple[str, Sequence[str]] | Mapping[str, Any]
QuestionT = TypeVar("QuestionT")
MOST_MAPS = 10
"""Choices whose maps a report has if nobody says which: each costs as much as a text."""


class Compared(NamedTuple):
    """What a model says of C choices.

    Args:
        values: Logit, score or similarity of each.
        probabilities: Probability of each; ``None`` if the model gives none.
        multi_label: Whether each probability is that of one choice by itself.
        quantity: What the values are.
    """

    values: Float[np.ndarray, " choices"]
    probabilities: Float[np.ndarray, " choices"] | None
    multi_label: bool = False
    quantity: str = "logit"


class ChoosingVisualizer(AnsweringVisualizer[QuestionT, ChoiceName, Choices]):
    """Base of the visualizers whose models read each of several texts beside a question.

    A report has a map for each choice, the best one first (of more than ten, for the first ten, or
    ``target="all"`` for each): what a model says of a choice depends on the question and this choice alone.
    """

    kind: ClassVar[str]
    """``Choices.kind``."""
    keys: ClassVar[tuple[str, str]] = ("question", "choices")
    """The keys of an input that is a mapping."""

    # What a kind of model has to say, or can do otherwise.

    def _compared(self, answers: Sequence[Any]) -> Compared:
        """Return what the answers to all choices of a question say together."""
        raise NotImplementedError

    def _target(self, name: str, choices: int, quantity: Quantity) -> Target:
        """Return what is explained of the model's outputs for one of several choices.

        Args:
            name: The choice.
            choices: How many there are.
            quantity: What is read from the logits.

        Raises:
            InputError: There is no such quantity.
        """
        raise NotImplementedError

    def _pair(self, question: str, choice: str) -> tuple[str, str]:
        """Return the two texts that the model reads for a choice."""
        return question, choice

    def _question_and_choices(self, text: Any) -> tuple[str, tuple[str, ...]]:
        """Return the question and the choices of an input, whatever its form.

        Raises:
            InputError: It is no tuple or mapping of both, or there is no choice.
        """
        first, second = self.keys
        hint = f'Pass ({first}, [{second}, …]), {{"{first}": …, "{second}": […]}}, or a list of these.'
        if isinstance(text, Mapping):
            missing = [name for name in self.keys if name not in text]
            if missing:
                raise InputError(
                    f"The input has no {' and no '.join(missing)}. Got the keys {', '.join(map(str, text))}.",
                    hint=hint,
                )
            text = (text[first], text[second])
        if not isinstance(text, tuple) or len(text) != 2 or not isinstance(text[0], str):
            raise InputError(f"The input is no {first} with {second}: {str(text)[:60]!r}.", hint=hint)
        question: str = text[0]
        choices: Any = text[1]
        if isinstance(choices, str | Mapping) or not isinstance(choices, Iterable):
            choices = (choices,)
        choices = tuple(choices)
        if not choices or not all(isinstance(choice, str) for choice in choices):
            raise InputError(f"The {second} must be one text or more. Got {str(text[1])[:60]}.", hint=hint)
        if "" in choices:
            raise InputError(
                f"One of the {second} is empty: {second}[{choices.index('')}].",
                hint="Pass at least one character.",
            )
        return question, choices

    # How these are explained.

    def _encode(self, text: Any) -> Encoding:
        return self.runner.model.encode(*tokenize(self.tokenizer, *text))

    def _encodings(self, text: QuestionT) -> tuple[Encoding, ...]:
        question, choices = self._question_and_choices(text)
        return tuple(self._encode(self._pair(question, choice)) for choice in choices)

    def _joined(self, text: QuestionT, encodings: Sequence[Encoding], answers: Sequence[Any]) -> Choices:
        question, choices = self._question_and_choices(text)
        compared = self._compared(answers)
        return Choices(
            kind=self.kind,
            tokens=encodings[int(np.argmax(compared.values))].tokens[0],
            question=question,
            names=choices,
            values=compared.values,
            probabilities=compared.probabilities,
            quantity=compared.quantity,
            multi_label=compared.multi_label,
        )

    def _needs_answer(self, target: Any, against: ChoiceName | None) -> bool:
        return target is None or target == "all" or callable(target)

    def _check_target(self, target: Any, against: ChoiceName | None, quantity: Quantity) -> None:
        if against is not None:
            raise InputError(
                f"against={against!r} is not possible: the model reads each of the {self.keys[1]} by "
                "itself, so that no single text has the difference of two.",
                hint="Leave it out: a report has a map for each, and its answer their values.",
            )
        self._target("", 2, quantity)

    def _explained(
        self,
        text: QuestionT,
        encodings: Sequence[Encoding],
        answer: Choices | None,
        target: Any,
        against: ChoiceName | None,
        quantity: Quantity,
    ) -> list[Explained]:
        _, names = self._question_and_choices(text)
        if target is None or (target == "all" and "all" not in names):
            assert answer is not None
            chosen = list(answer.ranking)[: None if target == "all" else MOST_MAPS]
        elif callable(target):
            assert answer is not None
            return [Explained(encodings[answer.index], self._function_targets(target))]
        elif isinstance(target, Sequence) and not isinstance(target, str):
            chosen = [choice_index(names, name, self.keys[1]) for name in target]
        else:
            chosen = [choice_index(names, target, self.keys[1])]
        if not chosen:
            raise InputError(
                f"None of the {self.keys[1]} is given as target.", hint="Leave target out for all."
            )
        return [
            Explained(encodings[index], (self._target(names[index], len(names), quantity),))
            for index in chosen
        ]
