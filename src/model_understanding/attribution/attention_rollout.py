"""Attention rollout as an attribution: what the position that answered comes from."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_relevance import relevance_of
from model_understanding.runner.attention_transitions import RolloutCapture
from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionRollout:
    r"""A row of ``Â_last ⋯ Â_first``, ``Â = ½ mean_heads A + ½ I``.

    The row is that of the position where the target's answer was read: of a language model the one before
    the token predicted (several are added up), of a classifier the one it pools, found by the gradient of
    its logits at the last layer. The method knows nothing of the target but that position.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: Some layer is no attention that can be read.

    Reference:
        Abnar & Zuidema (2020), "Quantifying Attention Flow in Transformers", equation 1.

    >>> AttentionRollout().signed
    False
    """

    name: ClassVar[str] = "attention_rollout"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "2 forwards"
    reference: ClassVar[str] = "Abnar & Zuidema 2020"

    start_layer: int = 0

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        found = relevance_of(runner, encoding, targets, RolloutCapture, start_layer=self.start_layer)
        return Scores(scores=found.scores.cpu().numpy(), outputs=found.values.cpu().numpy())
