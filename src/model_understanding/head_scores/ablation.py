"""Heads that matter: how far the target drops without each."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.head_scores.ablated_forward import ablation_effects
from model_understanding.head_scores.context import HeadScoreContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    r"""The drop of the target without a head: its value on the text minus its value without the head.

    ``f(x) − f(x without head)``, exact: the head's output is set to zero (or its mean over the text) before
    its layer's output projection, and the model runs on from there. In the target's unit; above 0 the head
    supports the target (raises it, if it is a loss). The heads of a layer are rows of one batch:
    ``1 + layers`` forward passes, over ``1 + layers · heads`` texts.

    Args:
        replacement: ``zero``, or ``mean``: the mean of the head's output over the text's tokens.

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
    meaning: ClassVar[str] = "drop of the target without the head"
    signed: ClassVar[bool] = True
    maximum: ClassVar[float | None] = None
    needs_target: ClassVar[bool] = True
    cost: ClassVar[str] = "1 + layers forwards, of a row for each head"
    reference: ClassVar[str] = "Michel et al. 2019"

    replacement: Literal["zero", "mean"] = "zero"

    def __post_init__(self) -> None:
        one_of(self.replacement, "replacement", ("zero", "mean"))

    def measure(self, context: HeadScoreContext) -> None:
        """Read nothing of the attention."""

    def __call__(
        self, context: HeadScoreContext, means: Float[np.ndarray, "layers heads size"] | None
    ) -> Float[np.ndarray, "layers heads"]:
        """Return the effect of every head."""
        targets = context.targets
        if targets is None or (not callable(targets) and len(targets) != 1):
            count = "none" if targets is None else len(targets)  # pyright: ignore[reportArgumentType]
            raise InputError(
                f"The head score 'ablation' needs one target. Got {count}.", hint="Pass one target."
            )
        uses_mean = self.replacement == "mean"
        return ablation_effects(
            context.model, context.encoding, targets, uses_mean=uses_mean, stack=context.stack
        )
