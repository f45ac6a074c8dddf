"""The answer of a question answering model: a span of the context."""

from dataclasses import dataclass, field
from typing import Any

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
        text: Its text, ``context[start:end]``; empty for "no answer".
        start: Its first character in the context; 0 for "no answer".
        end: The character after its last one; 0 for "no answer".
        logit: Start logit of the first token plus end logit of the last.
        probability: Product of the softmaxes of both over all tokens, as the model is trained.
        score: The same over the tokens of the context and ``[CLS]`` alone, as the question answering
            pipeline of transformers 4 gives it.
    """

    first: int
    last: int
    text: str
    start: int
    end: int
    logit: float
    probability: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SpanAnswer(Displayed):
    """The answer to a question, with the next best ones.

    Args:
        tokens: Question and context, in the order in which the model reads them.
        context: Which of the two texts is the context: the segment of its tokens.
        start_logits: Logit of each token as the first of the answer, shape ``(T,)``.
        end_logits: Logit of each token as the last of the answer, shape ``(T,)``.
        spans: The best spans, best first; one that overlaps a better one is left out.
        no_answer: "No answer", which such models give at ``[CLS]`` or, without one, at the first token.
        settings: Options of the visualizer that gave it, where they were not the default.
    """

    tokens: Tokens
    context: int
    start_logits: Float[np.ndarray, " tokens"]
    end_logits: Float[np.ndarray, " tokens"]
    spans: tuple[AnswerSpan, ...]
    no_answer: AnswerSpan
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", tuple(self.spans))
        if not self.spans:
            raise ValueError("An answer has at least one span.")
        for name in ("start_logits", "end_logits"):
            frozen = read_only(getattr(self, name), np.float32, (len(self.tokens),), name)
            object.__setattr__(self, name, frozen)
        for span in (*self.spans, self.no_answer):
            if not 0 <= span.first <= span.last < len(self.tokens):
                raise ValueError(
                    f"A span must lie within {len(self.tokens)} tokens. Got ({span.first}, {span.last})."
                )

    @property
    def best(self) -> AnswerSpan:
        """The best span, which is the answer."""
        return self.spans[0]

    @property
    def text(self) -> str:
        """The text of the best span."""
        return self.best.text

    @property
    def is_answered(self) -> bool:
        """Whether the best span has a higher logit than "no answer"."""
        return self.best.logit >= self.no_answer.logit
