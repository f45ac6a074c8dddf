"""Operations that others with a rule compute: they run as those, and keep their own value."""

from collections.abc import Callable

import torch
from torch import Tensor

from model_understanding.finite_backward.calls import Call
from model_understanding.model.operations import DIVISIONS

Composite = Callable[[Call], Tensor]

QUOTIENTS = DIVISIONS | {"__itruediv__"}


def composite_of(call: Call) -> Composite | None:
    """Return what computes the same as a call by operations that have a rule, if it must be taken apart.

    Args:
        call: The call.
    """
    find = _FINDERS.get(call.name)
    return find(call) if find else None


def _quotient_of(call: Call) -> Composite | None:
    divisor = call.argument(1, "other")
    depends = isinstance(divisor, Tensor) and divisor.requires_grad
    return _quotient if depends and not call.keywords.get("rounding_mode") else None


def _greater_of(call: Call) -> Composite | None:
    pair = call.argument(0, "input"), call.argument(1, "other")
    return _greater if all(isinstance(each, Tensor) and each.requires_grad for each in pair) else None


def _length_of(call: Call) -> Composite | None:
    order = call.argument(1, "p", call.keywords.get("ord", 2))
    return _length if order in (2, 2.0, "fro", None) else None


def _quotient(call: Call) -> Tensor:
    dividend, divisor = call.argument(0, "input"), call.argument(1, "other")
    return torch.mul(dividend, torch.reciprocal(divisor))


def _greater(call: Call) -> Tensor:
    pair = torch.stack(torch.broadcast_tensors(call.argument(0, "input"), call.argument(1, "other")))
    is_largest = "max" in call.name
    return torch.amax(pair, 0) if is_largest else torch.amin(pair, 0)


def _length(call: Call) -> Tensor:
    x = call.argument(0, "input", call.keywords.get("x"))
    axis, keepdim = call.argument(2, "dim"), call.argument(3, "keepdim", False)
    return torch.sqrt(torch.square(x).sum(axis, keepdim=keepdim))


def _normalized(call: Call) -> Tensor:
    x, axis, eps = call.argument(0, "input"), call.argument(2, "dim", 1), call.argument(3, "eps", 1e-12)
    length = torch.sqrt(torch.square(x).sum(axis, keepdim=True))
    return torch.mul(x, torch.reciprocal(torch.clamp_min(length, eps)))


def _deviation(call: Call) -> Tensor:
    return torch.sqrt(torch.var(*call.arguments, **call.keywords))


def _gated(call: Call) -> Tensor:
    first, second = torch.chunk(call.argument(0, "input"), 2, call.argument(1, "dim", -1))
    return torch.mul(first, torch.sigmoid(second))


def _group_normalized(call: Call) -> Tensor:
    x, groups = call.argument(0, "input"), call.argument(1, "num_groups")
    weight, bias = call.argument(2, "weight"), call.argument(3, "bias")
    grouped = x.reshape(x.shape[0], groups, -1)
    result = torch.nn.functional.layer_norm(grouped, grouped.shape[-1:], eps=call.argument(4, "eps", 1e-5))
    result = result.reshape(x.shape)
    shape = (1, -1, *(1,) * (x.ndim - 2))
    result = result if weight is None else torch.mul(result, weight.reshape(shape))
    return result if bias is None else torch.add(result, bias.reshape(shape))


_FINDERS: dict[str, Callable[[Call], Composite | None]] = {
    **dict.fromkeys(QUOTIENTS, _quotient_of),
    **dict.fromkeys(("maximum", "minimum", "max", "min", "fmax", "fmin"), _greater_of),
    **dict.fromkeys(("norm", "vector_norm", "linalg_vector_norm"), _length_of),
    "normalize": lambda _: _normalized,
    "std": lambda _: _deviation,
    "glu": lambda _: _gated,
    "group_norm": lambda _: _group_normalized,
}
