"""A generation, and its contrasts with alternative tokens."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from model_understanding.errors import InputError
from model_understanding.results.attribution import Attribution
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


def contrast_of(
    generation: Generation | None, contrasts: Attribution | None, step: int, alternative: str | int
) -> Attribution:
    """Return why the token of a step was written and not an alternative.

    Args:
        generation: The generation.
        contrasts: A row for each step and alternative; none where nobody asked for them.
        step: The step, counted from 0, or from −1 at the end.
        alternative: The other token's text or id; blanks around a text need not be given.

    Returns:
        The row.

    Raises:
        InputError: There is no such step or alternative.
    """
    if generation is None or contrasts is None:
        raise InputError(
            "This report holds no contrasts with other tokens.",
            hint="Call GenerativeModelVisualizer.analyze(prompt, alternatives=3).",
        )
    steps = len(generation.probabilities)
    if isinstance(step, bool) or not isinstance(step, int) or not -steps <= step < steps:
        raise InputError(
            f"There is no step {step!r}: the continuation has {steps}.",
            hint=f"Count steps from 0 to {steps - 1}.",
        )
    position = generation.prompt_length + step % steps - 1
    rows = [row for row, target in enumerate(contrasts.targets) if target.positions == (position,)]
    if isinstance(alternative, str):
        names = {row: contrasts.targets[row].against_labels[0] for row in rows}
        found = [row for row in rows if names[row] == alternative]
        found = found or [row for row in rows if names[row].strip() == alternative.strip()]
    else:
        found = [row for row in rows if contrasts.targets[row].against == (int(alternative),)]
    if len(found) != 1:
        held = ", ".join(
            f"{contrasts.targets[row].against_labels[0]!r} ({contrasts.targets[row].against[0]})"
            for row in rows
        )
        which = "more than one alternative" if found else "no alternative"
        raise InputError(
            f"Step {step} is contrasted with {which} {alternative!r}. It has: {held or 'none'}.",
            hint="Pass one of these by id, or analyze with more alternatives=.",
        )
    return contrasts.row(found[0])
