"""What an attribution method must offer, and what it returns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from model_understanding.passes.runner import Runner, Targets
    from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """What a method found for B texts and N targets, padding included.

    Args:
        scores: Shape ``(B, N, T)``.
        outputs: The targets' values, shape ``(B, N)``.
        baseline_outputs: Their values on the baseline, for methods that have one.
        gaps: ``Σ scores − (output − baseline output)``, for methods that promise 0.
        standard_errors: Of each score, shape ``(B, N, T)``, for methods that sample.
        cautions: What a reader of each text's scores must know, B tuples; none where left out.
    """

    scores: Float[np.ndarray, "batch targets tokens"]
    outputs: Float[np.ndarray, "batch targets"]
    baseline_outputs: Float[np.ndarray, "batch targets"] | None = None
    gaps: Float[np.ndarray, "batch targets"] | None = None
    standard_errors: Float[np.ndarray, "batch targets tokens"] | None = None
    cautions: tuple[tuple[str, ...], ...] = ()


class AttributionMethod(Protocol):
    """Scores the tokens of a text for a target.

    A method that asks a runner only for embeddings, gradients and values scores the hidden states of a layer
    as well (``Runner.at_layer``); it says so by ``takes_layer: ClassVar[bool] = True``.
    """

    name: ClassVar[str]
    signed: ClassVar[bool]
    complete: ClassVar[bool]
    """Whether the scores add up to output − baseline output."""
    cost: ClassVar[str]
    """Forwards and backwards for one text and one target."""
    reference: ClassVar[str]

    def __call__(self, runner: "Runner", encoding: "Encoding", targets: "Targets") -> Scores:
        """Score the tokens of a batch of texts."""
        ...
