"""Gradients: batched vector–Jacobian products, their sum over forward passes, and their norms."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import ModelUnderstandingError, UnsupportedModelError
from model_understanding.model.batching import is_out_of_memory, note_out_of_memory
from model_understanding.model.lookups import BY_IDS_HINT
from model_understanding.model.memory import most_product_positions
from model_understanding.model.metering import count_backward
from model_understanding.model.precision import precise
from model_understanding.passes.lm_head_gradient import HeadGradients

Norm = Literal["l2", "l1", "max"]
NORMS: dict[str, float] = {"l2": 2.0, "l1": 1.0, "max": float("inf")}


class Gradients(NamedTuple):
    """Values of the targets and their gradients with respect to the embedding table's output.

    At a layer (``Runner.at_layer``), the gradients are with respect to the hidden states that enter it.
    """

    values: Float[Tensor, "batch targets"]
    gradients: Float[Tensor, "batch targets tokens width"]


def concatenated_rows(parts: Sequence[Gradients]) -> Gradients:
    """Return the rows of several batches as one batch."""
    if len(parts) == 1:
        return parts[0]
    values, gradients = zip(*parts, strict=True)
    return Gradients(torch.cat(values), torch.cat(gradients))


class GradientSum:
    """The values and gradients of all targets, added up over forward passes that each serve some of them."""

    def __init__(self) -> None:
        self._values: Tensor | None = None
        self._gradients: Tensor | None = None
        self._is_written = False

    @property
    def result(self) -> Gradients:
        """The sum so far."""
        assert self._values is not None
        assert self._gradients is not None
        return Gradients(self._values, self._gradients)

    def add_values(self, values: Float[Tensor, "batch targets"], tokens: int, width: int) -> None:
        """Add the values of one forward pass, which are 0 for targets that it does not serve.

        Args:
            values: The values.
            tokens: Tokens of the whole text; the forward pass may cover only a prefix of it.
            width: Width of a token's gradient; 0 if there are no gradients.
        """
        values = values.detach()
        if self._values is not None:
            self._values = self._values + values
            return
        self._values = values
        # An expanded scalar zero needs no memory until gradients are added.
        shape = (*values.shape, tokens if width else 0, width)
        self._gradients = values.new_zeros(()).expand(shape)

    def add_rows(self, targets: Sequence[int], rows: Float[Tensor, "batch some tokens width"]) -> None:
        """Add gradients of some targets with respect to the first tokens.

        Args:
            targets: Indices of the targets, each once and in order.
            rows: Their gradients.
        """
        assert self._gradients is not None
        if not self._is_written:
            self._is_written = True
            if rows.shape == self._gradients.shape:  # all targets, all tokens
                self._gradients = rows
                return
            self._gradients = self._gradients.contiguous()
        for i, target in enumerate(targets):
            self._gradients[:, target, : rows.shape[2]] += rows[:, i]


def jacobian_rows(
    values: Float[Tensor, "batch targets"],
    leaf: Float[Tensor, "batch tokens width"],
    head_gradients: HeadGradients | None = None,
) -> Iterator[tuple[slice, Float[Tensor, "batch some tokens width"]]]:
    """Yield the gradient of each value with respect to its own row of the leaf, for some targets at a time.

    Rows of a batch do not interact, so one product computes a target's gradient in all of them. Gradients
    are yielded as they are computed, so that they need not be kept twice.

    Args:
        values: The values, computed from the leaf.
        leaf: The embeddings or hidden states.
        head_gradients: Gradients with respect to the head's input, if they are already computed.

    Yields:
        The range of targets, and their gradients in 32-bit precision or better.

    Raises:
        UnsupportedModelError: The model overwrites activations that a backward pass needs.
    """
    count = values.shape[1]
    ranges = product_ranges(count, leaf.shape[0], leaf.shape[1], leaf.device)
    identity = torch.eye(count, device=values.device, dtype=values.dtype)
    for start, end in ranges:
        is_last = end == count
        try:
            if count == 1:
                gradients = torch.autograd.grad(values.sum(), leaf)[0][None]
            elif head_gradients is None:
                directions = identity[start:end, None, :].expand(-1, len(values), -1)
                gradients = _products(values, leaf, directions, keep_graph=not is_last)
            else:
                directions = head_gradients.of_targets(start, end)
                gradients = _products(head_gradients.states, leaf, directions, keep_graph=not is_last)
        except Exception as error:
            raise _backward_error(error) from error
        count_backward((end - start) * leaf.shape[0] * leaf.shape[1])
        yield slice(start, end), precise(gradients.transpose(0, 1))


def product_ranges(targets: int, rows: int, tokens: int, device: torch.device) -> list[tuple[int, int]]:
    """Return the ranges of targets, from a start to an end (exclusive), that share a product.

    >>> product_ranges(5, 2, 32, torch.device("cpu"))
    [(0, 2), (2, 4), (4, 5)]
    """
    chunk = max(1, most_product_positions(device) // (rows * tokens))
    return [(start, min(start + chunk, targets)) for start in range(0, targets, chunk)]


_NO_PATH = ("does not require grad", "not have been used in the graph")


def _backward_error(error: Exception) -> Exception:
    """Return a refusal in place of an error that shows that a model has no backward pass, else the error."""
    message = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    if "modified by an inplace operation" in message:
        reason = "This model overwrites its activations in evaluation mode"
    elif any(words in message for words in _NO_PATH):
        reason = "No differentiable path leads from this model's embeddings to the target"
    elif isinstance(error, RuntimeError | ModelUnderstandingError):
        return error
    else:
        reason = f"This model has no backward pass in evaluation mode ({type(error).__name__}: {message})"
    return UnsupportedModelError(f"{reason}, so gradients are not available.", hint=BY_IDS_HINT)


def _products(values: Tensor, leaf: Tensor, directions: Tensor, *, keep_graph: bool) -> Tensor:
    halves = False
    if len(directions) > 1:
        try:
            (gradient,) = torch.autograd.grad(
                values, leaf, directions, is_grads_batched=True, retain_graph=True
            )
            return gradient
        except RuntimeError as error:
            # Some operations cannot be batched over directions; they are run one direction at a time.
            halves = is_out_of_memory(error)
            if not halves and not any(word in str(error) for word in ("vmap", "batching rule", "batched")):
                raise
    if halves:
        half = len(directions) // 2
        note_out_of_memory(
            f"Out of memory with gradients of {len(directions)} targets at once; continuing with {half}."
        )
        first = _products(values, leaf, directions[:half], keep_graph=True)
        return torch.cat([first, _products(values, leaf, directions[half:], keep_graph=keep_graph)])
    last = len(directions) - 1
    return torch.stack(
        [
            torch.autograd.grad(values, leaf, direction, retain_graph=keep_graph or i < last)[0]
            for i, direction in enumerate(directions)
        ]
    )


def gradient_norms(
    gradients: Float[Tensor, "batch targets tokens width"], norm: Norm
) -> Float[Tensor, "batch targets tokens"]:
    """Return the norm of each token's gradient."""
    return torch.linalg.vector_norm(gradients, ord=NORMS[norm], dim=-1)
