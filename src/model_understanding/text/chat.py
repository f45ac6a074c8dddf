"""Chat messages, rendered by the tokenizer's own template; tokens of the template are special."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.text.tokenization import tokenize
from model_understanding.tokens import Tokens

Messages = Sequence[Mapping[str, str]]
_MARKER = "\ue000{}\ue001"  # private-use characters, which mean nothing to any template
_MARKERS = re.compile("\ue000(\\d+)\ue001")


def is_chat(value: object) -> bool:
    """Return whether a value is a list of chat messages."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(message, Mapping) for message in value)
    )


def tokenize_chat(tokenizer: Any, messages: Messages) -> tuple[Tokens, dict[str, list[int]]]:
    """Render chat messages with the model's chat template and tokenize them.

    Args:
        tokenizer: A transformers tokenizer with a chat template.
        messages: ``[{"role": …, "content": …}]``.

    Returns:
        The tokens, with those of the template marked special, and the inputs.

    Raises:
        InputError: The tokenizer has no template, a message lacks a key, or the template rejects them.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise InputError(
            f"{type(tokenizer).__name__} has no chat template.", hint="Pass the prompt as a single string."
        )
    for message in messages:
        if not {"role", "content"} <= message.keys() or not isinstance(message["content"], str):
            raise InputError(
                f"A chat message needs 'role' and 'content' as strings. Got the keys {sorted(message)}.",
                hint="Pass for example [{'role': 'user', 'content': '…'}].",
            )
    try:
        text = _rendered(tokenizer, messages)
    except Exception as error:  # a template may raise exceptions of any type
        raise InputError(
            f"The chat template rejects these messages: {str(error).rstrip('.')}.",
            hint="Use the roles and the order that this model's template expects.",
        ) from error
    tokens, inputs = tokenize(tokenizer, text, special_tokens=False)
    special = tokens.special | ~_overlap(tokens, _content_spans(tokenizer, text, messages))
    return replace(tokens, special=special, words=np.where(special, -1, tokens.words)), inputs


def _rendered(tokenizer: Any, messages: Messages) -> str:
    return tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)


def _content_spans(tokenizer: Any, text: str, messages: Messages) -> list[tuple[int, int]]:
    """Return the spans of the contents in the rendered text; a template may trim, repeat or omit them.

    The template is rendered once more with a marker in place of each content: the text between the markers
    belongs to the template, whatever words the contents contain.
    """
    marked = [{**message, "content": _MARKER.format(i)} for i, message in enumerate(messages)]
    try:
        parts = _MARKERS.split(_rendered(tokenizer, marked))
    except Exception:  # a template may reject a content that is only a marker
        return _spans_in_order(text, messages)
    pattern = "".join(
        f"({_trimmed_or_not(messages[int(part)]['content'])})" if i % 2 else re.escape(part)
        for i, part in enumerate(parts)
    )
    match = re.fullmatch(pattern, text)
    return _spans_in_order(text, messages) if match is None else list(match.regs[1:])


def _trimmed_or_not(content: str) -> str:
    """Return a pattern for a content, whether the template trims it or not."""
    variants = dict.fromkeys([content, content.rstrip(), content.lstrip(), content.strip()])
    return "|".join(re.escape(variant) for variant in variants)


def _spans_in_order(text: str, messages: Messages) -> list[tuple[int, int]]:
    """Search for the contents one after the other, for a template that does not treat them all alike."""
    spans, end = [], 0
    for message in messages:
        content = message["content"].strip()
        start = text.find(content, end) if content else -1
        if start >= 0:
            end = start + len(content)
            spans.append((start, end))
    return spans


def _overlap(tokens: Tokens, spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return which tokens overlap a span."""
    token_starts, token_ends = tokens.offsets.T
    overlap = np.zeros(len(tokens), dtype=bool)
    for start, end in spans:
        overlap |= (token_starts < end) & (token_ends > start)
    return overlap & (tokens.segments >= 0)
