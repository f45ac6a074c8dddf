"""Gradient-weighted attention as an attribution: what is relevant for one answer."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_relevance import relevance_of
from model_understanding.runner.attention_transitions import GradientWeightedCapture
from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientWeightedRelevance:
    r"""A row of ``(I + Ā_last) ⋯ (I + Ā_first) − I``, ``Ā = mean_heads max(0, ∇A ⊙ A)`` for the target.

    The row is that of the position where the target's answer was read: of a language model the one before
    the token predicted (several are added up), of a classifier the one it pools, found by the gradient of
    its logits at the last layer.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: The values of a layer cannot be found.

    Reference:
        Chefer, Gur, Wolf (2021), "Generic Attention-Model Explainability for Interpreting Bi-Modal and
        Encoder-Decoder Transformers", equations 5 and 6. We depart: the identity that every token starts
        from is taken off the row; it would put the position that answered above all others.

    >>> GradientWeightedRelevance().signed
    False
    """

    name: ClassVar[str] = "gradient_weighted_attention"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "2 forwards, 1 backward"
    reference: ClassVar[str] = "Chefer et al. 2021"

    start_layer: int = 0

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        found = relevance_of(runner, encoding, targets, GradientWeightedCapture, start_layer=self.start_layer)
        return Scores(scores=found.scores.cpu().numpy(), outputs=found.values.cpu().numpy())
