"""Chat messages through the tokenizer's own template, whose tokens stay visible as special."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.text.tokenization import tokenize
from model_understanding.tokens import Tokens

Messages = Sequence[Mapping[str, str]]
_MARK = "\ue000{}\ue001"  # private characters: no template means anything by them
_MARKS = re.compile("\ue000(\\d+)\ue001")


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
        text = _rendered(tokenizer, messages)
    except Exception as error:  # a template raises whatever its author chose
        raise InputError(
            f"The chat template refuses these messages: {str(error).rstrip('.')}.",
            hint="Use the roles and the order this model's template expects.",
        ) from error
    tokens, inputs = tokenize(tokenizer, text, special_tokens=False)
    template = ~_inside(tokens, _content_spans(tokenizer, text, messages))
    special = tokens.special | template
    return replace(tokens, special=special, words=np.where(special, -1, tokens.words)), inputs


def _rendered(tokenizer: Any, messages: Messages) -> str:
    return tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)


def _content_spans(tokenizer: Any, text: str, messages: Messages) -> list[tuple[int, int]]:
    """Find what the user wrote in the rendered text; a template may trim it, repeat it or leave it out.

    The template is rendered once more with a mark in the place of each content: what stands between the
    marks is the template's own, whatever words the contents hold.
    """
    marked = [{**message, "content": _MARK.format(number)} for number, message in enumerate(messages)]
    try:
        parts = _MARKS.split(_rendered(tokenizer, marked))
    except Exception:  # a template may refuse a content that is only a mark
        return _contents_found(text, messages)
    pattern = "".join(
        f"({_as_written(messages[int(part)]['content'])})" if place % 2 else re.escape(part)
        for place, part in enumerate(parts)
    )
    match = re.fullmatch(pattern, text)
    return _contents_found(text, messages) if match is None else list(match.regs[1:])


def _as_written(content: str) -> str:
    forms = dict.fromkeys([content, content.rstrip(), content.lstrip(), content.strip()])
    return "|".join(re.escape(form) for form in forms)


def _contents_found(text: str, messages: Messages) -> list[tuple[int, int]]:
    """Find contents one after the other, for a template that does not treat all contents alike."""
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
