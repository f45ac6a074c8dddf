"""Gradients of many values at once: batched vector–Jacobian products."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import UnsupportedModelError
from model_understanding.runner.head_input import SplitDirections
from model_understanding.runner.memory import most_product_positions
from model_understanding.runner.packing import is_out_of_memory, tell
from model_understanding.runner.work import count_backward


def rows_of_jacobian(
    values: Float[Tensor, "batch targets"],
    leaf: Float[Tensor, "batch tokens width"],
    split: SplitDirections | None = None,
) -> Iterator[tuple[slice, Float[Tensor, "batch some tokens width"]]]:
    """Yield the gradient of each value with respect to its own row of the leaf, some targets at a time.

    The rows of a batch do not mix, so one product serves a target in all of them. What was yielded can be
    added to its place before the next product is there: all of them are not held twice.

    Args:
        values: The values, computed from the leaf.
        leaf: What they are differentiated by.
        split: Where the products start when the head's backward is already done.

    Yields:
        Which targets, and their gradients in 32-bit precision.

    Raises:
        UnsupportedModelError: The model's own code makes a backward pass impossible.
    """
    count = values.shape[1]
    ranges = product_ranges(count, leaf.shape[0], leaf.shape[1], leaf.device)
    identity = torch.eye(count, device=values.device, dtype=values.dtype)
    for start, end in ranges:
        is_last = end == count
        try:
            if count == 1:
                found = torch.autograd.grad(values.sum(), leaf)[0][None]
            elif split is None:
                chosen = identity[start:end, None, :].expand(-1, len(values), -1)
                found = _products(values, leaf, chosen, keep_graph=not is_last)
            else:
                found = _products(split.states, leaf, split.between(start, end), keep_graph=not is_last)
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            raise UnsupportedModelError(
                "This model overwrites its own activations when it is not trained, so it has no gradients.",
                hint="Use a method that only perturbs the text.",
            ) from error
        count_backward((end - start) * leaf.shape[0] * leaf.shape[1])
        yield slice(start, end), found.transpose(0, 1).float()


def product_ranges(targets: int, rows: int, tokens: int, device: torch.device) -> list[tuple[int, int]]:
    """Return which targets, from a start to an end (exclusive), share a product.

    >>> product_ranges(5, 2, 32, torch.device("cpu"))
    [(0, 2), (2, 4), (4, 5)]
    """
    chunk = max(1, most_product_positions(device) // (rows * tokens))
    return [(start, min(start + chunk, targets)) for start in range(0, targets, chunk)]


def _products(values: Tensor, leaf: Tensor, directions: Tensor, *, keep_graph: bool) -> Tensor:
    halves = False
    if len(directions) > 1:
        try:
            (gradient,) = torch.autograd.grad(
                values, leaf, directions, is_grads_batched=True, retain_graph=True
            )
            return gradient
        except RuntimeError as error:
            # Some operations cannot be batched over directions; one by one they are still right.
            halves = is_out_of_memory(error)
            if not halves and not any(word in str(error) for word in ("vmap", "batching rule", "batched")):
                raise
    if halves:
        half = len(directions) // 2
        tell(f"Out of memory with the gradients of {len(directions)} targets at once; going on with {half}.")
        first = _products(values, leaf, directions[:half], keep_graph=True)
        return torch.cat([first, _products(values, leaf, directions[half:], keep_graph=keep_graph)])
    last = len(directions) - 1
    return torch.stack(
        [
            torch.autograd.grad(values, leaf, one, retain_graph=keep_graph or place < last)[0]
            for place, one in enumerate(directions)
        ]
    )
