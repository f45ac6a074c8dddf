"""A language model's continuation of a prompt."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generation(JsonResult):
    """A prompt, what follows it, and how sure the model was of each of the K tokens that follow.

    Args:
        tokens: Prompt and continuation, T tokens.
        prompt_length: How many of them are the prompt.
        probabilities: Probability of each token of the continuation, shape ``(K,)``.
        entropies: Entropy in nats of the distribution it was drawn from, shape ``(K,)``.
        top_ids: The likeliest tokens at each step, shape ``(K, k)``.
        top_probabilities: Their probabilities, shape ``(K, k)``.
        top_labels: Their texts, K tuples of k.
        given: Whether the continuation was given rather than generated.
        ended: Whether the model ended its answer itself (by an end token).
    """

    tokens: Tokens
    prompt_length: int
    probabilities: Float[np.ndarray, " steps"]
    entropies: Float[np.ndarray, " steps"]
    top_ids: Int[np.ndarray, "steps top"]
    top_probabilities: Float[np.ndarray, "steps top"]
    top_labels: tuple[tuple[str, ...], ...]
    given: bool
    ended: bool

    def __post_init__(self) -> None:
        steps = len(self.tokens) - self.prompt_length
        for name in ("probabilities", "entropies"):
            object.__setattr__(self, name, read_only(getattr(self, name), np.float32, (steps,), name))
        object.__setattr__(self, "top_ids", read_only(self.top_ids, np.int64, (steps, None), "top_ids"))
        top = (steps, self.top_ids.shape[1])
        frozen = read_only(self.top_probabilities, np.float32, top, "top_probabilities")
        object.__setattr__(self, "top_probabilities", frozen)
        object.__setattr__(self, "top_labels", tuple(tuple(step) for step in self.top_labels))

    @property
    def text(self) -> str:
        """The continuation as text."""
        return self.tokens.texts[1] if len(self.tokens.texts) > 1 else ""

    @property
    def prompt(self) -> str:
        """The prompt as text."""
        return self.tokens.texts[0]

    def continuation_tokens(self) -> Tokens:
        """Return the tokens that follow the prompt."""
        return self.tokens.select(range(self.prompt_length, len(self.tokens)))
