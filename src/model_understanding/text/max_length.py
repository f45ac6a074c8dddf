"""How long a text a model may be given."""

from typing import Any

import torch

from model_understanding.errors import InputError


def longest_input(model: torch.nn.Module, tokenizer: Any) -> int | None:
    """Return how many tokens the model has positions for, or ``None`` where nothing bounds it.

    RoBERTa and its kin number positions from the padding index on: their table has rows to spare.

    Args:
        model: The model.
        tokenizer: Its tokenizer, asked where the configuration says nothing.

    Returns:
        The number of tokens.
    """
    config: Any = model.config
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:  # -1: relative positions only
        limit = getattr(tokenizer, "model_max_length", None)
        # transformers writes 1e30 where it knows no limit
        return (
            limit if isinstance(limit, int) and 0 < limit < 10**7 and config.model_type != "xlnet" else None
        )
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Embedding) and name.endswith("position_embeddings"):
            padding = module.padding_idx
            if module.num_embeddings == positions and padding is not None:
                return positions - padding - 1
    return positions


def check_length(model: torch.nn.Module, tokenizer: Any, tokens: int) -> None:
    """Raise InputError where a text has more tokens than the model has positions."""
    limit = longest_input(model, tokenizer)
    if limit is not None and tokens > limit:
        raise InputError(
            f"The text has {tokens} tokens; {type(model).__name__} has positions for {limit}.",
            hint="Pass a shorter text: nothing is cut off silently.",
        )
