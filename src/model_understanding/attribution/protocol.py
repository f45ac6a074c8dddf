"""The interface of attribution methods, and the type that they return."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from model_understanding.passes.runner import Runner, Targets
    from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """The scores of a method for B texts and N targets, including padding.

    Args:
        scores: The tokens' scores, shape ``(B, N, T)``.
        outputs: The targets' values for the texts, shape ``(B, N)``.
        baseline_outputs: The targets' values for the baseline, for methods with a baseline.
        gaps: Completeness gaps ``Σ scores − (output − baseline output)``, for methods whose scores add up.
        standard_errors: Standard errors of the scores, shape ``(B, N, T)``, for methods that sample.
        sample_counts: Number of independent samples behind the standard errors, shape ``(B, N)``; 0 where
            scores are exact.
        cautions: Warnings for each text, B tuples; empty for none.
    """

    scores: Float[np.ndarray, "batch targets tokens"]
    outputs: Float[np.ndarray, "batch targets"]
    baseline_outputs: Float[np.ndarray, "batch targets"] | None = None
    gaps: Float[np.ndarray, "batch targets"] | None = None
    standard_errors: Float[np.ndarray, "batch targets tokens"] | None = None
    sample_counts: Int[np.ndarray, "batch targets"] | None = None
    cautions: tuple[tuple[str, ...], ...] = ()


class AttributionMethod(Protocol):
    """Scores the tokens of a text for a target.

    A method that uses only a runner's embeddings, gradients and values also works for the hidden states of a
    layer (``Runner.at_layer``), and declares it by ``takes_layer: ClassVar[bool] = True``.

    A result records all fields of a method. A method some of whose fields matter only for some models, as
    ``DeepLift``, has ``used_parameters(runner)``, which returns those that are recorded.
    """

    name: ClassVar[str]
    """The name in the registry."""
    signed: ClassVar[bool]
    """Whether scores have a sign: positive ones support the target, negative ones oppose it."""
    complete: ClassVar[bool]
    """Whether the scores add up to output − baseline output."""
    cost: ClassVar[str]
    """The number of forward and backward passes for one text and one target."""
    reference: ClassVar[str]
    """The papers, as ``Author et al. year``."""

    def __call__(self, runner: "Runner", encoding: "Encoding", targets: "Targets") -> Scores:
        """Score the tokens of a batch of texts."""
        ...
