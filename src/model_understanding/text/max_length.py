"""The maximum input length of a model."""

from typing import Any

import torch

from model_understanding.errors import InputError


def longest_input(model: torch.nn.Module, config: Any, tokenizer: Any) -> int | None:
    """Return the maximum number of tokens of a model's input, or ``None`` for no limit.

    RoBERTa and similar models count positions from the padding index, so their table has unused rows.

    Args:
        model: The model. A sentence encoder may say a limit of its own.
        config: Its configuration.
        tokenizer: Its tokenizer, whose limit counts where the config has none.

    Returns:
        The number of tokens.
    """
    own = getattr(model, "max_tokens", None)
    if isinstance(own, int):
        return own
    part = _part(config, "encoder")
    positions = _positions(part, "encoder")
    if not isinstance(positions, int) or positions <= 0:  # -1: relative positions only
        if hasattr(part, "relative_attention_num_buckets"):  # T5: its tokenizer names the length of training
            return None
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
    return int(positions * _extension(part))


def longest_output(config: Any) -> int | None:
    """Return the maximum number of tokens that an encoder–decoder's decoder reads, or ``None``.

    Args:
        config: The model's configuration.
    """
    part = _part(config, "decoder")
    positions = _positions(part, "decoder")
    return int(positions * _extension(part)) if isinstance(positions, int) and positions > 0 else None


def _part(config: Any, side: str) -> Any:
    """Return the configuration of an encoder or a decoder, if it has one of its own."""
    own = getattr(config, side, None)
    return own if hasattr(own, "to_dict") else config.get_text_config()


def _positions(config: Any, side: str) -> Any:
    of_both = getattr(config, "max_position_embeddings", None)
    return getattr(config, f"max_{side}_position_embeddings", of_both)


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


def check_length(name: str, limit: int | None, tokens: int, what: str = "text") -> None:
    """Raise InputError where a text has more tokens than the model of a name accepts."""
    if limit is not None and tokens > limit:
        raise InputError(
            f"The {what} has {tokens} tokens; {name} accepts at most {limit}.",
            hint="Pass a shorter text: texts are never truncated silently.",
        )
