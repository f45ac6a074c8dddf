"""The rules of a modified backward pass, and the gradient scaling that they share."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class BackwardRules:
    """The rules of one method; the statistics of norms are always constant.

    Args:
        activations: ``gradient`` keeps an activation's derivative; ``slope`` replaces it by
            ``activation(x) / x``, which conserves relevance.
        gates: Rule for products of two tensors: ``halve`` gives half of the gradient to each; ``constant``
            treats the operand that is the output of an activation function as a constant, and halves if
            none or both are.
        weights: Rule for attention weights: ``halve`` gives half of the gradient to the weights and half to
            the values, and divides the weights' half between queries and keys; ``constant`` treats every
            softmax as a constant.
        temperature: Temperature of the attention softmax in the backward pass.
    """

    activations: Literal["gradient", "slope"] = "gradient"
    gates: Literal["halve", "constant"] = "halve"
    weights: Literal["halve", "constant"] = "halve"
    temperature: float = 1.0


def depends(value: Any) -> bool:
    """Return whether a value is a tensor that depends on the embeddings.

    Since parameters are frozen while a guarded model runs, these are the tensors that require a gradient.
    """
    return isinstance(value, Tensor) and value.requires_grad


def scale_arriving_gradient(result: Tensor, factor: float) -> Tensor:
    """Scale the gradient of a tensor, and thereby that of all operands it was computed from.

    Args:
        result: The result of an operation; its values do not change.
        factor: The factor.

    Returns:
        The same tensor.
    """
    if result.requires_grad:
        result.register_hook(lambda gradient: gradient * factor)
    return result


def with_scaled_gradient(operand: Tensor, factor: float) -> Tensor:
    """Return the same values with a scaled gradient, which affects only uses of the returned tensor.

    Args:
        operand: The tensor.
        factor: The factor.

    Returns:
        A view of the tensor.

    >>> import torch
    >>> x = torch.ones(1, requires_grad=True)
    >>> torch.autograd.grad(with_scaled_gradient(x, 0.25) * 3 + x, x)
    (tensor([1.7500]),)
    """
    if not operand.requires_grad:
        return operand
    return scale_arriving_gradient(operand.view_as(operand), factor)
