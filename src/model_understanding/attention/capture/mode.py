"""Catch attention in the middle of a plain forward, whatever computes it.

A function mode, alive for one forward and in this thread only, sees every attention that the model
computes: a fused ``scaled_dot_product_attention`` (then only the rows asked for are recomputed from its
own queries, keys and mask) or the softmax of eager code (then its result is read). Each layer is reduced
before anything is kept; no layers × heads × tokens² array is ever held unless it was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_understanding.attention.capture.layer import (
    AttentionLayer,
    FusedLayer,
    HeldLayer,
    blocks_of,
    masked_below,
)
from model_understanding.attention.capture.reducers import Axis, Reduced, Reducer, Rows, TopKeys, choose_heads
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.attention_layout import layer_count
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

_SOFTMAX = frozenset({torch.nn.functional.softmax, torch.softmax, Tensor.softmax})
FUSED = torch.nn.functional.scaled_dot_product_attention


class CapturedAttention(NamedTuple):
    """Attention weights, and which cells may be attended to in any layer kept.

    What a reducer kept stands in place of the last two axes.

    Args:
        weights: The weights; a reduced axis has length 1.
        mask: Which of them some head of some layer could fill.
        keys: Positions of the keys, where each row kept others (``TopKeys``); −1 beyond a row's last weight.
    """

    weights: Float[Tensor, "batch layers heads queries tokens"]
    mask: Bool[Tensor, "batch queries tokens"]
    keys: Int[Tensor, "batch layers heads queries count"] | None = None


def capture_attention(
    model: Model,
    encoding: Encoding,
    layers: Axis,
    heads: Axis,
    queries: Sequence[int] | None = None,
    reducer: Reducer | None = None,
) -> CapturedAttention:
    """Return attention weights of a plain forward pass, exact and reduced layer by layer.

    Args:
        model: The model.
        encoding: The texts.
        layers: Indices of layers, or ``mean`` or ``max`` over all of them.
        heads: Indices of heads, likewise.
        queries: Positions of the rows to keep; all where left out.
        reducer: What to keep of a layer's rows (``reducers``); all of them where left out.

    Returns:
        Weights ``(B, L, H, Q, T)`` and the cells that may be attended to ``(B, Q, T)``; a reducer's result
        stands in place of the last two axes.

    Raises:
        UnsupportedModelError: This model's attention cannot be read exactly.
    """
    tokens = encoding.ids.shape[1]
    keeper = AttentionKeeper(
        layers=layers,
        heads=heads,
        queries=range(tokens) if queries is None else queries,
        reducer=reducer or Rows(),
    )
    capture = AttentionCapture(model, tokens, keeper)
    with guarded(model.module, gradients=False):
        with capture:
            outputs = model.forward(encoding, tokens - 1 if model.is_language_model else 0)
        require_finite(outputs.logits, "logits")
    capture.require_complete()
    return keeper.captured()


@dataclass(eq=False)
class AttentionKeeper:
    """Keeps what was asked for of each layer as it comes.

    Args:
        layers: Layers to keep, or ``mean`` or ``max`` over all.
        heads: Heads to keep, likewise.
        queries: Positions of the rows.
        reducer: What to keep of a layer's rows.

    Raises:
        InputError: The reducer keeps other keys in each layer, and layers are to be joined.
    """

    layers: Axis
    heads: Axis
    queries: Sequence[int]
    reducer: Reducer
    kept: list[Reduced] = field(default_factory=list)

    def __post_init__(self) -> None:
        if isinstance(self.layers, str) and isinstance(self.reducer, TopKeys):
            raise InputError(
                f"The largest weights of a row lie elsewhere in each layer: layers={self.layers!r} cannot "
                "join them.",
                hint="Choose layers by their index.",
            )

    def wants(self, number: int) -> bool:
        """Return whether a layer is kept."""
        return isinstance(self.layers, str) or number in self.layers

    def take(self, number: int, layer: AttentionLayer, factors: Tensor | None = None) -> None:
        """Reduce and keep a layer.

        Args:
            number: Its index.
            layer: The layer.
            factors: What the weights of each head and key are multiplied by, ``(batch, heads, 1, tokens)``.
        """

        def chosen() -> Any:
            for block in blocks_of(layer, self.queries):
                weights = block.weights
                if factors is not None:
                    weights = weights * factors[..., block.first : block.first + weights.shape[-1]]
                yield block._replace(weights=choose_heads(weights, self.heads))

        batch, _, tokens = layer.shape
        heads = 1 if isinstance(self.heads, str) else len(self.heads)
        found = self.reducer(chosen(), (batch, heads, len(self.queries), tokens))
        if not self.kept or not isinstance(self.layers, str):
            self.kept.append(found)
            return
        so_far = self.kept[0]
        weights = found.weights.to(so_far.weights.device)  # layers may lie on several devices
        if self.layers == "mean":
            weights = so_far.weights + (weights - so_far.weights) / (number + 1)
        else:
            weights = torch.maximum(so_far.weights, weights)
        self.kept[0] = Reduced(weights, so_far.mask | found.mask.to(so_far.mask.device))

    def captured(self) -> CapturedAttention:
        """Return what was kept, layers in the caller's order."""
        order: Sequence[int] = [0]
        if not isinstance(self.layers, str):  # layers came in the model's order
            held = sorted(set(self.layers))
            order = [held.index(layer) for layer in self.layers]
        device = self.kept[0].weights.device
        chosen = [self.kept[place] for place in order]
        mask = chosen[0].mask
        for other in chosen[1:]:
            mask = mask | other.mask.to(device)
        keys = [reduced.keys.to(device) for reduced in chosen if reduced.keys is not None]
        return CapturedAttention(
            torch.stack([reduced.weights.to(device) for reduced in chosen], dim=1),
            mask,
            torch.stack(keys, dim=1) if keys else None,
        )


class AttentionCapture(TorchFunctionMode):
    """The mode: counts attention layers and hands them on.

    Args:
        model: The model.
        tokens: Length of the sequence.
        keeper: What takes the layers; a kind of capture that looks further has its own.

    Raises:
        UnsupportedModelError: The model has no attention.
    """

    def __init__(self, model: Model, tokens: int, keeper: AttentionKeeper | None = None) -> None:
        super().__init__()
        self.model = model
        self.tokens = tokens
        self.keeper = keeper
        self.layer_count = layer_count(model.config)
        self.head_count = model.config.get_text_config().num_attention_heads
        self.seen = 0
        self.unexpected: str | None = None

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        if function is FUSED:
            self._take_fused(*arguments, **keywords)
            return function(*arguments, **keywords)
        result = function(*arguments, **keywords)
        if function in _SOFTMAX:
            scores = arguments[0] if arguments else keywords["input"]
            axis = keywords.get("dim", arguments[1] if len(arguments) > 1 else None)
            if self._is_attention(scores, axis):
                self._take_softmax(scores, result)
        return result

    def take(self, number: int, layer: AttentionLayer) -> None:
        """Receive a layer, just before or just after the model used it."""
        if self.keeper is not None:
            self.keeper.take(number, layer)

    def wants(self, number: int) -> bool:
        """Return whether a layer is to be looked at."""
        return self.keeper is not None and self.keeper.wants(number)

    def require_complete(self) -> None:
        """Raise unless every layer of the model was seen, in the shape expected."""
        if self.unexpected or self.seen != self.layer_count:
            found = self.unexpected or f"{self.seen} attention layers where there are {self.layer_count}"
            raise UnsupportedModelError(
                f"The attention of {self.model_name} cannot be read exactly: found {found}.",
                hint="Load the model with attn_implementation='sdpa' or 'eager' if it is not; "
                "some architectures cannot be shown.",
            )

    @property
    def model_name(self) -> str:
        """The model's class and what computes its attention, for errors."""
        implementation = getattr(self.model.config, "_attn_implementation", None)
        return f"{self.model.name} (implementation {implementation!r})"

    def _is_attention(self, scores: Tensor, axis: int | None) -> bool:
        # One more key than tokens: a learned sink competes in the softmax (GPT-OSS).
        return (
            scores.ndim == 4
            and axis in (-1, 3)
            and scores.shape[-2] == self.tokens
            and scores.shape[-1] in (self.tokens, self.tokens + 1)
        )

    def _next_wanted(self) -> int | None:
        """Count a layer; return its number where it is to be looked at."""
        number = self.seen
        self.seen += 1
        return number if self.wants(number) else None

    def _take_softmax(self, scores: Tensor, probabilities: Tensor) -> None:
        number = self._next_wanted()
        if number is None or not self._has_expected_heads(scores.shape[1]):
            return
        allowed = (scores.detach()[..., : self.tokens] > masked_below(scores.dtype)).any(dim=1)
        self.take(number, HeldLayer(probabilities.detach()[..., : self.tokens], allowed))

    def _take_fused(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> None:
        number = None if query.ndim != 4 else self._next_wanted()
        if number is None:
            return
        query, key = query.detach(), key.detach()
        if self.tokens == 1 and query.shape[1] * query.shape[2] == self.head_count:
            # transformers packs the heads of a group on the query axis when there is one query
            query = query.reshape(query.shape[0], self.head_count, 1, -1)
            attn_mask = None if attn_mask is None else attn_mask[:, :1, :1]
        if query.shape[2] != self.tokens or key.shape[2] != self.tokens:
            self.unexpected = f"queries of shape {tuple(query.shape)} and keys of shape {tuple(key.shape)}"
            return
        if self._has_expected_heads(query.shape[1]):
            factor = query.shape[-1] ** -0.5 if scale is None else scale
            self.take(number, FusedLayer(query, key, attn_mask, is_causal, factor))

    def _has_expected_heads(self, count: int) -> bool:
        if count != self.head_count:
            self.unexpected = f"{count} heads where the configuration says {self.head_count}"
        return count == self.head_count
