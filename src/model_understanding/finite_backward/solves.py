"""Triangular systems: with A X = B in both runs, ``Ā ΔX = ΔB − ΔA X̄`` holds exactly.

So the multiplier m of X becomes ``n = Ā⁻ᵀ m`` for B, and ``−n X̄ᵀ`` for the triangle of A.
"""

from typing import Any

import torch
from torch import Tensor

from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_rule
from model_understanding.finite_backward.pairing import Pairing

NAME = "linalg_solve_triangular"


def triangular_solve(pairing: Pairing, call: Call) -> Any:
    """Run a triangular solve.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        The solution.
    """
    matrix, right = call.argument(0, "A"), call.argument(1, "B")
    result = call.run()
    known = pairing.counterparts(call, [matrix, right, result])
    if known is None:
        return result
    if not call.keywords.get("left", True):
        return pairing.refused_if_reached(result, f"{call.name} in {pairing.where} solves from the right")
    is_upper, is_unit = bool(call.keywords["upper"]), bool(call.keywords.get("unitriangular"))
    mean_matrix, mean_result = (matrix.detach() + known[0]) / 2, (result.detach() + known[2]) / 2

    def rule(m: Tensor) -> tuple[Tensor, ...]:
        to_right = torch.linalg.solve_triangular(mean_matrix.mT, m, upper=not is_upper, unitriangular=is_unit)
        to_matrix = -to_right @ mean_result.mT
        to_matrix = to_matrix.triu(int(is_unit)) if is_upper else to_matrix.tril(-int(is_unit))
        both = to_matrix.sum_to_size(matrix.shape), to_right.sum_to_size(right.shape)
        return tuple(
            each for each, operand in zip(both, (matrix, right), strict=True) if operand.requires_grad
        )

    operands = [operand for operand in (matrix, right) if operand.requires_grad]
    return with_rule(result.detach(), rule, *operands)
