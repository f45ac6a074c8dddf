"""Attention weighted by its gradient, accumulated over the layers, for the likeliest answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from model_understanding.runner import Encoding, Runner
from model_understanding.runner.attention_capture import CapturedAttention
from model_understanding.runner.attention_flow import flow_map, require_mean_heads
from model_understanding.runner.attention_reducers import Axis
from model_understanding.runner.attention_transitions import GradientWeightedCapture


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientWeightedAttention:
    r"""How relevant each token below is to each token of a layer, for one answer of the model.

    ``R ← R + Ā R``, ``Ā = mean_heads max(0, ∇A ⊙ A)``, ``R`` below the start the identity. The answer is
    the logit of the likeliest class, or of the likeliest next token. ``∇A_qk`` is the inner product of the
    mixture's gradient with the value, so no weights enter the graph: one forward and one backward,
    O(layers · Q · tokens²) for Q rows.

    Args:
        start_layer: The lowest layer followed; with the layer asked for the same, one layer alone.

    Raises:
        InputError: Layers are joined, or heads chosen.
        UnsupportedModelError: The values of a layer cannot be found.

    Reference:
        Chefer, Gur, Wolf (2021), "Generic Attention-Model Explainability for Interpreting Bi-Modal and
        Encoder-Decoder Transformers", equations 5 and 6.

    >>> GradientWeightedAttention().name
    'gradient_weighted'
    """

    name: ClassVar[str] = "gradient_weighted"
    reference: ClassVar[str] = "Chefer et al. 2021"

    start_layer: int = 0

    def __call__(
        self,
        runner: Runner,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None = None,
    ) -> CapturedAttention:
        """Return the map up to each layer asked for, ``(B, L, 1, Q, T)``."""
        require_mean_heads(heads, self.name)
        return flow_map(
            runner, encoding, layers, queries, self.start_layer, self.name, GradientWeightedCapture
        )
