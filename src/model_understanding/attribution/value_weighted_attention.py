"""Rollout of value-weighted attention: what the position that answered comes from."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_relevance import relevance_of
from model_understanding.runner.attention_transitions import ValueWeightedCapture
from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWeightedRollout:
    r"""A row of ``M_last ⋯ M_first``, ``M = ½ N + ½ I``, ``N_qk ∝ mean_heads ‖ A_qk f(x_k) ‖``.

    Rows of ``N`` sum to 1; ``f(x) = (x W_V + b_V) W_O`` is a head's transformed value. The row is that of
    the position where the target's answer was read: of a language model the one before the token predicted
    (several are added up), of a classifier the one it pools, found by the gradient of its logits at the
    last layer. The method knows nothing of the target but that position.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: The values or the output projection of a layer cannot be found.

    Reference:
        Kobayashi et al. (2020), "Attention is Not Only a Weight", equation 5, for the norms. The paper
        looks at single layers: joining them as attention rollout does (Abnar & Zuidema 2020) is ours.

    >>> ValueWeightedRollout().signed
    False
    """

    name: ClassVar[str] = "value_weighted_attention"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "2 forwards"
    reference: ClassVar[str] = "Kobayashi et al. 2020; Abnar & Zuidema 2020"

    start_layer: int = 0

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        found = relevance_of(runner, encoding, targets, ValueWeightedCapture, start_layer=self.start_layer)
        return Scores(scores=found.scores.cpu().numpy(), outputs=found.values.cpu().numpy())
