"""Gradients of many values at once: batched vector–Jacobian products."""

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import UnsupportedModelError

POSITIONS_AT_ONCE = 4096  # targets × tokens in one product: bounds its memory


def rows_of_jacobian(
    values: Float[Tensor, "batch targets"], leaf: Float[Tensor, "batch tokens width"]
) -> Float[Tensor, "batch targets tokens width"]:
    """Return the gradient of each value with respect to its own row of the leaf.

    The rows of a batch do not mix, so one product serves a target in all of them.

    Args:
        values: The values, computed from the leaf.
        leaf: What they are differentiated by.

    Returns:
        Gradients in 32-bit precision.

    Raises:
        UnsupportedModelError: The model's own code makes a backward pass impossible.
    """
    try:
        return _rows(values, leaf)
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise UnsupportedModelError(
            "This model overwrites its own activations when it is not trained, so it has no gradients.",
            hint="Use a method that only perturbs the text.",
        ) from error


def _rows(values: Tensor, leaf: Tensor) -> Tensor:
    count = values.shape[1]
    if count == 1:
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        return gradient.float()[:, None]
    chunk = max(1, POSITIONS_AT_ONCE // (leaf.shape[0] * leaf.shape[1]))
    directions = torch.eye(count, device=values.device, dtype=values.dtype)
    found = []
    for start in range(0, count, chunk):
        chosen = directions[start : start + chunk, None, :].expand(-1, len(values), -1)
        keep_graph = start + chunk < count
        found.append(_products(values, leaf, chosen, keep_graph))
    return torch.cat(found).transpose(0, 1).float()


def _products(values: Tensor, leaf: Tensor, directions: Tensor, keep_graph: bool) -> Tensor:
    if len(directions) > 1:
        try:
            (gradient,) = torch.autograd.grad(
                values, leaf, directions, is_grads_batched=True, retain_graph=True
            )
            return gradient
        except RuntimeError as error:
            # Some operations cannot be batched over directions; one by one they are still right.
            if not any(word in str(error) for word in ("vmap", "batching rule", "batched")):
                raise
    last = len(directions) - 1
    return torch.stack(
        [
            torch.autograd.grad(values, leaf, one, retain_graph=keep_graph or place < last)[0]
            for place, one in enumerate(directions)
        ]
    )
