"""The embedding table: where gradients are taken and embeddings are replaced."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model_understanding.errors import UnsupportedModelError
from model_understanding.loading.wrappers import input_embeddings


@dataclass(slots=True)
class EmbeddingHook:
    """Holds the tensor that the hook passed to the model: the leaf that gradients are taken for."""

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
    table = input_embeddings(model)
    if not isinstance(table, torch.nn.Module):
        raise UnsupportedModelError(
            f"{type(model).__name__} has no token embedding table: gradient methods do not apply.",
            hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
        )
    return table


@contextmanager
def replaced_embeddings(
    model: torch.nn.Module,
    input_ids: Int[Tensor, "batch tokens"],
    embeddings: Float[Tensor, "batch tokens width"] | None = None,
) -> Iterator[EmbeddingHook]:
    """Make the embedding table's output a leaf of the graph, or replace it, for one forward pass.

    Args:
        model: The model, already guarded.
        input_ids: The ids that this forward pass embeds.
        embeddings: Values that replace the table's output; default: the output itself.

    Yields:
        The hook; after the forward pass its ``leaf`` is the tensor that the model used, ``(batch, tokens,
        width)``.

    Raises:
        UnsupportedModelError: The model embeds other ids than these, or not exactly once.
    """
    hook = EmbeddingHook()

    def replace(_: torch.nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
        ids = arguments[0] if arguments else next(iter(keywords.values()), None)
        transposed = not _same_ids(ids, input_ids) and _same_ids(ids, input_ids.T)
        is_once = hook.leaf is None and isinstance(output, Tensor)
        if not is_once or not (transposed or _same_ids(ids, input_ids)):
            raise UnsupportedModelError(
                f"{type(model).__name__} does not embed the text's ids exactly once and unchanged, so "
                "gradients would be wrong.",
                hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
            )
        values = output.transpose(0, 1) if transposed else output
        values = values if embeddings is None else embeddings.to(values.dtype)
        leaf = values.detach().requires_grad_(torch.is_grad_enabled())
        hook.leaf = leaf
        # A copy, because some models scale their embeddings in place, which a leaf does not allow.
        copy = leaf.clone()
        return copy.transpose(0, 1) if transposed else copy

    handle = embedding_table(model).register_forward_hook(replace, with_kwargs=True)
    try:
        yield hook
    finally:
        handle.remove()
    if hook.leaf is None:
        raise UnsupportedModelError(
            f"{type(model).__name__} did not use its embedding table.",
            hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
        )


def _same_ids(ids: object, expected: Tensor) -> bool:
    return isinstance(ids, Tensor) and ids.shape == expected.shape and bool((ids == expected).all())
