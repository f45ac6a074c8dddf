"""Attention rollout: attention and residual connections, multiplied over the layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from model_understanding.attention.capture.parts import LayerValues
from model_understanding.attention.capture.reducers import Axis
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.attention.flow import FlowReader, flow_map, joined_heads, with_residual
from model_understanding.errors import InputError
from model_understanding.model.attention_layout import Sides, Stack
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding


class RolloutReader(FlowReader):
    """``½ A + ½ I``, heads joined, rows summing to 1.

    Args:
        model: The model.
        sides: How many tokens the text has.
        heads: ``mean`` or ``max``.
    """

    name = "rollout"
    only_reads = True
    takes_batches = True

    def __init__(self, model: Model, sides: Sides, heads: str = "mean") -> None:
        super().__init__(model, sides)
        self._heads = heads

    def read_values(self, values: LayerValues) -> None:
        """Receive a layer."""
        super().read_values(values)
        weights, heads = values.weights, self._heads
        self.add(weights, lambda queries: with_residual(joined_heads(weights, queries, heads), queries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    r"""How much of each layer's tokens comes from each token below, if only attention mixed tokens.

    ``R_layer = Â_layer · R_{layer−1}``, ``Â = ½ A + ½ I`` with rows that sum to 1, ``R`` below the start
    the identity. Heads are joined first, by ``head="mean"`` or ``"max"``. The chosen layer is the highest of
    the product. Costs one forward pass; for Q rows O(layers · Q · tokens²) and O(tokens) memory per row, or,
    in eager code that holds them anyway, tokens² per layer.

    Args:
        start_layer: The lowest layer of the product.

    Raises:
        InputError: Layers are joined, or single heads chosen.
        UnsupportedModelError: Some layer has no attention that can be read.

    Reference:
        Abnar & Zuidema (2020), "Quantifying Attention Flow in Transformers", equation 1. The paper takes
        the mean over heads.

    >>> Rollout(start_layer=2)
    Rollout(start_layer=2)
    """

    name: ClassVar[str] = "rollout"
    reference: ClassVar[str] = "Abnar & Zuidema 2020"

    start_layer: int = 0

    def __call__(
        self,
        model: Model,
        encoding: Encoding,
        layers: Axis,
        heads: Axis,
        queries: Sequence[int] | None = None,
        stack: Stack | None = None,
    ) -> CapturedAttention:
        """Return the rollout up to each chosen layer, ``(B, L, 1, Q, T)``."""
        if not isinstance(heads, str):
            raise InputError(
                f"The map rollout joins the heads of a layer. Got heads {list(heads)}.",
                hint="Pass head='mean' or head='max'.",
            )
        make_reader = partial(RolloutReader, heads=heads)
        return flow_map(model, encoding, layers, queries, self.start_layer, make_reader, stack)
