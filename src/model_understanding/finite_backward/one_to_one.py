"""Functions of single numbers: their slope between both runs is exact.

The slope is ``(f(x1) − f(x0)) / (x1 − x0)``. In 32-bit precision that loses its digits where ``x1`` is close
to ``x0``: roots, powers, reciprocals, exponentials and what is made of tanh have closed forms without a
difference, all others take their derivative at the mean there. A chain of such functions, whatever it is
built of, comes out as the slope of the whole, because the multiplier of a function of one number is unique.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_understanding.backward_rules.activations import ELEMENTWISE
from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_slope
from model_understanding.finite_backward.logarithmic import logarithmic_mean, tanh_ratio
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
            "elu",
            "selu",
            "celu",
            "mish",
            "softplus",
            "logsigmoid",
            "log_sigmoid",
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
_OF_TANH = frozenset({"tanh", "sigmoid", "silu"})
NAMES = ELEMENTWISE | _PIECEWISE | _BOUNDED | _OTHERS | _OF_TANH


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
    value = call.run() if pairing.is_recording else call.value()
    own = None if _closed_form(call) else value
    known = pairing.counterparts(call, operands, [own])
    if known is None:
        return value
    *known, value0 = known
    constants = zip(operands, known, strict=True)
    if len(places) > 1 or not all(are_same(a, b) for a, b in constants if not a.requires_grad):
        why = f"{call.name} in {pairing.where} has more than one operand that differs between the runs"
        return pairing.refused_if_reached(call.run(), why)
    (place,) = places
    x, x0 = operands[place], known[place]
    if value.shape != x.shape:
        x, x0 = x.expand(value.shape), x0.expand(value.shape)

    def function(other: Tensor) -> Tensor:
        return call.with_tensors([other if i == place else operand for i, operand in enumerate(operands)])

    with torch.no_grad():
        closed, low, high = _closed_form(call), precise(x0), precise(x)
        if closed is not None:
            slope = closed(low, high)
        else:
            is_precise = precise(value).dtype == value.dtype
            values = (value0, value) if value0 is not None and is_precise else None
            slope = slope_between(function, low, high, call.name, values)
    return with_slope(x, value, slope.to(x.dtype))


def slope_between(
    function: Callable[[Tensor], Tensor],
    x0: Tensor,
    x1: Tensor,
    name: str = "",
    values: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return the slope of a function between two values of each of its arguments.

    Args:
        function: A function of single numbers.
        x0: The arguments of the reference.
        x1: Those of the text.
        name: The function's name, which says how close both may be.
        values: What the function returns for both, where that is known.

    Returns:
        ``(f(x1) − f(x0)) / (x1 − x0)``; ``f′((x0 + x1) / 2)`` where both are too close for it.
    """
    eps, tiny = torch.finfo(x1.dtype).eps, torch.finfo(x1.dtype).tiny
    relative, least = 0.6 * eps ** (1 / 3), tiny
    if name in _PIECEWISE:
        relative = 8 * eps
    elif name in _BOUNDED:
        least = 0.2 * eps ** (1 / 3)
    change = x1 - x0
    is_close = change.abs() <= x0.abs().add_(x1.abs()).mul_(relative).clamp_(min=least)
    f0, f1 = values or (function(x0), function(x1))
    result = (f1 - f0).div_(change)
    if bool(is_close.any()):
        result = torch.where(is_close, _derivative(function, torch.lerp(x0, x1, 0.5)), result)
    return result.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)


def _derivative(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    with torch.enable_grad():
        x = x.requires_grad_()
        return torch.autograd.grad(function(x).sum(), x)[0]


def _closed_form(call: Call) -> Slope | None:
    """Return the slope of a function that has one without a difference."""
    if call.name in ("pow", "__pow__", "float_power"):
        exponent = call.argument(1, "exponent")
        return None if isinstance(exponent, Tensor) else _POWERS.get(float(exponent))
    if call.name in ("__rtruediv__", "__rdiv__"):
        return lambda x0, x1: _reciprocal(x0, x1) * call.arguments[1]
    return _CLOSED.get(call.name)


def _square(x0: Tensor, x1: Tensor) -> Tensor:
    return x0 + x1


def _root(x0: Tensor, x1: Tensor) -> Tensor:
    return torch.nan_to_num(1 / (x0.sqrt() + x1.sqrt()), posinf=0.0)


def _inverse_root(x0: Tensor, x1: Tensor) -> Tensor:
    r0, r1 = x0.rsqrt(), x1.rsqrt()
    return -r0 * r1 * (r0 * r1 / (r0 + r1))


def _reciprocal(x0: Tensor, x1: Tensor) -> Tensor:
    return -1 / x0 / x1


def _tanh(x0: Tensor, x1: Tensor) -> Tensor:
    """Return ``tanh(d) / d · (1 − tanh(x0) tanh(x1))`` with ``d = x1 − x0``."""
    product = torch.tanh(x0).mul_(torch.tanh(x1))
    return tanh_ratio(x1 - x0).mul_(product.neg_().add_(1))


def _sigmoid(x0: Tensor, x1: Tensor) -> Tensor:
    """Return the slope of ``½ + ½ tanh(x / 2)``."""
    return _tanh(x0 / 2, x1 / 2).mul_(0.25)


def _silu(x0: Tensor, x1: Tensor) -> Tensor:
    """Return the slope of ``x σ(x)``: the mean of both σ, and that of σ times the mean of both x."""
    half0, half1 = x0 / 2, x1 / 2
    tanh0, tanh1 = half0.tanh(), half1.tanh()
    of_sigmoid = tanh_ratio(half1 - half0).mul_(torch.addcmul(half0.new_ones(()), tanh0, tanh1, value=-1))
    means = tanh0.add_(tanh1).mul_(0.25).add_(0.5)
    return means.addcmul_(of_sigmoid, half0.add_(half1), value=0.25)


_POWERS: dict[float, Slope] = {
    2.0: _square,
    3.0: lambda a, b: a * a + a * b + b * b,
    1.0: lambda a, b: torch.ones_like(a),
    0.5: _root,
    -0.5: _inverse_root,
    -1.0: _reciprocal,
}
_CLOSED: dict[str, Slope] = {
    "square": _square,
    "sqrt": _root,
    "rsqrt": _inverse_root,
    "reciprocal": _reciprocal,
    "exp": logarithmic_mean,
    "expm1": logarithmic_mean,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "silu": _silu,
}
