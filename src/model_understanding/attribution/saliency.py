"""Saliency: how strongly the target reacts to a small change of each token's embedding."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of
from model_understanding.passes.gradients import NORMS, Norm, gradient_norms
from model_understanding.passes.runner import Runner, Targets
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Saliency:
    r"""The norm of the target's gradient at each token's embedding.

    ``score_t = ‖ ∂ target / ∂ embedding_t ‖``

    Args:
        norm: Norm of each token's gradient: ``l2``, ``l1`` or ``max``.

    Raises:
        InputError: The norm is unknown.

    Reference:
        Simonyan, Vedaldi, Zisserman (2014), "Deep Inside Convolutional Networks", section 3, with the
        maximum over color channels; Li et al. (2016), "Visualizing and Understanding Neural Models in NLP",
        section 4.3, for embeddings. Gradients are with respect to the embedding table's output, before
        position embeddings are added.

    >>> Saliency(norm="l1")
    Saliency(norm='l1')
    """

    name: ClassVar[str] = "saliency"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    cost: ClassVar[str] = "1 forward pass, 1 backward pass"
    reference: ClassVar[str] = "Simonyan et al. 2014; Li et al. 2016"

    norm: Norm = "l2"

    def __post_init__(self) -> None:
        one_of(self.norm, "norm", NORMS)

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        values, gradients = runner.gradients(encoding, targets)
        scores = gradient_norms(gradients, self.norm)
        return Scores(scores=scores.cpu().numpy(), outputs=values.cpu().numpy())
