"""Integrated gradients: a target's change from a baseline to the text, shared out among the tokens."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model_understanding.attribution.protocol import Scores
from model_understanding.passes.runner import Runner, Targets
from model_understanding.paths.baselines import (
    Baseline,
    baseline_embeddings,
    checked_baselines,
    kept_baseline,
    movable_tokens,
)
from model_understanding.paths.integration import Line, cautions_of, check_nodes, integrate
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedGradients:
    r"""The gradient averaged on the straight line from a baseline to the text, times the way along it.

    ``score_t = Σ_d (x − b)_td · ∫₀¹ ∂ target / ∂ embedding_td (b + α (x − b)) dα``

    The scores of a text add up to the target's change from the baseline to the text. Nodes are added
    where the line needs them until they do, to within the tolerance; what is left is in the result's
    ``gaps``, and a gap that stays above the tolerance is a caution there and a warning in the log.
    Special and chat-template tokens keep their embedding on the whole line, so their scores are 0. At a
    layer the line is one of hidden states, from those that the baseline has there, and every token moves.

    Args:
        baseline: ``default`` (the mask token, else the padding token unless its embedding is zero, else
            the mean embedding), ``mask``, ``pad``, ``mean``, ``zero``, ``id:NUMBER``, or ``text:WORDS``
            (in place of the ordinary tokens, in order and over and over). Several separated by commas, as
            ``mask,mean``, are each integrated from and averaged. In Python also a tensor of shape
            ``(T, D)``, ``(1, D)`` or ``(D,)``, numpy's or torch's, of embeddings (at a layer: of hidden
            states), or a list of names and tensors. It is kept as a ``TensorBaseline``, so that methods
            with the same numbers are equal.
        tolerance: The gap that is small enough, relative to the target's change (or to a hundredth of
            ``Σ|scores|`` where the change is below it). In 16-bit models a gap below the rounding of the
            output itself passes too.
        nodes: Gauss–Legendre nodes to start with, and of each half of a line that needs more.
        max_nodes: Gradients for one text and one baseline in all, those of halved pieces included.

    Raises:
        InputError: A baseline is unknown, the tokenizer has none or a tensor does not fit, or a number is
            out of its range.

    Reference:
        Sundararajan, Taly, Yan (2017), "Axiomatic Attribution for Deep Networks", equation 1. They take a
        Riemann sum of 20 to 300 steps; Gauss–Legendre needs far fewer for the same gap. Averaging over
        baselines: Sturmfels, Lundberg, Lee (2020), "Visualizing the Impact of Feature Attribution
        Baselines". From ``zero`` the integral needs many nodes or does not converge on models with
        RMSNorm, where the target jumps next to the zero embedding; nor does it anywhere on a mixture of
        experts whose router changes its choice on the way: the jump has no gradient.

    >>> IntegratedGradients(baseline="mask,mean").complete
    True
    """

    name: ClassVar[str] = "integrated_gradients"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = True
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "(nodes + 1) × baselines + 1 forwards, nodes × baselines backwards"
    reference: ClassVar[str] = "Sundararajan et al. 2017"

    baseline: Baseline = "default"
    tolerance: float = 0.01
    nodes: int = 20
    max_nodes: int = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", kept_baseline(self.baseline))
        check_nodes(self.nodes, self.max_nodes, self.tolerance)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        own, movable = runner.embed(encoding).float(), movable_tokens(runner, encoding)
        lines = []
        for name in checked_baselines(self.baseline):
            differences = own - baseline_embeddings(runner, encoding, name)
            lines += [Line(row, differences[row], movable[row]) for row in range(len(encoding))]
        found = integrate(
            runner,
            encoding,
            targets,
            lines,
            nodes=self.nodes,
            max_nodes=self.max_nodes,
            tolerance=self.tolerance,
        )
        texts = [found[row :: len(encoding)] for row in range(len(encoding))]
        return Scores(
            scores=np.stack([np.mean([i.scores for i in text], axis=0) for text in texts]),
            outputs=np.stack([text[0].end for text in texts]),
            baseline_outputs=np.stack([np.mean([i.start for i in text], axis=0) for text in texts]),
            gaps=np.stack([np.mean([i.gaps for i in text], axis=0) for text in texts]),
            cautions=cautions_of(encoding, texts, self.tolerance),
        )
