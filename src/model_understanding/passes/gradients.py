"""Gradients: batched vector–Jacobian products, their sum over forward passes, and norms."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.batching import is_out_of_memory, note_out_of_memory
from model_understanding.model.memory import most_product_positions
from model_understanding.model.metering import count_backward
from model_understanding.passes.lm_head_gradient import SplitDirections


class Gradients(NamedTuple):
    """Values of the targets, and their gradients with respect to the embedding table's output.

    At a layer (``Runner.at_layer``): with respect to the hidden states that enter it.
    """

    values: Float[Tensor, "batch targets"]
    gradients: Float[Tensor, "batch targets tokens width"]


def joined_rows(parts: Sequence[Gradients]) -> Gradients:
    """Return the rows of several batches as those of one."""
    if len(parts) == 1:
        return parts[0]
    values, gradients = zip(*parts, strict=True)
    return Gradients(torch.cat(values), torch.cat(gradients))


class GradientSum:
    """A sum over forwards, in one place: a target's rows are added where they belong as they come."""

    def __init__(self) -> None:
        self._values: Tensor | None = None
        self._gradients: Tensor | None = None
        self._is_written = False

    @property
    def total(self) -> Gradients:
        """The sum of all that was added."""
        assert self._values is not None
        assert self._gradients is not None
        return Gradients(self._values, self._gradients)

    def add_values(self, values: Float[Tensor, "batch targets"], tokens: int, width: int) -> None:
        """Add the values of one forward; those of targets that it did not serve are 0.

        Args:
            values: The values.
            tokens: Tokens of the whole text, of which the forward may have seen the first ones only.
            width: Numbers in a token's gradient; 0 where nothing is differentiated.
        """
        values = values.detach()
        if self._values is not None:
            self._values = self._values + values
            return
        self._values = values
        # One zero seen everywhere, until there is something to write.
        shape = (*values.shape, tokens if width else 0, width)
        self._gradients = torch.zeros((), device=values.device).expand(shape)

    def add_rows(self, numbers: Sequence[int], rows: Float[Tensor, "batch some tokens width"]) -> None:
        """Add gradients of some targets with respect to the first tokens.

        Args:
            numbers: The targets, each once and in order.
            rows: Their gradients.
        """
        assert self._gradients is not None
        if not self._is_written:
            self._is_written = True
            if rows.shape == self._gradients.shape:  # all targets, all tokens
                self._gradients = rows
                return
            self._gradients = self._gradients.contiguous()
        for place, number in enumerate(numbers):
            self._gradients[:, number, : rows.shape[2]] += rows[:, place]


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
        note_out_of_memory(
            f"Out of memory with the gradients of {len(directions)} targets at once; going on with {half}."
        )
        first = _products(values, leaf, directions[:half], keep_graph=True)
        return torch.cat([first, _products(values, leaf, directions[half:], keep_graph=keep_graph)])
    last = len(directions) - 1
    return torch.stack(
        [
            torch.autograd.grad(values, leaf, one, retain_graph=keep_graph or place < last)[0]
            for place, one in enumerate(directions)
        ]
    )


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
