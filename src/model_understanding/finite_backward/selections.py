"""Largest and smallest entries, and selections of several."""

from typing import Any

import torch
from torch import Tensor

from model_understanding.finite_backward.calls import Call, mapped
from model_understanding.finite_backward.graph import with_rule
from model_understanding.finite_backward.one_to_one import one_to_one
from model_understanding.finite_backward.pairing import Pairing

EXTREMES = frozenset({"max", "amax", "min", "amin"})
ORDERS = frozenset({"topk", "sort"})


def extreme(pairing: Pairing, call: Call) -> Any:
    """Run a largest or smallest entry over an axis.

    With ``i0`` and ``i1`` where each run has it, ``a = x1[i1] − x1[i0]`` and ``b = x0[i0] − x0[i1]``: the
    multiplier's share ``a / (a + b)`` goes to ``i1``, the rest to ``i0``.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        What the function returns.
    """
    if isinstance(call.argument(1, "other"), Tensor):
        return one_to_one(pairing, call)
    x = call.argument(0, "input")
    axis = call.argument(1, "dim", call.keywords.get("axis", ()))
    known = pairing.counterparts(call, [x])
    if known is None:
        return call.run()
    axes = [axis] if isinstance(axis, int) else list(axis) or list(range(x.ndim))
    axes = [one % x.ndim for one in axes]
    result = call.run()
    picks_largest = call.name in ("max", "amax")
    x0, x1 = (_flat(each, axes) for each in (known[0], x.detach()))
    i0, i1 = ((each.argmax if picks_largest else each.argmin)(-1, keepdim=True) for each in (x0, x1))
    a = (x1.gather(-1, i1) - x1.gather(-1, i0)).abs()
    b = (x0.gather(-1, i0) - x0.gather(-1, i1)).abs()
    share = torch.where(a + b > 0, a / (a + b), 0.5)

    def rule(m: Tensor) -> Tensor:
        m = m.reshape(i0.shape)
        flat = torch.zeros_like(x1).scatter_add(-1, i1, share * m).scatter_add(-1, i0, (1 - share) * m)
        return _unflat(flat, axes, x.shape)

    value = result if isinstance(result, Tensor) else result[0]
    own = with_rule(value.detach(), rule, x)
    return own if isinstance(result, Tensor) else type(result)((own, *result[1:]))


def ordered(pairing: Pairing, call: Call) -> Any:
    """Run a selection of several entries, which is affine where both runs choose the same.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        What the function returns.
    """
    result = call.run()
    known = pairing.counterparts(call, [result[1]])
    if known is None:
        return result
    if not torch.equal(known[0], result[1]):
        why = f"{call.name} in {pairing.where} chooses differently in each run"
        return mapped(result, lambda value: pairing.refused_if_reached(value, why))
    axis = call.argument(2 if call.name == "topk" else 1, "dim", -1)
    return type(result)((call.argument(0, "input").gather(axis, result[1]), result[1]))


def _flat(x: Tensor, axes: list[int]) -> Tensor:
    rest = [axis for axis in range(x.ndim) if axis not in axes]
    return x.permute(*rest, *axes).reshape(*(x.shape[axis] for axis in rest), -1)


def _unflat(flat: Tensor, axes: list[int], shape: torch.Size) -> Tensor:
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    order = [*rest, *axes]
    back = flat.reshape([shape[axis] for axis in order])
    return back.permute([order.index(axis) for axis in range(len(shape))])
