"""Norms over the embedding's axis, by the names that methods take."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError

Norm = Literal["l2", "l1", "max"]
_ORDERS = {"l2": 2.0, "l1": 1.0, "max": float("inf")}


def check_norm(norm: str) -> None:
    """Raise InputError unless the norm is one that there is.

    >>> check_norm("l2")
    """
    if norm not in _ORDERS:
        raise InputError(f"Norm {norm!r} is unknown. Allowed: {', '.join(_ORDERS)}.", hint="Use norm='l2'.")


def norms_of(
    gradients: Float[Tensor, "batch targets tokens width"], norm: Norm
) -> Float[Tensor, "batch targets tokens"]:
    """Return the norm of each token's gradient."""
    return torch.linalg.vector_norm(gradients, ord=_ORDERS[norm], dim=-1)
