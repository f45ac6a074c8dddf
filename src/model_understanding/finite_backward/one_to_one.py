"""Functions of single numbers: their slope between both runs is exact.

The slope is ``(f(x1) − f(x0)) / (x1 − x0)``. In 32-bit precision that loses its digits where ``x1`` is close
to ``x0``: roots, powers, reciprocals and exponentials have closed forms without a difference, all others take
their derivative at the mean there. A chain of such functions, whatever it is built of, comes out as the
slope of the whole, because the multiplier of a function of one number is unique.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_understanding.backward_rules.activations import ELEMENTWISE
from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_slope
from model_understanding.finite_backward.logarithmic import logarithmic_mean
from model_understanding.finite_backward.pairing import Pairing, are_same
from model_understanding.model.precision import precise

Slope = Callable[[Tensor, Tensor], Tensor]

_PIECEWISE = frozenset(
    {
        *(
            "relu",
            "relu6",
            "leaky_relu",
            "hardtanh",
            "hardshrink",
            "softshrink",
            "threshold",
            "prelu",
            "rrelu",
        ),
        *("clamp", "clip", "clamp_min", "clamp_max", "abs", "absolute", "__abs__", "maximum", "minimum"),
        *("max", "min", "fmax", "fmin"),
    }
)
"""Functions that consist of straight lines: their slope has no digits to lose, their derivative jumps."""
_BOUNDED = frozenset(
    {
        *(
            "gelu",
            "silu",
            "elu",
            "selu",
            "celu",
            "mish",
            "softplus",
            "tanh",
            "sigmoid",
            "logsigmoid",
            "softsign",
        ),
        *(
            "tanhshrink",
            "erf",
            "erfc",
            "sin",
            "cos",
            "sinh",
            "cosh",
            "hardswish",
            "hardsigmoid",
            "expm1",
            "asinh",
        ),
        *("atan", "quick_gelu"),
    }
)
"""Functions whose derivatives do not exceed their arguments' scale of one."""
_OTHERS = frozenset(
    {
        *(
            "exp",
            "exp2",
            "log",
            "log1p",
            "log2",
            "log10",
            "sqrt",
            "rsqrt",
            "reciprocal",
            "tan",
            "asin",
            "acos",
        ),
        *("acosh", "atanh", "pow", "__pow__", "__rpow__", "float_power", "square", "logit", "sinc"),
        *("__rtruediv__", "__rdiv__"),
    }
)
NAMES = ELEMENTWISE | _PIECEWISE | _BOUNDED | _OTHERS


def one_to_one(pairing: Pairing, call: Call) -> Any:
    """Run a function of single numbers, with its slope between both runs.

    Args:
        pairing: Both runs.
        call: The call; one operand depends on the text.

    Returns:
        What the function returns.
    """
    operands = call.tensors()
    places = [place for place, operand in enumerate(operands) if operand.requires_grad]
    known = pairing.counterparts(call, operands)
    if known is None:
        return call.run()
    constants = zip(operands, known, strict=True)
    if len(places) > 1 or not all(are_same(a, b) for a, b in constants if not a.requires_grad):
        why = f"{call.name} in {pairing.where} has more than one operand that differs between the runs"
        return pairing.refused_if_reached(call.run(), why)
    (place,) = places
    x, x0 = operands[place], known[place]
    value = call.value()
    if value.shape != x.shape:
        x, x0 = x.expand(value.shape), x0.expand(value.shape)

    def function(other: Tensor) -> Tensor:
        return call.with_tensors([other if i == place else operand for i, operand in enumerate(operands)])

    with torch.no_grad():
        slope = _slope(call, function, precise(x0), precise(x.detach()))
    return with_slope(x, value, slope.to(x.dtype))


def slope_between(function: Callable[[Tensor], Tensor], x0: Tensor, x1: Tensor, name: str = "") -> Tensor:
    """Return the slope of a function between two values of each of its arguments.

    Args:
        function: A function of single numbers.
        x0: The arguments of the reference.
        x1: Those of the text.
        name: The function's name, which says how close both may be.

    Returns:
        ``(f(x1) − f(x0)) / (x1 − x0)``; ``f′((x0 + x1) / 2)`` where both are too close for it.
    """
    change, size = x1 - x0, x0.abs() + x1.abs()
    eps = torch.finfo(x1.dtype).eps
    relative, least = 0.6 * eps ** (1 / 3), 0.0
    if name in _PIECEWISE:
        relative = 8 * eps
    elif name in _BOUNDED:
        least = 0.2 * eps ** (1 / 3)
    is_close = ~(change.abs() > (relative * size).clamp_min(max(least, torch.finfo(x1.dtype).tiny)))
    result = (function(x1) - function(x0)) / change.masked_fill(is_close, 1)
    if bool(is_close.any()):
        result = result.masked_scatter(is_close, _derivative(function, (x0 + x1) / 2, is_close))
    return torch.nan_to_num(result, nan=0.0, posinf=0.0, neginf=0.0)


def _derivative(function: Callable[[Tensor], Tensor], x: Tensor, selected: Tensor) -> Tensor:
    """Return the derivative at selected entries, of which a function with constants of its own has all."""
    with torch.enable_grad():
        try:
            part = x[selected].requires_grad_()
            (result,) = torch.autograd.grad(function(part).sum(), part)
        except RuntimeError:
            whole = x.detach().requires_grad_()
            (result,) = torch.autograd.grad(function(whole).sum(), whole)
            result = result[selected]
    return result


def _slope(call: Call, function: Callable[[Tensor], Tensor], x0: Tensor, x1: Tensor) -> Tensor:
    name = call.name
    if name in ("pow", "__pow__", "float_power") and not isinstance(call.argument(1, "exponent"), Tensor):
        return _power(float(call.argument(1, "exponent")), function, x0, x1)
    closed = _CLOSED.get(name)
    if closed is not None:
        return closed(x0, x1)
    if name in ("__rtruediv__", "__rdiv__"):
        return _reciprocal(x0, x1) * call.arguments[1]
    return slope_between(function, x0, x1, name)


def _power(exponent: float, function: Callable[[Tensor], Tensor], x0: Tensor, x1: Tensor) -> Tensor:
    powers: dict[float, Slope] = {
        2.0: _square,
        3.0: lambda a, b: a * a + a * b + b * b,
        1.0: lambda a, b: torch.ones_like(a),
        0.5: _root,
        -0.5: _inverse_root,
        -1.0: _reciprocal,
    }
    known = powers.get(exponent)
    return known(x0, x1) if known else slope_between(function, x0, x1)


def _square(x0: Tensor, x1: Tensor) -> Tensor:
    return x0 + x1


def _root(x0: Tensor, x1: Tensor) -> Tensor:
    return torch.nan_to_num(1 / (x0.sqrt() + x1.sqrt()), posinf=0.0)


def _inverse_root(x0: Tensor, x1: Tensor) -> Tensor:
    r0, r1 = x0.rsqrt(), x1.rsqrt()
    return -r0 * r1 * (r0 * r1 / (r0 + r1))


def _reciprocal(x0: Tensor, x1: Tensor) -> Tensor:
    return -1 / x0 / x1


_CLOSED: dict[str, Slope] = {
    "square": _square,
    "sqrt": _root,
    "rsqrt": _inverse_root,
    "reciprocal": _reciprocal,
    "exp": logarithmic_mean,
    "expm1": logarithmic_mean,
}
