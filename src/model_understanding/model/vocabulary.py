"""The tokens that a model can embed, and their embeddings."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model_understanding.model.embeddings import embedding_table
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model

IDS_AT_ONCE = 4096  # rows of the embedding table summed at once


def vocabulary_size(model: Model) -> int:
    """Return the number of rows of the embedding table."""
    table = embedding_table(model.module)
    return int(getattr(table, "num_embeddings", 0) or model.config.get_text_config().vocab_size)


def embedded(model: Model, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
    """Return the embedding table's output for ids, in 32-bit precision."""
    with guarded(model.module, gradients=False):
        return embedding_table(model.module)(ids).detach().float()


def mean_embedding(model: Model, ids_at_once: int = IDS_AT_ONCE) -> Float[Tensor, " width"]:
    """Return the mean of the embedding table's output over the whole vocabulary.

    Args:
        model: The model.
        ids_at_once: Number of rows that are summed at once; it may affect the last digit of the mean.
    """
    count = vocabulary_size(model)
    total: Tensor | None = None
    for start in range(0, count, ids_at_once):
        ids = torch.arange(start, min(start + ids_at_once, count), device=model.device)
        part = embedded(model, ids[None])[0].sum(0)
        total = part if total is None else total + part
    assert total is not None
    return total / count


def ordinary_ids(model: Model) -> Int[Tensor, " ids"]:
    """Return the ids of the vocabulary that are not special tokens and that the model can embed."""
    count = min(vocabulary_size(model), len(model.tokenizer))
    ordinary = torch.ones(count, dtype=torch.bool)
    ordinary[[token for token in model.tokenizer.all_special_ids if token < count]] = False
    return torch.arange(count)[ordinary]
