"""Integrated gradients: a target's change from a baseline to the text, divided among the tokens."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.model.precision import precise
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import (
    Baseline,
    baseline_embeddings,
    checked_baselines,
    hashable_baseline,
    movable_tokens,
)
from model_understanding.paths.integration import Line, cautions_of, check_nodes, integrate
from model_understanding.registry import setting_of
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedGradients:
    r"""The gradient averaged along a straight path from a baseline to the text, times their difference.

    ``score_t = Σ_d (x − b)_td · ∫₀¹ ∂ target / ∂ embedding_td (b + α (x − b)) dα``

    The scores of a text add up to the target's change from the baseline to the text. Nodes are added until
    the completeness gap is within the tolerance. The remaining gap is in the result's ``gaps``; if it is
    above the tolerance, the result has a warning. Special and chat-template tokens keep their embeddings,
    so that their scores are 0. At a layer the path is one of hidden states, and every token changes.

    Args:
        baseline: ``default`` (the mask token, else the padding token unless its embedding is zero, else
            the mean embedding), ``mask``, ``pad``, ``mean``, ``zero``, ``id:NUMBER``, or ``text:WORDS``
            (replaces the ordinary tokens in order, repeated as necessary). Several separated by commas,
            such as ``mask,mean``, give the mean of the scores from each. In Python also embeddings (at a
            layer: hidden states) as a numpy array or torch tensor of shape ``(T, D)``, ``(1, D)`` or
            ``(D,)``, or a list of names and arrays. Arrays are stored as ``TensorBaseline``, so that methods
            with the same values are equal.
        tolerance: The largest completeness gap that is accepted, relative to the target's change (or to a
            hundredth of ``Σ|scores|`` if the change is smaller). In 16-bit models a gap within the output's
            rounding error is accepted as well.
        nodes: Gauss–Legendre nodes to start with, and of each half of a path that needs more.
        max_nodes: Maximum number of gradients for one text and one baseline.

    Raises:
        InputError: A baseline is unknown, not available in the tokenizer or of the wrong shape, or a number
            is out of its range.

    Reference:
        Sundararajan, Taly, Yan (2017), "Axiomatic Attribution for Deep Networks", equation 1, there with a
        Riemann sum of 20 to 300 steps; Gauss–Legendre needs far fewer for the same gap. Averaging over
        baselines: Sturmfels, Lundberg, Lee (2020), "Visualizing the Impact of Feature Attribution
        Baselines". From ``zero`` the integral needs many nodes or does not converge for models with
        RMSNorm, whose output changes abruptly near the zero embedding. It does not converge for mixtures of
        experts whose router selects other experts along the path, because the target is discontinuous there.

    >>> IntegratedGradients(baseline="mask,mean").complete
    True
    """

    name: ClassVar[str] = "integrated_gradients"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "(nodes + 1) × baselines + 1 forward passes, nodes × baselines backward passes"
    reference: ClassVar[str] = "Sundararajan et al. 2017"

    baseline: Baseline = "default"
    tolerance: float = 0.01
    nodes: int = 20
    max_nodes: int = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", hashable_baseline(self.baseline))
        check_nodes(self.nodes, self.max_nodes, self.tolerance)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        embeddings, movable = precise(runner.embed(encoding)), movable_tokens(runner, encoding)
        lines = []
        for name in checked_baselines(self.baseline):
            differences = embeddings - baseline_embeddings(runner, encoding, name)
            lines += [Line(row, differences[row], movable[row]) for row in range(len(encoding))]
        integrals = integrate(
            runner,
            encoding,
            targets,
            lines,
            nodes=self.nodes,
            max_nodes=self.max_nodes,
            tolerance=self.tolerance,
        )
        texts = [integrals[row :: len(encoding)] for row in range(len(encoding))]
        return Scores(
            scores=np.stack([np.mean([i.scores for i in text], axis=0) for text in texts]),
            outputs=np.stack([text[0].end for text in texts]),
            baseline_outputs=np.stack([np.mean([i.start for i in text], axis=0) for text in texts]),
            gaps=np.stack([np.mean([i.gaps for i in text], axis=0) for text in texts]),
            cautions=cautions_of(
                encoding,
                targets,
                texts,
                self.tolerance,
                setting_of(self.name, max_nodes=max(200, 4 * self.max_nodes)),
            ),
        )
