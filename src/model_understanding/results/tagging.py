"""The labels that a token classifier gives a text, and the entities that they form."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.rendering import Displayed
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity(JsonResult):
    """A span of a text with one label.

    Args:
        label: The label; where tokens are joined, without the ``B-`` or ``I-`` before it.
        first: Position of its first token.
        last: Position of its last token.
        start: Where it starts in its text, in code points, without blanks around it.
        end: Where it ends.
        text: Its text.
        probability: The probability of the label, over the tokens that decide it.
        tokens: Positions of the tokens that decide the label: all of the span, or one of each word.
        indices: The label of each of these tokens, as an index.
    """

    label: str
    first: int
    last: int
    start: int
    end: int
    text: str
    probability: float
    tokens: tuple[int, ...]
    indices: tuple[int, ...]

    def __post_init__(self) -> None:
        for field in ("tokens", "indices"):
            object.__setattr__(self, field, tuple(getattr(self, field)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Tagging(Displayed):
    """The labels of a text's T tokens, and the entities that they form.

    Args:
        tokens: The input tokens.
        labels: Names of the L labels, in the order of the model.
        logits: Logits of each token, shape ``(T, L)``.
        entities: The entities, in the order of the text.
        aggregation: How tokens are joined to entities: ``none``, ``simple``, ``first``, ``average`` or
            ``max``, as in transformers' pipeline.
        candidate: Of a text without entities, the likeliest label of an entity and where it is; it is then
            explained.
    """

    tokens: Tokens
    labels: tuple[str, ...]
    logits: Float[np.ndarray, "tokens labels"]
    entities: tuple[Entity, ...]
    aggregation: str
    candidate: Entity | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "entities", tuple(self.entities))
        shape = (len(self.tokens), len(self.labels))
        object.__setattr__(self, "logits", read_only(self.logits, np.float32, shape, "logits"))

    @property
    def probabilities(self) -> Float[np.ndarray, "tokens labels"]:
        """Probability of each label at each token, shape ``(T, L)``."""
        exponentials = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    @property
    def token_labels(self) -> tuple[str, ...]:
        """The likeliest label of each token."""
        return tuple(self.labels[index] for index in self.logits.argmax(axis=1))
