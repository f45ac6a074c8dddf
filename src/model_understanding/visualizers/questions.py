"""What a caller asks of a language model: checked before anything runs, then targets on each prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.model.model import Model
from model_understanding.passes.predicted_targets import MakeTarget
from model_understanding.results import Target
from model_understanding.results.target import QUANTITIES, Quantity, function_target
from model_understanding.targets.language_model import (
    RUNNER_UP,
    Contrast,
    Span,
    continuation_targets,
    contrast_ids,
    loss_target,
    next_target,
    span_of,
    span_text,
)
from model_understanding.targets.names import CAUSAL_LM
from model_understanding.targets.vocabulary import VocabularyItem, token_text, vocabulary_id
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.generation_record import step_logits

TokenTarget = VocabularyItem | Sequence[VocabularyItem] | Callable[[Any], Any]
_NAMED = ("loss", "continuation", "next")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about a prompt, as ``GenerativeModelVisualizer.compute_saliency`` takes it.

    Args:
        target: ``loss``, ``continuation``, ``next``, a token or several, or a function.
        per_token: Whether each token of the continuation is a target of its own.
        span: The part of the continuation or of the prompt that is explained.
        against: The contrast.
        token: The next token, or several.
        quantity: What is read.

    Raises:
        InputError: The parts do not fit each other.
    """

    target: TokenTarget
    per_token: bool = False
    span: Span | None = None
    against: Contrast | None = None
    token: VocabularyItem | Sequence[VocabularyItem] | None = None
    quantity: Quantity = "log_prob"

    def __post_init__(self) -> None:
        given = "a function" if callable(self.target) else f"target={self.target!r}"
        if self.per_token and self.kind != "continuation":
            raise InputError(
                f"per_token belongs to target='continuation'. Got {given}.",
                hint="Pass target='continuation'.",
            )
        if self.span is not None and self.kind not in ("continuation", "loss"):
            raise InputError(
                f"A span belongs to target='continuation' or 'loss'. Got {given}.",
                hint="Pass target='continuation'.",
            )
        if self.token is not None and self.target != "next":
            raise InputError(
                f"A chosen token belongs to target='next'. Got {given}.", hint="Pass target='next'."
            )
        if self.against is not None and self.kind in ("loss", "function"):
            raise InputError(
                f"A contrast belongs to target='next' or 'continuation'. Got {given}.",
                hint="Pass target='next'.",
            )
        one_of(self.quantity, "quantity", QUANTITIES)
        if self.kind in ("loss", "function") and self.quantity != "log_prob":
            what = "The loss" if self.kind == "loss" else "A function's value"
            raise InputError(
                f"{what} is explained as it is. Got quantity={self.quantity!r}.",
                hint="Leave quantity out, or pass target='next' or 'continuation'.",
            )

    @property
    def kind(self) -> Literal["loss", "continuation", "next", "function"]:
        """What kind of target it is; tokens named by themselves are next tokens."""
        if isinstance(self.target, str) and self.target in _NAMED:
            return self.target  # pyright: ignore[reportReturnType]
        return "function" if callable(self.target) else "next"

    @property
    def function(self) -> Callable[[Any], Any] | None:
        """The caller's function of the model's outputs, where that is the target."""
        return self.target if callable(self.target) else None

    def targets(self, model: Model, encoding: Encoding) -> tuple[Target, ...]:
        """Return the targets on one prompt, or on a prompt and its continuation.

        Args:
            model: The model of a language model.
            encoding: The prompt, with its continuation where ``kind`` is ``continuation``.

        Returns:
            One target, or one for each token asked for.

        Raises:
            InputError: A token, a span or a contrast is not there.
        """
        if self.function is not None:
            return (function_target(CAUSAL_LM, self.function),)
        if self.kind == "loss":
            return (loss_target(encoding.tokens[0], self.span),)
        if self.kind == "continuation":
            return self._continuation(model, encoding)
        return self._next(model, encoding)

    def of_likeliest(self, model: Model) -> MakeTarget | None:
        """Return what makes the target of the likeliest next token, where that is what is asked for."""
        if self.target != "next" or self.token is not None or self.against == RUNNER_UP:
            return None

        def made(token: int, position: int) -> Target:
            against: Any = self.against
            return next_target(model.tokenizer, _vocabulary(model), position, token, against, self.quantity)

        return made

    def _continuation(self, model: Model, encoding: Encoding) -> tuple[Target, ...]:
        tokens, start = encoding.tokens[0], encoding.prompt_length
        assert start is not None
        steps = range(start, len(tokens))
        name: str | None = "continuation"
        if self.span is not None:
            steps = span_of(tokens, steps, self.span, "continuation")
            name = span_text(tokens, steps)
        against: tuple[int, ...] = ()
        if isinstance(self.against, str) and self.against == RUNNER_UP:
            wanted = [int(tokens.ids[step]) for step in steps]
            against = _runners_up(step_logits(model, encoding, steps), wanted)
        elif self.against is not None:
            against = contrast_ids(model.tokenizer, _vocabulary(model), self.against, len(steps))
        return continuation_targets(
            tokens,
            steps,
            per_token=self.per_token,
            quantity=self.quantity,
            against=against,
            against_labels=[token_text(model.tokenizer, other) for other in against],
            name=name,
        )

    def _next(self, model: Model, encoding: Encoding) -> tuple[Target, ...]:
        vocabulary, last = _vocabulary(model), len(encoding.tokens[0]) - 1
        given = self.token if self.target == "next" else self.target
        several = isinstance(given, Sequence) and not isinstance(given, str)
        items: Sequence[Any] = given if several else () if given is None else (given,)  # pyright: ignore[reportAssignmentType]
        if several and not items:
            raise InputError("No token was chosen.", hint="Pass a token, or leave it out for the likeliest.")
        wanted = [vocabulary_id(model.tokenizer, vocabulary, item) for item in items]
        against: list[Any] = [self.against] * max(len(wanted), 1)
        if not wanted or self.against == RUNNER_UP:
            logits = model.logits(encoding, keep_from=last)[0, -1]
            wanted = wanted or [int(logits.argmax())]
            if self.against == RUNNER_UP:
                against = list(_runners_up(logits.expand(len(wanted), -1), wanted))
        return tuple(
            next_target(model.tokenizer, vocabulary, last, token, other, self.quantity)
            for token, other in zip(wanted, against, strict=True)
        )


def check_continuation(continuation: object, question: Question) -> None:
    """Raise InputError where a continuation is given and something else is asked about."""
    if continuation is not None and question.kind != "continuation":
        raise InputError(
            f"A continuation belongs to target='continuation'. Got target={question.target!r}.",
            hint="Pass target='continuation'.",
        )


def one_for_each(
    continuation: str | list[str] | None, prompts: list[Any], many: bool
) -> list[str] | list[None]:
    """Return a continuation for each prompt: the one given for all, or the list as it is."""
    if not isinstance(continuation, list):
        return [continuation] * len(prompts)  # pyright: ignore[reportReturnType]
    if not many or len(continuation) != len(prompts):
        raise InputError(
            f"{len(continuation)} continuations were given for {len(prompts)} prompts.",
            hint="Pass a list of prompts and as many continuations, or one continuation for all.",
        )
    return continuation


def _runners_up(logits: Float[Tensor, "steps vocabulary"], wanted: Sequence[int]) -> tuple[int, ...]:
    """Return at each step the likeliest token other than the target."""
    best = logits.topk(2, dim=-1).indices.tolist()
    return tuple(second if first == own else first for own, (first, second) in zip(wanted, best, strict=True))


def _vocabulary(model: Model) -> int:
    return int(model.config.get_text_config().vocab_size)
