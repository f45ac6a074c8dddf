"""Names of the torch operations that matter to whoever watches a forward pass.

A function mode sees ``torch.matmul``, ``Tensor.matmul`` and ``@`` as different functions of one name.
"""

from typing import Any

from torch import Tensor

PRODUCTS = frozenset({"matmul", "__matmul__", "bmm", "mm"})
"""Matrix products of two arguments, the left factor first."""

CONTRACTIONS = PRODUCTS | {"__rmatmul__", "einsum", "linear"}
"""Whatever sums products of the entries of two operands."""

LINEAR_MAPS = PRODUCTS | {"addmm", "einsum", "linear"}
"""What a linear layer may be computed by."""

ADDITIONS = frozenset({"add", "__add__", "__radd__", "add_", "__iadd__"})

MULTIPLICATIONS = frozenset({"mul", "__mul__", "__rmul__", "multiply", "mul_", "__imul__"})

DIVISIONS = frozenset({"div", "__truediv__", "true_divide", "divide", "div_", "__idiv__"})
"""Quotients with the dividend first."""

COPIES = frozenset(
    {
        *("dropout", "dropout_", "view", "view_as", "reshape", "transpose", "permute", "contiguous", "clone"),
        *("flatten", "unflatten", "squeeze", "unsqueeze", "to", "type", "type_as", "float", "__getitem__"),
    }
)
"""What rearranges, casts or copies a tensor and leaves its values as they are, in evaluation mode."""


def is_number(value: Any) -> bool:
    """Return whether an operand is one number, as such or as a tensor."""
    return isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)
