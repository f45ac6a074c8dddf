"""The tokens that a model can embed, and their embeddings."""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.loading.wrappers import input_embeddings
from model_understanding.model.embeddings import embeddings_of, id_lookups
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.lookups import tables_of, vectors_of
from model_understanding.model.model import Model
from model_understanding.model.precision import precise

IDS_AT_ONCE = 4096  # rows of the embedding table summed at once


def vocabulary_size(model: Model) -> int:
    """Return how many ids the model knows: the rows of its embedding table, if it has one."""
    rows = getattr(input_embeddings(model.module), "num_embeddings", 0)
    return int(rows or getattr(model.config.get_text_config(), "vocab_size", 0) or len(model.tokenizer))


def embedded(model: Model, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
    """Return the embeddings of ids, in 32-bit precision or better."""
    with guarded(model.module, gradients=False):
        return precise(embeddings_of(model, ids))


def mean_embedding(model: Model, ids_at_once: int = IDS_AT_ONCE) -> Float[Tensor, " width"]:
    """Return the mean of the embeddings of the whole vocabulary; of each table, where there are several.

    Args:
        model: The model.
        ids_at_once: Number of rows that are summed at once; it may affect the last digit of the mean.
    """
    size = vocabulary_size(model)
    means = []
    with guarded(model.module, gradients=False):
        for table in tables_of(id_lookups(model)):
            count = int(getattr(table, "num_embeddings", 0) or size)
            total: Tensor | None = None
            for start in range(0, count, ids_at_once):
                ids = torch.arange(start, min(start + ids_at_once, count), device=model.device)
                part = vectors_of(table(ids[None]))[0].detach().float().sum(0)
                total = part if total is None else total + part
            assert total is not None
            require_finite(total, "embeddings", partial(_name_of, model.module, table))
            means.append((total / count).to(model.device))
    return means[0] if len(means) == 1 else torch.cat(means)


def _name_of(model: nn.Module, part: nn.Module) -> str | None:
    return next((name for name, module in model.named_modules() if module is part), None)


def ordinary_ids(model: Model) -> Int[Tensor, " ids"]:
    """Return the ids of the vocabulary that are not special tokens and that the model can embed."""
    count = min(vocabulary_size(model), len(model.tokenizer))
    ordinary = torch.ones(count, dtype=torch.bool)
    ordinary[[token for token in model.tokenizer.all_special_ids if token < count]] = False
    return torch.arange(count)[ordinary]
