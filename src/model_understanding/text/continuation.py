"""A prompt and its continuation, as one sequence of tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_understanding.text.tokenization import spans_in_decoded
from model_understanding.tokens import Tokens

_CONTEXT = 8  # ids before the continuation that its decoding may depend on


def generated_tokens(tokenizer: Any, prompt: Tokens, ids: Sequence[int]) -> Tokens:
    """Return the tokens of a generated continuation, with their positions in the decoded text.

    Args:
        tokenizer: A transformers tokenizer.
        prompt: The prompt's tokens, as context for the decoder.
        ids: The generated ids.

    Returns:
        Tokens of one text; special ones (as an end token) belong to no text.
    """
    special = np.isin(ids, tokenizer.all_special_ids)
    text_ids = [token for token, is_special in zip(ids, special, strict=True) if not is_special]
    context = [int(token) for token in prompt.ids[_context_start(prompt) :]]
    text, spans = spans_in_decoded(tokenizer, text_ids, context) if text_ids else ("", [])
    offsets = np.zeros((len(ids), 2), dtype=int)
    if spans:
        offsets[~special] = spans
    return Tokens.from_spans(
        texts=(text,),
        pieces=tokenizer.convert_ids_to_tokens(list(ids)),
        ids=np.asarray(ids),
        segments=np.where(special, -1, 0),
        offsets=offsets,
        special=special,
    )


def _context_start(prompt: Tokens) -> int:
    """Return the first position of the context, never inside a character that spans several tokens."""
    start = max(len(prompt) - _CONTEXT, 0)
    while (
        start > 0 and prompt.offsets[start, 0] < prompt.offsets[start - 1, 1] and prompt.segments[start] >= 0
    ):
        start -= 1
    return start


def joined(prompt: Tokens, continuation: Tokens) -> Tokens:
    """Return a prompt and its continuation as tokens of two texts.

    Args:
        prompt: Tokens of the first text.
        continuation: Tokens of the second.

    Returns:
        All tokens; words are numbered on from the prompt's.
    """
    next_word = int(prompt.words.max(initial=-1)) + 1
    return Tokens(
        texts=(prompt.texts[0], continuation.texts[0]),
        pieces=prompt.pieces + continuation.pieces,
        ids=np.concatenate([prompt.ids, continuation.ids]),
        segments=np.concatenate(
            [prompt.segments, np.where(continuation.segments >= 0, continuation.segments + 1, -1)]
        ),
        offsets=np.concatenate([prompt.offsets, continuation.offsets]),
        words=np.concatenate(
            [prompt.words, np.where(continuation.words >= 0, continuation.words + next_word, -1)]
        ),
        special=np.concatenate([prompt.special, continuation.special]),
    )
