"""The maximum input length of a model."""

from typing import Any

import torch

from model_understanding.errors import InputError


def longest_input(model: torch.nn.Module, config: Any, tokenizer: Any) -> int | None:
    """Return the maximum number of tokens of a model's input, or ``None`` for no limit.

    RoBERTa and similar models count positions from the padding index, so their table has unused rows.

    Args:
        model: The model.
        config: Its configuration.
        tokenizer: Its tokenizer, whose limit counts where the config has none.

    Returns:
        The number of tokens.
    """
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(positions, int) or positions <= 0:  # -1: relative positions only
        limit = getattr(tokenizer, "model_max_length", None)
        # transformers sets 1e30 for no limit
        return (
            limit if isinstance(limit, int) and 0 < limit < 10**7 and config.model_type != "xlnet" else None
        )
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Embedding) and name.endswith("position_embeddings"):
            padding = module.padding_idx
            if module.num_embeddings == positions and padding is not None:
                return positions - padding - 1
    return int(positions * _extension(config.get_text_config()))


def _extension(config: Any) -> float:
    """Return how many times the trained length dynamically scaled rotary positions serve."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope, *rope.values()] if isinstance(rope, dict) else []
    return max(
        (
            float(kind.get("factor") or 1)
            for kind in kinds
            if isinstance(kind, dict) and "dynamic" in str(kind.get("rope_type"))
        ),
        default=1,
    )


def check_length(name: str, limit: int | None, tokens: int) -> None:
    """Raise InputError where a text has more tokens than the model of a name accepts."""
    if limit is not None and tokens > limit:
        raise InputError(
            f"The text has {tokens} tokens; {name} accepts at most {limit}.",
            hint="Pass a shorter text: texts are never truncated silently.",
        )
