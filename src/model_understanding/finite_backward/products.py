"""Operations of degree two: their derivative at the mean of both runs is exact."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from model_understanding.finite_backward.affine import affine
from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import at_value, with_value
from model_understanding.finite_backward.pairing import Pairing, are_same
from model_understanding.model.operations import CONTRACTIONS, MULTIPLICATIONS

SQUARES = frozenset({"square", "var"})
"""Operations of degree two in a single operand."""

SUMS_OF_PRODUCTS = frozenset({"addmm", "addbmm", "baddbmm", "addmv", "addr", "addcmul", "lerp"})
"""Operations with a summand beside two factors."""

NAMES = (
    CONTRACTIONS
    | MULTIPLICATIONS
    | SQUARES
    | SUMS_OF_PRODUCTS
    | {
        *("mv", "dot", "vdot", "inner", "outer", "ger", "tensordot", "kron", "cross", "bilinear"),
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "_grouped_mm", "grouped_mm"),
    }
)


def degree_two(pairing: Pairing, call: Call) -> Any:
    """Run a product, a contraction, a square or a variance.

    ``f(x1) − f(x0) = f′((x0 + x1) / 2) (x1 − x0)`` holds exactly for a polynomial of degree two. So the
    operation runs a second time on the means of both runs' operands, whose graph belongs to its value.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        What the function returns.
    """
    operands = call.tensors()
    dependent = sum(operand.requires_grad for operand in operands)
    if dependent == 1 and call.name not in SQUARES:
        return affine(pairing, call)
    known = pairing.counterparts(call, operands)
    if known is None:
        return call.run()
    if dependent > 2 and call.name not in SUMS_OF_PRODUCTS:
        return pairing.refused_if_reached(
            call.run(), f"{call.name} in {pairing.where} has {dependent} factors"
        )
    value = call.value()
    if not all(are_same(a, b) for a, b in zip(operands, known, strict=True) if not a.requires_grad):
        why = f"a constant of {call.name} in {pairing.where} differs between the runs"
        return pairing.refused_if_reached(call.run(), why)
    with torch.no_grad():
        means = [
            torch.lerp(b, a, 0.5) if a.requires_grad else a for a, b in zip(operands, known, strict=True)
        ]
    if call.name in MULTIPLICATIONS and len(call.arguments) == 2:
        return _Multiplied.apply(*operands, *means, [value])
    at_means = [
        at_value(operand, mean) if operand.requires_grad else operand
        for operand, mean in zip(operands, means, strict=True)
    ]
    return with_value(call.with_tensors(at_means), value)


class _Multiplied(Function):
    """An entrywise product of two tensors that depend on the text, which needs no second run."""

    @staticmethod
    def forward(
        ctx: Any, first: Tensor, second: Tensor, first_mean: Tensor, second_mean: Tensor, value: list[Tensor]
    ) -> Tensor:
        ctx.save_for_backward(first_mean, second_mean)
        return value[0]

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> Any:
        first, second = ctx.saved_tensors
        m = multipliers[0]
        to_first = (m * second).sum_to_size(first.shape).to(first.dtype)
        to_second = (m * first).sum_to_size(second.shape).to(second.dtype)
        return to_first, to_second, None, None, None


MULTIPLIED = _Multiplied._backward_cls  # pyright: ignore[reportAttributeAccessIssue]
