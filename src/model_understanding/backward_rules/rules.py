"""What a modified backward pass may change, as plain settings, and the gradient scaling all rules share."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class BackwardRules:
    """The rules of one method; norms always keep their statistics constant.

    Args:
        activations: ``gradient`` leaves an activation's derivative; ``slope`` replaces it by
            ``activation(x) / x``, which passes on exactly the relevance that arrives.
        gates: What a product of two activations does: ``halve`` gives half of the gradient to each;
            ``constant`` holds the operand that left an activation function constant, and halves where
            not exactly one did.
        weights: What attention weights do: ``halve`` gives half to the weights and half to the values,
            and the scores half to queries and half to keys; ``constant`` holds every softmax constant.
        temperature: Temperature of the attention softmax in the backward pass.
    """

    activations: Literal["gradient", "slope"] = "gradient"
    gates: Literal["halve", "constant"] = "halve"
    weights: Literal["halve", "constant"] = "halve"
    temperature: float = 1.0


def depends(value: Any) -> bool:
    """Return whether a value is a tensor that depends on the embeddings.

    Parameters are frozen while a model runs under the guard, so whatever requires a gradient does.
    """
    return isinstance(value, Tensor) and value.requires_grad


def scale_arriving_gradient(result: Tensor, factor: float) -> Tensor:
    """Multiply the gradient that arrives at a result, for all that it was computed from.

    Args:
        result: The result of an operation; its values stay as they are to the bit.
        factor: The factor.

    Returns:
        The same tensor.
    """
    if result.requires_grad:
        result.register_hook(lambda gradient: gradient * factor)
    return result


def with_scaled_gradient(operand: Tensor, factor: float) -> Tensor:
    """Return the same values with a scaled gradient, for one consumer of a tensor alone.

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
