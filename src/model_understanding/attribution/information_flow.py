"""Information flow routes as an attribution: what reached the position that answered."""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.protocols import Scores
from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_relevance import relevance_of
from model_understanding.runner.attention_transitions import InformationFlowCapture
from model_understanding.runner.runner import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationFlowRoutes:
    r"""A row of ``M_last ⋯ M_first``, ``M_ik`` the share of token k in the residual stream at i.

    ``M_ik ∝ Σ_heads max(0, ‖y_i‖₁ − ‖y_i − z_ik‖₁)``, with the residual's own term on the diagonal: see the
    map of the same name. The row is that of the position where the target's answer was read: of a language
    model the one before the token predicted (several are added up: a span is followed in one pass), of a
    classifier the one it pools, found by the gradient of its logits at the last layer.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: A layer's values, output projection or residual sum cannot be found.

    Reference:
        Ferrando & Voita (2024), "Information Flow Routes", section 2.2; Ferrando et al. (2022),
        equation 8, for the proximity. We depart: every edge is kept; norms that follow the attention are
        linear with their statistics held; ``y`` is taken before a norm that follows the sum.

    >>> InformationFlowRoutes().signed
    False
    """

    name: ClassVar[str] = "information_flow"
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "2 forwards"
    reference: ClassVar[str] = "Ferrando & Voita 2024"

    start_layer: int = 0

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        found = relevance_of(runner, encoding, targets, InformationFlowCapture, start_layer=self.start_layer)
        return Scores(scores=found.scores.cpu().numpy(), outputs=found.values.cpu().numpy())
