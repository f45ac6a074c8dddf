"""Affine operations: autograd's own derivative is exact, if both runs use the same constants."""

from typing import Any

from model_understanding.finite_backward.booking import affine_of_both
from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.pairing import Pairing, are_same

NAMES = frozenset(
    {
        *("add", "__add__", "__radd__", "add_", "__iadd__", "sub", "__sub__", "__rsub__", "rsub", "sub_"),
        *("__isub__", "subtract", "neg", "__neg__", "neg_", "negative", "positive", "__pos__"),
        *("view", "reshape", "view_as", "reshape_as", "transpose", "transpose_", "permute", "swapaxes"),
        *("swapdims", "movedim", "moveaxis", "contiguous", "to", "float", "type", "type_as", "half"),
        *("bfloat16", "double", "cpu", "cuda", "clone", "expand", "expand_as", "broadcast_to"),
        *("unsqueeze", "unsqueeze_", "squeeze", "squeeze_", "flatten", "unflatten", "ravel", "t"),
        *(
            "split",
            "split_with_sizes",
            "chunk",
            "tensor_split",
            "unbind",
            "narrow",
            "select",
            "cat",
            "concat",
        ),
        *("concatenate", "stack", "hstack", "vstack", "dstack", "index_select", "gather", "__getitem__"),
        *("take_along_dim", "repeat", "repeat_interleave", "tile", "roll", "flip", "pad", "rot90", "sum"),
        *("mean", "cumsum", "trace", "sum_to_size", "masked_fill", "masked_fill_", "masked_select"),
        *("masked_scatter", "where", "dropout", "dropout_", "dropout1d", "dropout2d", "alpha_dropout"),
        *("feature_dropout", "feature_alpha_dropout", "index_add", "index_add_", "index_copy", "index_copy_"),
        *("index_put", "index_put_", "index_fill", "index_fill_", "scatter", "scatter_", "scatter_add"),
        *("scatter_add_", "select_scatter", "slice_scatter", "__setitem__", "copy_", "tril", "triu"),
        *("diagonal", "diag", "diag_embed", "unfold", "as_strided", "embedding", "avg_pool1d", "avg_pool2d"),
        *("adaptive_avg_pool1d", "interpolate", "fill_", "zero_", "broadcast_tensors", "batch_norm"),
        *("atleast_1d", "atleast_2d", "atleast_3d", "real", "imag", "view_as_real", "view_as_complex"),
        *("meshgrid", "identity", "zero_pad2d", "adjoint", "div", "true_divide", "divide", "__truediv__"),
        *("div_", "__itruediv__", "block_diag"),
    }
)
"""Operations that are affine in every operand that depends on the text (quotients in the dividend)."""


def affine(pairing: Pairing, call: Call) -> Any:
    """Run an affine operation; where its constants differ between the runs, nothing may pass it.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        What the function returns.
    """
    if pairing.two is not None:
        return affine_of_both(pairing, call, pairing.two)
    constants = [tensor for tensor in call.tensors() if not tensor.requires_grad]
    known = pairing.counterparts(call, constants)
    # Before it runs: a buffer that it fills is one of its constants.
    is_exact = not known or all(are_same(*pair) for pair in zip(constants, known, strict=True))
    result = call.run()
    if is_exact:
        return result
    why = f"an index, mask or number of {call.name} in {pairing.where} differs between the runs"
    return pairing.refused_if_reached(result, why)
