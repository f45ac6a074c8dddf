"""The precision in which values are read from a model: 32 bits, or the model's own where that is more."""

import torch
from torch import Tensor


def precise(values: Tensor) -> Tensor:
    """Return values in 32-bit precision or better.

    >>> [precise(torch.zeros(1, dtype=dtype)).dtype for dtype in (torch.bfloat16, torch.float64)]
    [torch.float32, torch.float64]
    """
    return values.to(torch.promote_types(values.dtype, torch.float32))
