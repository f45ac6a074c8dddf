"""Heads that matter: what the answer loses without each."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from model_understanding.errors import InputError
from model_understanding.head_scores.ablated_forward import ablation_effects
from model_understanding.head_scores.context import HeadQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    r"""What the target loses without a head: its value on the text minus its value without the head.

    ``f(x) − f(x without head)``, exact: what the head hands to its layer's output projection is put to zero
    (or to its mean over the text) and the model run on from there. In the target's unit; above 0 the head
    speaks for the target (of a loss: raises it). The heads of a layer are rows of one batch:
    ``1 + layers`` forwards, over ``1 + layers · heads`` texts.

    Args:
        replacement: ``zero``, or ``mean``: the mean of what the head hands on over the text's tokens.

    Raises:
        InputError: The replacement is unknown, or there are several targets.
        UnsupportedModelError: A layer's output projection is not found.

    Reference:
        Michel, Levy, Neubig (2019), "Are Sixteen Heads Really Better than One?", section 3.2, which masks
        each head of a trained model; mean ablation: Wang et al. (2023), "Interpretability in the Wild".

    >>> Ablation(replacement="mean").replacement
    'mean'
    """

    name: ClassVar[str] = "ablation"
    meaning: ClassVar[str] = "what the answer loses without the head"
    signed: ClassVar[bool] = True
    most: ClassVar[float | None] = None
    needs_target: ClassVar[bool] = True
    cost: ClassVar[str] = "1 + layers forwards, of a row for each head"
    reference: ClassVar[str] = "Michel et al. 2019"

    replacement: Literal["zero", "mean"] = "zero"

    def __post_init__(self) -> None:
        if self.replacement not in ("zero", "mean"):
            raise InputError(
                f"The replacement {self.replacement!r} is unknown. Allowed: 'zero', 'mean'.",
                hint="Leave it out for 'zero'.",
            )

    def measure(self, question: HeadQuestion) -> None:
        """Read nothing of the attention."""

    def __call__(
        self, question: HeadQuestion, kept: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the effect of every head."""
        targets = question.targets
        if targets is None or (not callable(targets) and len(targets) != 1):
            count = "none" if targets is None else len(targets)  # pyright: ignore[reportArgumentType]
            raise InputError(
                f"Ablation measures the effect of heads on one target. Got {count}.",
                hint="Pass one target.",
            )
        return ablation_effects(
            question.runner.model, question.encoding, targets, uses_mean=self.replacement == "mean"
        )
