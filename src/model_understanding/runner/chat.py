"""Chat messages through the tokenizer's own template, whose tokens stay visible as special."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.runner.tokenization import tokenize
from model_understanding.tokens import Tokens

Messages = Sequence[Mapping[str, str]]


def is_chat(value: object) -> bool:
    """Return whether a value is a list of chat messages."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(message, Mapping) for message in value)
    )


def tokenize_chat(tokenizer: Any, messages: Messages) -> tuple[Tokens, dict[str, list[int]]]:
    """Render chat messages and tokenize them as the model was trained to read them.

    Args:
        tokenizer: A transformers tokenizer with a chat template.
        messages: ``[{"role": …, "content": …}]``.

    Returns:
        The tokens, those of the template marked special, and the inputs.

    Raises:
        InputError: The tokenizer has no template, a message lacks a part, or the template refuses them.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            f"{type(tokenizer).__name__} has no chat template.", hint="Pass the prompt as one string."
        )
    for message in messages:
        if not {"role", "content"} <= message.keys() or not isinstance(message["content"], str):
            raise InputError(
                f"A chat message needs 'role' and 'content' as strings. Got keys {sorted(message)}.",
                hint="Pass [{'role': 'user', 'content': '…'}].",
            )
    try:
        text = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a template raises whatever its author chose
        raise InputError(
            f"The chat template refuses these messages: {error}.",
            hint="Use the roles and the order this model's template expects.",
        ) from error
    tokens, inputs = tokenize(tokenizer, text, special_tokens=False)
    template = ~_inside(tokens, _content_spans(text, messages))
    special = tokens.special | template
    return replace(tokens, special=special, words=np.where(special, -1, tokens.words)), inputs


def _content_spans(text: str, messages: Messages) -> list[tuple[int, int]]:
    """Find what the user wrote in the rendered text; a template may trim it or leave it out."""
    spans, reached = [], 0
    for message in messages:
        content = message["content"].strip()
        start = text.find(content, reached) if content else -1
        if start >= 0:
            reached = start + len(content)
            spans.append((start, reached))
    return spans


def _inside(tokens: Tokens, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    starts, ends = tokens.offsets.T
    inside = np.zeros(len(tokens), dtype=bool)
    for begin, end in spans:
        inside |= (starts < end) & (ends > begin)
    return inside & (tokens.segments >= 0)
