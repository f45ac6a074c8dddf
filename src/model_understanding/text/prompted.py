"""Texts with a prompt before them that a model was trained to read, such as ``query: ``."""

from typing import Any

from model_understanding.errors import InputError
from model_understanding.text.tokenization import tokenize
from model_understanding.text.words import Words
from model_understanding.tokens import Tokens


def tokenize_after(
    tokenizer: Any, prompt: str, text: str | Words
) -> tuple[Tokens, dict[str, list[int]], int]:
    """Tokenize a text after a prompt, whose tokens count as special ones.

    Args:
        tokenizer: A transformers tokenizer.
        prompt: The prompt; may be empty.
        text: The text.

    Returns:
        The tokens of both, the tokenizer's output, and how many leading tokens are of the prompt alone (with
        the special tokens before it).

    Raises:
        InputError: The text is empty, or given as words after a prompt.
    """
    if not prompt:
        return *tokenize(tokenizer, text), 0
    if isinstance(text, Words):
        raise InputError(
            f"Words cannot follow the model's prompt {prompt!r}.", hint="Pass the text as a string."
        )
    if isinstance(text, str) and text:
        tokens, inputs = tokenize(tokenizer, prompt + text)
        is_prompt = (tokens.segments == 0) & (tokens.offsets[:, 1] <= len(prompt))
        tokens = Tokens.from_spans(
            texts=tokens.texts,
            pieces=tokens.pieces,
            ids=tokens.ids,
            segments=tokens.segments,
            offsets=tokens.offsets,
            special=tokens.special | is_prompt,
            unknown=tokens.unknown & ~is_prompt,
        )
        return tokens, inputs, _length_of(tokenizer, prompt)
    return *tokenize(tokenizer, text), 0  # raises what an empty text raises


def _length_of(tokenizer: Any, prompt: str) -> int:
    """Return how many tokens a prompt has by itself, as sentence-transformers counts them."""
    ids = list(tokenizer(prompt)["input_ids"])
    return len(ids) - (bool(ids) and ids[-1] in tokenizer.all_special_ids)
