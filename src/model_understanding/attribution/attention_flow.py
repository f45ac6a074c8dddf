"""Attention followed through the layers, from where an answer is read down to the tokens of the text.

Every method here takes a row of a product of matrices, one for each layer. The row is that of the position
where the target's answer is read: of a language model the one before the token predicted (several are added
up), of a classifier the one it pools, found by the gradient of its logits at the last layer.
"""

from dataclasses import dataclass
from typing import ClassVar

from model_understanding.attention.flow import FlowReader
from model_understanding.attention.gradient_weighted import GradientWeightedReader
from model_understanding.attention.information_flow import InformationFlowReader
from model_understanding.attention.relevance import relevance_of
from model_understanding.attention.rollout import RolloutReader
from model_understanding.attention.value_weighted import ValueWeightedReader
from model_understanding.attention.value_zeroing import ValueZeroingReader
from model_understanding.attribution.protocol import Scores
from model_understanding.passes.runner import Runner, Targets
from model_understanding.text.encoding import Encoding


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionFlow:
    """A row of ``M_last ⋯ M_first``; subclasses say what each layer's matrix ``M`` is.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: A layer's attention, or the parts of it that the matrix needs, cannot be read.
    """

    reader: ClassVar[type[FlowReader]]
    """Reads the layers' matrices."""
    signed: ClassVar[bool] = False
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "1 forward"

    start_layer: int = 0

    def __call__(self, runner: Runner, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        relevance = relevance_of(runner, encoding, targets, self.reader, start_layer=self.start_layer)
        return Scores(scores=relevance.scores.cpu().numpy(), outputs=relevance.values.cpu().numpy())


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionRollout(AttentionFlow):
    r"""A row of ``Â_last ⋯ Â_first``, ``Â = ½ mean_heads A + ½ I``.

    Of the target, the scores depend only on the position where its answer is read.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: Some layer has no attention that can be read.

    Reference:
        Abnar & Zuidema (2020), "Quantifying Attention Flow in Transformers", equation 1.

    >>> AttentionRollout().signed
    False
    """

    name: ClassVar[str] = "attention_rollout"
    reference: ClassVar[str] = "Abnar & Zuidema 2020"
    reader: ClassVar[type[FlowReader]] = RolloutReader


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWeightedAttention(AttentionFlow):
    r"""A row of ``M_last ⋯ M_first``, ``M = ½ N + ½ I``, ``N_qk ∝ mean_heads ‖ A_qk f(x_k) ‖``.

    Rows of ``N`` sum to 1; ``f(x) = (x W_V + b_V) W_O`` is a head's transformed value. Of the target, the
    scores depend only on the position where its answer is read.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: The values or the output projection of a layer cannot be found.

    Reference:
        Kobayashi et al. (2020), "Attention is Not Only a Weight", equation 5, for the norms. Difference: the
        paper treats single layers; joining them as attention rollout does (Abnar & Zuidema 2020) is ours.

    >>> ValueWeightedAttention().signed
    False
    """

    name: ClassVar[str] = "value_weighted_attention"
    reference: ClassVar[str] = "Kobayashi et al. 2020; Abnar & Zuidema 2020"
    reader: ClassVar[type[FlowReader]] = ValueWeightedReader


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientWeightedAttention(AttentionFlow):
    r"""A row of ``(I + Ā_last) ⋯ (I + Ā_first) − I``, ``Ā = mean_heads max(0, ∇A ⊙ A)`` for the target.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: The values of a layer cannot be found.

    Reference:
        Chefer, Gur, Wolf (2021), "Generic Attention-Model Explainability for Interpreting Bi-Modal and
        Encoder-Decoder Transformers", equations 5 and 6. Difference: the identity that every token starts
        from is subtracted from the row; it would put the position that is read above all others.

    >>> GradientWeightedAttention().signed
    False
    """

    name: ClassVar[str] = "gradient_weighted_attention"
    cost: ClassVar[str] = "1 forward, 1 backward"
    reference: ClassVar[str] = "Chefer et al. 2021"
    reader: ClassVar[type[FlowReader]] = GradientWeightedReader


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueZeroingRollout(AttentionFlow):
    r"""A row of ``M_last ⋯ M_first``, ``M_ik ∝ 1 − cos(x̃_i, x̃_i^{¬k})`` of each block's outputs.

    ``x̃^{¬k}`` is a block's output when the value vectors of token k are zeroed in it. Of the target, the
    scores depend only on the position where its answer is read.

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

    name: ClassVar[str] = "value_zeroing_rollout"
    cost: ClassVar[str] = "tokens + 2 forwards"
    reference: ClassVar[str] = "Mohebbi et al. 2023"
    reader: ClassVar[type[FlowReader]] = ValueZeroingReader


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationFlowRoutes(AttentionFlow):
    r"""A row of ``M_last ⋯ M_first``, ``M_ik`` the share of token k in the residual stream at i.

    ``M_ik ∝ Σ_heads max(0, ‖y_i‖₁ − ‖y_i − z_ik‖₁)``, with the residual's own term on the diagonal: see the
    attention map ``information_flow``. Of the target, the scores depend only on the position where its
    answer is read; a span is followed in one forward pass.

    Args:
        start_layer: The lowest layer followed; 0 follows attention down to the text.

    Raises:
        UnsupportedModelError: A layer's values, output projection or residual sum cannot be found.

    Reference:
        Ferrando & Voita (2024), "Information Flow Routes", section 2.2; Ferrando et al. (2022),
        equation 8, for the proximity. Differences: every edge is kept; norms that follow the attention are
        linear, their statistics constant; ``y`` is taken before a norm that follows the sum.

    >>> InformationFlowRoutes().signed
    False
    """

    name: ClassVar[str] = "information_flow_routes"
    reference: ClassVar[str] = "Ferrando & Voita 2024"
    reader: ClassVar[type[FlowReader]] = InformationFlowReader
