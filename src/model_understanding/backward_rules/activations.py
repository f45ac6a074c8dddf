"""Activation functions: how to recognize them, and the slope that replaces their derivative."""

import re
import weakref
from typing import Any

import torch
from torch import Tensor, nn

ELEMENTWISE = frozenset(
    {
        *("gelu", "silu", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "mish", "softplus"),
        *("tanh", "sigmoid", "logsigmoid", "hardtanh", "hardswish", "hardsigmoid", "softsign", "tanhshrink"),
        *("clamp", "clip", "clamp_min", "clamp_max"),
    }
)
# Parts of a GELU written in primitive operations; outside of a module, they cannot be treated as one unit.
PARTS = frozenset({"erf"})
# Nonlinear functions of one tensor without a rule: outside of an activation module, their relevance would be
# propagated wrongly.
UNKNOWN = frozenset(
    {
        *("exp", "expm1", "exp2", "log", "log1p", "log2", "sin", "cos", "abs", "log_softmax"),
        *("logsumexp", "glu", "prelu", "softmin", "normalize", "norm", "std", "var", "addcmul", "addcdiv"),
        *("relu_", "tanh_", "sigmoid_", "silu_", "gelu_", "clamp_", "exp_", "rsqrt_", "sqrt_"),
    }
)
_NAMES = re.compile(r"gelu|silu|swish|relu|mish|tanh|sigmoid|activation", re.IGNORECASE)
_NOT_ELEMENTWISE = (nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.MultiheadAttention, nn.GLU)


def is_activation(module: nn.Module) -> bool:
    """Return whether a module is an activation function, which is treated as one unit.

    Args:
        module: Any module of a model.

    Returns:
        True for activations of torch and transformers, and for modules without parameters that have the
        name of one.
    """
    if isinstance(module, _NOT_ELEMENTWISE) or next(module.children(), None) is not None:
        return False
    if type(module).__module__ in ("torch.nn.modules.activation", "transformers.activations"):
        return True
    return next(module.parameters(), None) is None and bool(_NAMES.search(type(module).__name__))


def with_slope(x: Tensor, value: Tensor) -> Tensor:
    """Return an activation's value whose gradient is its slope ``value / x``.

    At ``x = 0`` the slope is defined as 0: no relevance passes through a unit with input 0.

    Args:
        x: The activation's input.
        value: The activation's output.

    Returns:
        The same values, bit for bit.
    """
    return _Slope.apply(x, [value.detach()])  # pyright: ignore[reportReturnType]


def mark_as_activation(value: Tensor, x: Tensor) -> None:
    """Record on an activation's output the tensor that it was computed from."""
    value._activation_of = weakref.ref(_origin(x))  # pyright: ignore[reportAttributeAccessIssue]


def mark_as_multiple(result: Tensor, x: Tensor) -> None:
    """Record on a tensor that it is a number times another tensor."""
    result._multiple_of = weakref.ref(_origin(x))  # pyright: ignore[reportAttributeAccessIssue]


def is_activation_output(value: Tensor) -> bool:
    """Return whether a tensor is the direct output of an activation."""
    return hasattr(value, "_activation_of")


def is_self_gated(x: Tensor, factor: Tensor) -> bool:
    """Return whether ``x · factor`` is an activation in primitive form, such as ``x · sigmoid(1.7 x)``."""
    reference = getattr(factor, "_activation_of", None)
    return reference is not None and reference() is _origin(x)


def _origin(x: Tensor) -> Tensor:
    reference = getattr(x, "_multiple_of", None)
    origin = None if reference is None else reference()
    return x if origin is None else origin


class _Slope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: list[Tensor]) -> Tensor:
        # Inside a list the value does not count as an input, so that it can be returned without a copy.
        slope = torch.where(x == 0, torch.zeros_like(x), value[0] / x)
        ctx.save_for_backward(slope)
        return value[0]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (gradient,) = grad_outputs
        (slope,) = ctx.saved_tensors
        return (gradient * slope, None)
