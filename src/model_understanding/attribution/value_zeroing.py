"""Value zeroing as an attribution: what the position that answered loses without a token's values."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_relevance import relevance_of
from model_understanding.runner.attention_value_zeroing import ValueZeroingCapture
from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueZeroingRollout:
    r"""A row of ``M_last ⋯ M_first``, ``M_ik ∝ 1 − cos(x̃_i, x̃_i^{¬k})`` of each block's outputs.

    ``x̃^{¬k}`` is a block's output when the value vectors of token k are zeroed in it. The row is that of
    the position where the target's answer was read: of a language model the one before the token predicted
    (several are added up), of a classifier the one it pools, found by the gradient of its logits at the
    last layer.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: A layer's values are not found, or its block cannot be run again.

    Reference:
        Mohebbi et al. (2023), "Quantifying Context Mixing in Transformers", equations 5 to 7 and the
        rollout of section 5.

    >>> ValueZeroingRollout().signed
    False
    """

    name: ClassVar[str] = "value_zeroing"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "tokens + 3 forwards"
    reference: ClassVar[str] = "Mohebbi et al. 2023"

    start_layer: int = 0

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        found = relevance_of(runner, encoding, targets, ValueZeroingCapture, start_layer=self.start_layer)
        return Scores(scores=found.scores.cpu().numpy(), outputs=found.values.cpu().numpy())
