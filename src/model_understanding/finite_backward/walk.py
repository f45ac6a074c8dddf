"""Walk the graph of a run: what no rule has seen is found there, whatever computed it.

A function mode sees neither functions of autograd's own (``torch.autograd.Function``) nor what C++ code is
made of. In the graph each of these is a node, which is none of ours, not affine, and no product of operands
at the mean of both runs.
"""

from collections import Counter
from typing import Any

from torch import Tensor

from model_understanding.finite_backward.graph import AT_VALUE, OWN_NODES, WATCHED
from model_understanding.finite_backward.products import MULTIPLIED

_AFFINE = frozenset(
    {
        *("AccumulateGrad", "CopySlices", "Add", "Sub", "Rsub", "Neg", "View", "Reshape", "ReshapeAlias"),
        *("UnsafeView", "Transpose", "Permute", "T", "Expand", "Unsqueeze", "Squeeze", "Slice", "Select"),
        *("Index", "IndexSelect", "Gather", "Cat", "Stack", "Split", "SplitWithSizes", "UnsafeSplit"),
        *("Unbind", "Chunk", "Clone", "Copy", "Copys", "ToCopy", "Sum", "Mean", "Cumsum", "Repeat"),
        *("RepeatInterleave", "Tile", "MaskedFill", "MaskedSelect", "MaskedScatter", "Where", "Embedding"),
        *("ConstantPadNd", "Roll", "Flip", "Tril", "Triu", "Diagonal", "Unfold", "AsStrided", "Scatter"),
        *("ScatterAdd", "IndexAdd", "IndexPut", "IndexCopy", "IndexFill", "Alias", "Detach", "Fill", "Zero"),
        *("NativeDropout", "AvgPool2D", "Narrow", "NativeBatchNorm", "CudnnBatchNorm", "ViewAsReal"),
        *("ViewAsComplex", "Real", "Imag", "DiagonalScatter", "SliceScatter", "SelectScatter", "Im2Col"),
        *(
            "Trace",
            "NewZeros",
            "Movedim",
            "Identity",
            "BroadcastTensors",
            "Conj",
            "ConjPhysical",
            "ResolveConj",
        ),
        *("UpsampleLinear1D", "UpsampleNearest1D", "AdaptiveAvgPool2D", "Unflatten", "SqueezeMultiple"),
    }
)
_PRODUCTS = frozenset(
    {
        *("Mul", "Div", "Mm", "Bmm", "Addmm", "Baddbmm", "Addbmm", "Matmul", "Linear", "Convolution", "Mv"),
        *("ConvolutionOverrideable", "MkldnnConvolution", "CudnnConvolution", "Dot", "Vdot", "Einsum"),
        *("Addcmul", "Lerp", "GroupedMm", "MkldnnLinear", "Addmv", "Addr", "LinalgCross"),
    }
)
_SQUARES = frozenset({"Var", "Pow", "Square"})
_SUMMAND_FIRST = frozenset({"Addmm", "Baddbmm", "Addbmm", "Addcmul", "Addmv", "Addr"})


def nodes_without_rule(value: Tensor) -> list[str]:
    """Return the names of the nodes behind a value whose derivative is not exact between both runs.

    Args:
        value: The output of the text's run.
    """
    seen: set[Any] = set()
    found: Counter[str] = Counter()
    stack = [value.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, WATCHED):  # refused if a multiplier passes it
            continue
        operands = [operand for operand, _ in node.next_functions if operand is not None]
        if not _is_exact(node, operands):
            found[node.name().split("::")[-1]] += 1
        stack += operands
    return list(found)


def _is_exact(node: Any, operands: list[Any]) -> bool:
    if isinstance(node, (*OWN_NODES, MULTIPLIED)):
        return True
    name = _operation(node)
    if name in _AFFINE:
        return True
    if name in _SQUARES:
        return all(_is_at_mean(operand) for operand in operands)
    if name not in _PRODUCTS:
        return False
    if name in _SUMMAND_FIRST and len(operands) == 3:
        operands = operands[1:]
    return len(operands) < 2 or all(_is_at_mean(operand) for operand in operands)


def _is_at_mean(node: Any, depth: int = 16) -> bool:
    """Return whether a node leads by affine operations of one operand to an operand at the mean."""
    for _ in range(depth):
        if isinstance(node, AT_VALUE):
            return True
        operands = [operand for operand, _ in node.next_functions if operand is not None]
        if len(operands) != 1 or _operation(node) not in _AFFINE:
            return False
        (node,) = operands
    return False


def _operation(node: Any) -> str:
    """Return the operation of a node: ``Mul`` for ``MulBackward0``."""
    return node.name().split("::")[-1].partition("Backward")[0].lstrip("_")
