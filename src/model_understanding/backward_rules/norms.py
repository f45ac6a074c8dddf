"""Normalization layers with constant statistics in the backward pass, which makes them linear."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

STATISTICS = frozenset({"rsqrt", "sqrt", "pow", "__pow__"})


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Compute ``(x − mean) / std · weight + bias`` with a constant std; the mean stays linear in x."""
    return _FrozenLayerNorm.apply(input, tuple(normalized_shape), weight, bias, eps)  # pyright: ignore[reportReturnType]


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Compute ``x / rms · weight`` with a constant rms."""
    return _FrozenRmsNorm.apply(input, tuple(normalized_shape), weight, eps)  # pyright: ignore[reportReturnType]


def is_statistic(exponent: Any, result: Tensor) -> bool:
    """Return whether a power is the statistic of a norm written in primitive operations.

    Args:
        exponent: The exponent.
        result: The power.

    Returns:
        True for ``x ** ±0.5`` of a single number per row.
    """
    is_root = isinstance(exponent, float) and exponent in (0.5, -0.5)
    return is_root and result.ndim > 1 and result.shape[-1] == 1


class _FrozenLayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        shape: tuple[int, ...],
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        result, _, inverse = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(inverse, weight)
        ctx.axes = tuple(range(-len(shape), 0))
        return result

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (gradient,) = grad_outputs
        inverse, weight = ctx.saved_tensors
        scaled = gradient if weight is None else gradient * weight
        centered = scaled - scaled.mean(ctx.axes, keepdim=True)
        return (centered * inverse.to(gradient.dtype), None, None, None, None)


class _FrozenRmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, eps: float | None
    ) -> Tensor:
        axes = tuple(range(-len(shape), 0))
        added = torch.finfo(x.dtype).eps if eps is None else eps
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        inverse = torch.rsqrt(wide.pow(2).mean(axes, keepdim=True) + added)
        ctx.save_for_backward(inverse.to(x.dtype), weight)
        return torch.rms_norm(x, shape, weight, eps)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (gradient,) = grad_outputs
        inverse, weight = ctx.saved_tensors
        scaled = gradient if weight is None else gradient * weight
        return (scaled * inverse, None, None, None)
