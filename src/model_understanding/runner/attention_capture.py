"""Catch attention weights in the middle of a plain forward, whatever computes them.

A function mode, alive for one forward and in this thread only, sees every attention that the model
computes: a fused ``scaled_dot_product_attention`` (then only the rows asked for are recomputed from its
own queries, keys and mask) or the softmax of eager code (then its result is read). Weights are reduced
layer by layer; no layers × heads × tokens² array is ever held unless it was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_understanding.errors import UnsupportedModelError
from model_understanding.runner.encoding import Encoding
from model_understanding.runner.finite import require_finite

if TYPE_CHECKING:
    from model_understanding.runner.runner import Runner

Axis = Sequence[int] | str  # chosen indices, or "mean" or "max" over all

ROWS_AT_ONCE = 256
_SOFTMAX = frozenset({torch.nn.functional.softmax, torch.softmax, Tensor.softmax})
_FUSED = torch.nn.functional.scaled_dot_product_attention


class CapturedAttention(NamedTuple):
    """Attention weights, and which cells may be attended to in any layer kept."""

    weights: Float[Tensor, "batch layers heads queries tokens"]
    mask: Bool[Tensor, "batch queries tokens"]


def layer_count(config: Any) -> int:
    """Return how many layers of the model compute softmax attention.

    Args:
        config: The model's configuration.

    Returns:
        The number; hybrids name the kind of each layer.

    Raises:
        UnsupportedModelError: The model has no attention.
    """
    text_config = config.get_text_config()
    count = getattr(text_config, "num_hidden_layers", 0)
    if not count or not getattr(text_config, "num_attention_heads", 0):
        raise UnsupportedModelError(
            f"A model of type {config.model_type!r} has no attention to show.",
            hint="Use a saliency method instead: it works on any model with token embeddings.",
        )
    kinds = getattr(text_config, "layer_types", None)
    if not isinstance(kinds, list) or not kinds:
        return count
    count = sum(kind.endswith("attention") and not kind.startswith("linear") for kind in kinds)
    if not count:
        raise UnsupportedModelError(
            f"The layers of a model of type {config.model_type!r} ({', '.join(sorted(set(kinds)))}) "
            "hold no attention that can be read exactly.",
            hint="Use a saliency method instead: it works on any model with token embeddings.",
        )
    return count


def capture_attention(
    runner: "Runner", encoding: Encoding, layers: Axis, heads: Axis, queries: Sequence[int] | None
) -> CapturedAttention:
    """Run one plain forward and return the attention asked for; see ``Runner.capture``."""
    expected_layers = layer_count(runner.config)
    tokens = encoding.ids.shape[1]
    capture = AttentionCapture(
        layers=layers,
        heads=heads,
        queries=range(tokens) if queries is None else queries,
        tokens=tokens,
        head_count=runner.config.get_text_config().num_attention_heads,
    )
    with capture:
        outputs = runner.forward(encoding, tokens - 1 if runner.is_language_model else 0)
    require_finite(outputs.logits, "logits")
    name = type(runner.model).__name__
    implementation = getattr(runner.config, "_attn_implementation", None)
    if capture.unexpected or capture.seen != expected_layers:
        found = capture.unexpected or f"{capture.seen} attention layers where there are {expected_layers}"
        raise UnsupportedModelError(
            f"The attention of {name} (implementation {implementation!r}) cannot be read exactly: "
            f"found {found}.",
            hint="Load the model with attn_implementation='sdpa' or 'eager' if it is not; "
            "some architectures cannot be shown.",
        )
    weights = capture.weights()
    if not isinstance(layers, str):  # layers come in the model's order; give them in the caller's
        order = sorted(set(layers))
        weights = weights[:, [order.index(layer) for layer in layers]]
    assert capture.mask is not None
    return CapturedAttention(weights, capture.mask)


@dataclass(eq=False)
class AttentionCapture(TorchFunctionMode):
    """The mode: counts attention layers and keeps what was asked for.

    Args:
        layers: Layers to keep, or ``mean`` or ``max`` over all.
        heads: Heads to keep, or ``mean`` or ``max`` over all.
        queries: Positions of the rows to keep.
        tokens: Length of the sequence.
        head_count: How many heads a layer must have.
    """

    layers: Axis
    heads: Axis
    queries: Sequence[int]
    tokens: int
    head_count: int
    seen: int = 0
    unexpected: str | None = None
    kept: list[Float[Tensor, "batch heads queries tokens"]] = field(default_factory=list)
    mask: Bool[Tensor, "batch queries tokens"] | None = None

    def __post_init__(self) -> None:
        TorchFunctionMode.__init__(self)

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        if function is _FUSED:
            self._take_fused(*arguments, **keywords)
            return function(*arguments, **keywords)
        result = function(*arguments, **keywords)
        if function in _SOFTMAX:
            scores = arguments[0] if arguments else keywords["input"]
            axis = keywords.get("dim", arguments[1] if len(arguments) > 1 else None)
            if self._is_attention(scores, axis):
                self._take_softmax(scores, result)
        return result

    def weights(self) -> Float[Tensor, "batch layers heads queries tokens"]:
        """Return what was kept, one entry on the layer axis for each layer or for their reduction."""
        return torch.stack(self.kept, dim=1)

    def _is_attention(self, scores: Tensor, axis: int | None) -> bool:
        # One more key than tokens: a learned sink competes in the softmax (GPT-OSS).
        return (
            scores.ndim == 4
            and axis in (-1, 3)
            and scores.shape[-2] == self.tokens
            and scores.shape[-1] in (self.tokens, self.tokens + 1)
        )

    def _wants(self) -> bool:
        """Count a layer; say whether it is one to keep."""
        layer = self.seen
        self.seen += 1
        return isinstance(self.layers, str) or layer in self.layers

    def _take_softmax(self, scores: Tensor, probabilities: Tensor) -> None:
        if not self._wants() or not self._has_expected_heads(scores.shape[1]):
            return
        rows = torch.as_tensor(list(self.queries), device=scores.device)
        chosen_scores = scores.detach()[:, :, rows, : self.tokens]
        self._keep(
            self._reduced_heads(_precise(probabilities.detach()[:, :, rows, : self.tokens])),
            (chosen_scores > _masked_below(scores.dtype)).any(dim=1),
        )

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
        if query.ndim != 4 or not self._wants():
            return
        query, key = query.detach(), key.detach()
        if self.tokens == 1 and query.shape[1] * query.shape[2] == self.head_count:
            # transformers packs the heads of a group on the query axis when there is one query
            query = query.reshape(query.shape[0], self.head_count, 1, -1)
            attn_mask = None if attn_mask is None else attn_mask[:, :1, :1]
        if query.shape[2] != self.tokens or key.shape[2] != self.tokens:
            self.unexpected = f"queries of shape {tuple(query.shape)} and keys of shape {tuple(key.shape)}"
            return
        if not self._has_expected_heads(query.shape[1]):
            return
        if key.shape[1] != query.shape[1]:
            key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        blocks, masks = [], []
        for start in range(0, len(self.queries), ROWS_AT_ONCE):
            rows = torch.as_tensor(list(self.queries[start : start + ROWS_AT_ONCE]), device=query.device)
            scores = (_precise(query[:, :, rows]) * factor) @ _precise(key).transpose(-1, -2)
            if is_causal:
                scores = scores.masked_fill(_later_keys(rows, self.tokens), -torch.inf)
            if attn_mask is not None:
                chosen = attn_mask if attn_mask.shape[-2] == 1 else attn_mask[..., rows, :]
                if chosen.dtype == torch.bool:
                    scores = scores.masked_fill(~chosen, -torch.inf)
                else:
                    scores = scores + chosen.to(scores.dtype)
            allowed = scores > _masked_below(torch.float32 if attn_mask is None else attn_mask.dtype)
            # A row that may look nowhere (padding) has no weights: zeros, not NaN.
            probabilities = torch.softmax(scores, dim=-1).masked_fill(~allowed.any(-1, keepdim=True), 0)
            blocks.append(self._reduced_heads(probabilities))
            masks.append(allowed.any(dim=1))
        self._keep(torch.cat(blocks, dim=2), torch.cat(masks, dim=1))

    def _has_expected_heads(self, count: int) -> bool:
        if count != self.head_count:
            self.unexpected = f"{count} heads where the configuration says {self.head_count}"
        return count == self.head_count

    def _reduced_heads(self, weights: Tensor) -> Tensor:
        if self.heads == "mean":
            return weights.mean(dim=1, keepdim=True)
        if self.heads == "max":
            return weights.amax(dim=1, keepdim=True)
        return weights[:, list(self.heads)]  # pyright: ignore[reportArgumentType]

    def _keep(self, weights: Tensor, mask: Tensor) -> None:
        # Layers may lie on several devices.
        self.mask = mask if self.mask is None else self.mask | mask.to(self.mask.device)
        if isinstance(self.layers, str) and self.kept:
            so_far, weights = self.kept[0], weights.to(self.kept[0].device)
            if self.layers == "mean":
                self.kept[0] = so_far + (weights - so_far) / self.seen
            else:
                self.kept[0] = torch.maximum(so_far, weights)
        else:
            self.kept.append(weights.to(self.kept[0].device) if self.kept else weights)


def _precise(values: Tensor) -> Tensor:
    """Return values in 32-bit precision or better."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _later_keys(rows: Tensor, tokens: int) -> Bool[Tensor, "rows tokens"]:
    return torch.arange(tokens, device=rows.device)[None, :] > rows[:, None]


def _masked_below(dtype: torch.dtype) -> float:
    """Return the score under which a cell counts as masked: half of what masks of this type add."""
    return max(torch.finfo(dtype).min / 2, -1e29) if dtype.is_floating_point else -1e29
