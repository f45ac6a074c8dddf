"""Activations: which modules and functions are one, and the slope that replaces their derivative."""

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
# Pieces of a GELU written out by hand: outside of a module, products and slopes would take it apart.
PIECES = frozenset({"erf"})
# Functions of one tensor that are not linear and that no rule knows: seen outside of an activation's
# module, they belong to something that would be propagated wrongly.
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
    """Return whether a module is an activation function, to be treated as one unit.

    Args:
        module: Any module of a model.

    Returns:
        True for the activations of torch and transformers, and for modules without parameters that are
        named like one.
    """
    if isinstance(module, _NOT_ELEMENTWISE) or any(module.children()):
        return False
    if type(module).__module__ in ("torch.nn.modules.activation", "transformers.activations"):
        return True
    return next(module.parameters(), None) is None and bool(_NAMES.search(type(module).__name__))


def with_slope(x: Tensor, value: Tensor) -> Tensor:
    """Return an activation's value whose gradient is its slope ``value / x``.

    At ``x = 0`` the slope counts as 0: no relevance passes through a unit whose input is 0.

    Args:
        x: The activation's input.
        value: Its output.

    Returns:
        The value, to the bit.
    """
    return _Slope.apply(x, [value.detach()])  # pyright: ignore[reportReturnType]


def mark_as_activation(value: Tensor, x: Tensor) -> None:
    """Remember on an activation's output what it was computed from."""
    value._activation_of = weakref.ref(_origin(x))  # pyright: ignore[reportAttributeAccessIssue]


def mark_as_multiple(result: Tensor, x: Tensor) -> None:
    """Remember that a tensor is a number times another."""
    result._multiple_of = weakref.ref(_origin(x))  # pyright: ignore[reportAttributeAccessIssue]


def left_an_activation(value: Tensor) -> bool:
    """Return whether a tensor is the direct output of an activation."""
    return hasattr(value, "_activation_of")


def gates_itself(x: Tensor, factor: Tensor) -> bool:
    """Return whether ``x · factor`` is an activation written out by hand, as ``x · sigmoid(1.7 x)`` is."""
    source = getattr(factor, "_activation_of", None)
    return source is not None and source() is _origin(x)


def _origin(x: Tensor) -> Tensor:
    source = getattr(x, "_multiple_of", None)
    found = None if source is None else source()
    return x if found is None else found


class _Slope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: list[Tensor]) -> Tensor:
        # In a list, the value is not an input: it may be returned as it is, without a copy.
        slope = torch.where(x == 0, torch.zeros_like(x), value[0] / x)
        ctx.save_for_backward(slope)
        return value[0]

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Any:
        (gradient,) = grad_outputs
        (slope,) = ctx.saved_tensors
        return (gradient * slope, None)
