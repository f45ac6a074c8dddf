"""What a caller wants explained of a language model: checked before anything runs, then made into targets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

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
from model_understanding.targets.vocabulary import VocabularyItem, vocabulary_id
from model_understanding.text.detokenization import token_text
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens
from model_understanding.visualizers.generation_record import step_logits

TokenTarget = VocabularyItem | Sequence[VocabularyItem] | Callable[[Any], Any]
_NAMES = ("loss", "continuation", "next")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """What to explain of a prompt, as ``GenerativeModelVisualizer.compute_saliency`` takes it.

    Args:
        target: ``loss``, ``continuation``, ``next``, a token or several, or a function.
        against: The contrast.
        quantity: What is read from the logits.
        per_token: Whether each token of the continuation is a target of its own.
        span: The part of the continuation or of the prompt that is explained.
        noun: What the continuation is called in messages.

    Raises:
        InputError: These do not go together.
    """

    target: TokenTarget
    against: Contrast | None = None
    quantity: Quantity = "log_prob"
    per_token: bool = False
    span: Span | None = None
    noun: str = "continuation"

    def __post_init__(self) -> None:
        given = "a function" if callable(self.target) else f"target={self.target!r}"
        as_token = ""
        if isinstance(self.target, str) and self.target in _NAMES:
            as_token = f" To explain the token {self.target!r}, pass its id or [{self.target!r}] as target."
        if self.per_token and self.kind != "continuation":
            raise InputError(
                f"per_token needs target='continuation'. Got {given}.", hint="Pass target='continuation'."
            )
        if self.span is not None and self.kind not in ("continuation", "loss"):
            raise InputError(
                f"span needs target='continuation' or 'loss'. Got {given}.",
                hint="Pass target='continuation'.",
            )
        if self.against is not None and self.kind in ("loss", "function"):
            raise InputError(
                f"against needs target='next', 'continuation' or a token. Got {given}.",
                hint=f"Pass target='next'.{as_token}",
            )
        one_of(self.quantity, "quantity", QUANTITIES)
        if self.kind in ("loss", "function") and self.quantity != "log_prob":
            what = "The loss" if self.kind == "loss" else "The value of a function"
            raise InputError(
                f"{what} is explained as it is. Got quantity={self.quantity!r}.",
                hint=f"Leave quantity out, or pass target='next' or 'continuation'.{as_token}",
            )

    @property
    def kind(self) -> Literal["loss", "continuation", "next", "function"]:
        """The kind of target; tokens are explained as next tokens."""
        if isinstance(self.target, str) and self.target in _NAMES:
            return self.target  # pyright: ignore[reportReturnType]
        return "function" if callable(self.target) else "next"

    @property
    def function(self) -> Callable[[Any], Any] | None:
        """The caller's function of the model's outputs, if that is the target."""
        return self.target if callable(self.target) else None

    def targets(self, model: Model, encoding: Encoding) -> tuple[Target, ...]:
        """Return the targets on one prompt, or on a prompt and its continuation.

        Args:
            model: A language model.
            encoding: The prompt, with its continuation if ``kind`` is ``continuation``.

        Returns:
            One target, or one for each token.

        Raises:
            InputError: There is no such token, span or contrast.
        """
        if self.function is not None:
            return (function_target(model.task, self.function),)
        if self.kind == "loss":
            return (loss_target(encoding.tokens[0], self.span),)
        targets = self._continuation if self.kind == "continuation" else self._next
        return tuple(replace(target, task=model.task) for target in targets(model, encoding))

    def predicted_target(self, model: Model) -> MakeTarget | None:
        """Return what makes the target of the likeliest next token, if that is what is explained.

        Args:
            model: A language model.
        """
        if self.target != "next" or self.against == RUNNER_UP:
            return None

        def make_target(logits: Tensor, tokens: Tokens) -> Target:
            token, against = int(logits[-1].argmax()), cast(Any, self.against)
            target = next_target(
                model.output_tokenizer, _vocabulary(model), tokens, token, against, self.quantity
            )
            return replace(target, task=model.task)

        return make_target

    def _continuation(self, model: Model, encoding: Encoding) -> tuple[Target, ...]:
        tokens, start = encoding.tokens[0], encoding.prompt_length
        assert start is not None
        steps = range(start, len(tokens))
        name: str | None = "continuation"
        if self.span is not None:
            steps = span_of(tokens, steps, self.span, self.noun)
            name = span_text(tokens, steps)
        against: tuple[int, ...] = ()
        if isinstance(self.against, str) and self.against == RUNNER_UP:
            written = [int(tokens.ids[step]) for step in steps]
            against = _runners_up(step_logits(model, encoding, steps), written)
        elif self.against is not None:
            against = contrast_ids(model.output_tokenizer, _vocabulary(model), self.against, tokens, steps)
        return continuation_targets(
            tokens,
            steps,
            per_token=self.per_token,
            quantity=self.quantity,
            against=against,
            against_labels=[token_text(model.output_tokenizer, other) for other in against],
            name=name,
        )

    def _next(self, model: Model, encoding: Encoding) -> tuple[Target, ...]:
        vocabulary, before = _vocabulary(model), encoding.tokens[0]
        target: Any = self.target
        is_list = isinstance(target, Sequence) and not isinstance(target, str)
        items: list[Any] = list(target) if is_list else [] if target == "next" else [target]
        if is_list and not items:
            raise InputError(
                "The list of target tokens is empty.",
                hint="Pass a token, or target='next' for the likeliest.",
            )
        tokens = [vocabulary_id(model.output_tokenizer, vocabulary, item, before) for item in items]
        contrasts: list[Any] = [self.against] * max(len(tokens), 1)
        if not tokens or self.against == RUNNER_UP:
            logits = model.logits(encoding, keep_from=len(before) - 1)[0, -1]
            tokens = tokens or [int(logits.argmax())]
            if self.against == RUNNER_UP:
                contrasts = list(_runners_up(logits.expand(len(tokens), -1), tokens))
        return tuple(
            next_target(model.output_tokenizer, vocabulary, before, token, contrast, self.quantity)
            for token, contrast in zip(tokens, contrasts, strict=True)
        )


def default_target(target: TokenTarget | None, continuation: object) -> TokenTarget:
    """Return what is explained of a prompt: the continuation if one is given, else the prompt's loss.

    Args:
        target: What the caller wants explained; ``None`` for the default.
        continuation: The continuation, if one is given.

    Raises:
        InputError: A continuation is given, and something else is to be explained.
    """
    if target is None:
        return "loss" if continuation is None else "continuation"
    if continuation is not None and not (isinstance(target, str) and target == "continuation"):
        given = "a function" if callable(target) else f"target={target!r}"
        raise InputError(
            f"A continuation is given, but the target is not the continuation. Got {given}.",
            hint="Pass target='continuation', or leave one of the two out.",
        )
    return target


def _runners_up(logits: Float[Tensor, "steps vocabulary"], tokens: Sequence[int]) -> tuple[int, ...]:
    """Return at each step the likeliest token other than the target."""
    best = logits.topk(2, dim=-1).indices.tolist()
    return tuple(
        second if first == token else first for token, (first, second) in zip(tokens, best, strict=True)
    )


def _vocabulary(model: Model) -> int:
    return model.class_count(0)
