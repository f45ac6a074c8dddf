"""The answer of a question answering model: a span of the context."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.rendering import Displayed
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSpan(JsonResult):
    """A span of the context as an answer.

    Args:
        first: Position of its first token.
        last: Position of its last token.
        text: Its text; empty for "no answer".
        logit: Start logit of the first token plus end logit of the last.
        probability: Product of the softmaxes of both over all tokens.
    """

    first: int
    last: int
    text: str
    logit: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpanAnswer(Displayed):
    """The answer to a question, with the next best ones.

    Args:
        tokens: Question and context.
        start_logits: Logit of each token as the first of the answer, shape ``(T,)``.
        end_logits: Logit of each token as the last of the answer, shape ``(T,)``.
        spans: The best spans, best first; overlapping ones are left out.
        no_answer: "No answer", which such models give at the first token.
    """

    tokens: Tokens
    start_logits: Float[np.ndarray, " tokens"]
    end_logits: Float[np.ndarray, " tokens"]
    spans: tuple[AnswerSpan, ...]
    no_answer: AnswerSpan

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", tuple(self.spans))
        for name in ("start_logits", "end_logits"):
            frozen = read_only(getattr(self, name), np.float32, (len(self.tokens),), name)
            object.__setattr__(self, name, frozen)
