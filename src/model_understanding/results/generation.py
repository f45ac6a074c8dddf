"""A generated text, and its contrasts with alternative tokens."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from model_understanding.checks import index_in
from model_understanding.errors import InputError
from model_understanding.results.attribution import Attribution
from model_understanding.results.rendering import Displayed
from model_understanding.tokens import SHARE, Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Generation(Displayed):
    """A prompt and its continuation of K tokens, with the model's probability of each token.

    Args:
        tokens: Tokens of the prompt and the continuation.
        prompt_length: Number of tokens of the prompt.
        probabilities: Probability of each token of the continuation, shape ``(K,)``.
        entropies: Entropy in nats of the next-token distribution at each step, shape ``(K,)``.
        top_ids: The most probable tokens at each step, shape ``(K, k)``.
        top_probabilities: Their probabilities, shape ``(K, k)``.
        top_labels: Their texts, K tuples of k.
        given: Whether the continuation was given by the caller rather than generated.
        ended: Whether the model ended the continuation itself, with an end token.
        cautions: Warnings, for example about steps whose token is not the most probable one.
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
    cautions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        steps = len(self.tokens) - self.prompt_length
        if steps < 0 or self.prompt_length < 0:
            raise ValueError(f"prompt_length must be from 0 to {len(self.tokens)}. Got {self.prompt_length}")
        for name, within in (("probabilities", SHARE), ("entropies", (0.0, np.inf))):
            frozen = read_only(getattr(self, name), np.float32, (steps,), name, within)
            object.__setattr__(self, name, frozen)
        object.__setattr__(self, "top_ids", read_only(self.top_ids, np.int64, (steps, None), "top_ids"))
        top = (steps, self.top_ids.shape[1])
        frozen = read_only(self.top_probabilities, np.float32, top, "top_probabilities", SHARE)
        object.__setattr__(self, "top_probabilities", frozen)
        object.__setattr__(self, "top_labels", tuple(tuple(step) for step in self.top_labels))
        object.__setattr__(self, "cautions", tuple(self.cautions))
        if len(self.top_labels) != steps or any(len(labels) != top[1] for labels in self.top_labels):
            raise ValueError(f"top_labels must have {top[1]} labels for each of the {steps} steps")

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
    """Return the attribution of a generated token against an alternative token.

    Args:
        generation: The generation.
        contrasts: Attribution with a row for each step and alternative, or ``None``.
        step: The generation step; negative indices count from the end.
        alternative: Text or ID of the alternative token; leading and trailing blanks can be omitted.

    Returns:
        The attribution of this contrast.

    Raises:
        InputError: There is no such step or alternative.
    """
    if generation is None or contrasts is None:
        raise InputError(
            "This report has no contrasts with alternative tokens.",
            hint="Call GenerativeModelVisualizer.analyze(prompt, alternatives=3).",
        )
    step = index_in(step, len(generation.probabilities), "step", "the continuation")
    position = generation.prompt_length + step - 1
    rows = [row for row, target in enumerate(contrasts.targets) if target.positions == (position,)]
    if isinstance(alternative, str):
        names = {row: contrasts.targets[row].against_labels[0] for row in rows}
        matches = [row for row in rows if names[row] == alternative]
        matches = matches or [row for row in rows if names[row].strip() == alternative.strip()]
    else:
        matches = [row for row in rows if contrasts.targets[row].against == (int(alternative),)]
    if len(matches) != 1:
        available = ", ".join(
            f"{contrasts.targets[row].against_labels[0]!r} ({contrasts.targets[row].against[0]})"
            for row in rows
        )
        count = "several contrasts" if matches else "no contrast"
        raise InputError(
            f"Step {step} has {count} with {alternative!r}. Available: {available or 'none'}.",
            hint="Pass the ID of one of these tokens, or call analyze with more alternatives=.",
        )
    return contrasts.row(matches[0])
