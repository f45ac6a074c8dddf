"""Logarithmic means: the slope of the exponential function, and what softmax is made of."""

import torch
from torch import Tensor


def logarithmic_mean(log0: Tensor, log1: Tensor) -> Tensor:
    """Return ``(exp(b) − exp(a)) / (b − a)``, the logarithmic mean of two exponentials; 0 if both are 0.

    Args:
        log0: Logarithms of the reference's numbers; −∞ for 0.
        log1: Logarithms of the text's numbers.

    >>> logarithmic_mean(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]))
    tensor([1.7183, 2.7183])
    """
    distance = (log1 - log0).abs()
    distance = torch.nan_to_num(distance, nan=0.0, posinf=torch.inf)  # both are −∞
    ratio = torch.where(distance == 0, 1.0, -torch.expm1(-distance) / distance)
    return torch.maximum(log0, log1).exp() * ratio


def tanh_ratio(change: Tensor) -> Tensor:
    """Return ``tanh(x) / x``, which is 1 at 0.

    Args:
        change: The numbers, which are overwritten.

    >>> tanh_ratio(torch.tensor([0.0, -2.0]))
    tensor([1.0000, 0.4820])
    """
    # Its powers are normal numbers then: others take a processor ten times as long.
    size = change.abs_().add_(1e-12)
    return size.tanh().div_(size)
