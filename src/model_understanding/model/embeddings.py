"""The embedding table: where the graph is cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model_understanding.errors import UnsupportedModelError


@dataclass(slots=True)
class EmbeddingSwap:
    """What the hook gave to the model: the leaf that gradients are taken with respect to."""

    leaf: Float[Tensor, "batch tokens width"] | None = None


def embedding_table(model: torch.nn.Module) -> torch.nn.Module:
    """Return the module that turns token ids into vectors.

    Args:
        model: A transformers model.

    Returns:
        The embedding module.

    Raises:
        UnsupportedModelError: The model has none.
    """
    try:
        table = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    except (AttributeError, NotImplementedError):
        table = None
    if not isinstance(table, torch.nn.Module):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no table of token embeddings: gradients have nothing to refer to.",
            hint="Use a method that only perturbs the text.",
        )
    return table


@contextmanager
def swapped_embeddings(
    model: torch.nn.Module,
    input_ids: Int[Tensor, "batch tokens"],
    embeddings: Float[Tensor, "batch tokens width"] | None = None,
) -> Iterator[EmbeddingSwap]:
    """Cut the graph at the embedding table's output, for one forward.

    Args:
        model: The model, already guarded.
        input_ids: The ids that this forward will embed.
        embeddings: Values to use in place of the table's; the table's own where left out.

    Yields:
        The swap; after the forward its ``leaf`` is the tensor the model used, ``(batch, tokens, width)``.

    Raises:
        UnsupportedModelError: The model embedded other ids than these, or not exactly once.
    """
    swap = EmbeddingSwap()

    def replace(_: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
        ids = arguments[0] if arguments else next(iter(keywords.values()), None)
        transposed = not _same_ids(ids, input_ids) and _same_ids(ids, input_ids.T)
        is_once = swap.leaf is None and isinstance(output, Tensor)
        if not is_once or not (transposed or _same_ids(ids, input_ids)):
            raise UnsupportedModelError(
                f"{type(model).__name__} does not embed the text's ids once and as they are.",
                hint="Gradient methods would give wrong numbers here; use one that only perturbs the text.",
            )
        values = output.transpose(0, 1) if transposed else output
        values = values if embeddings is None else embeddings.to(values.dtype)
        leaf = values.detach().requires_grad_(torch.is_grad_enabled())
        swap.leaf = leaf
        # A copy: some models scale their embeddings in place, which a leaf does not allow.
        given = leaf.clone()
        return given.transpose(0, 1) if transposed else given

    handle = embedding_table(model).register_forward_hook(replace, with_kwargs=True)
    try:
        yield swap
    finally:
        handle.remove()
    if swap.leaf is None:
        raise UnsupportedModelError(
            f"{type(model).__name__} did not use its embedding table.",
            hint="Gradient methods cannot be used here; use one that only perturbs the text.",
        )


def _same_ids(ids: object, expected: Tensor) -> bool:
    return isinstance(ids, Tensor) and ids.shape == expected.shape and bool((ids == expected).all())
