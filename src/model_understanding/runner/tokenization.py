"""Text to token ids and the places where they stand; the text itself is never rewritten."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.tokens import Tokens


def tokenize(
    tokenizer: Any, text: str, pair: str | None = None, *, special_tokens: bool = True
) -> tuple[Tokens, dict[str, list[int]]]:
    """Tokenize a text or a pair and find each token in it.

    Args:
        tokenizer: A transformers tokenizer.
        text: The text.
        pair: The second text of a pair.
        special_tokens: Whether the tokenizer adds its special tokens.

    Returns:
        The tokens, and the inputs the tokenizer made (``input_ids`` and the like).

    Raises:
        InputError: A text is empty, is not text, or gives no token of its own.
        UnsupportedModelError: The tokenizer cannot tell where its tokens stand.
    """
    texts = (text,) if pair is None else (text, pair)
    for part in texts:
        _check_text(part)
    try:
        encoded = tokenizer(
            text,
            pair,
            add_special_tokens=special_tokens,
            truncation=False,
            padding=False,
            verbose=False,
            return_offsets_mapping=bool(tokenizer.is_fast),
            return_special_tokens_mask=True,
        )
    except (UnicodeEncodeError, TypeError) as error:
        raise InputError(
            f"The tokenizer cannot read this text: {error}.", hint="Pass text that encodes as UTF-8."
        ) from error
    inputs = {
        name: list(encoded[name])
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in encoded and (name in tokenizer.model_input_names or name == "input_ids")
    }
    ids = inputs["input_ids"]
    added = np.array(encoded["special_tokens_mask"], dtype=bool)
    special = added | np.isin(ids, _special_ids(tokenizer))
    if tokenizer.is_fast:
        segments = np.array([-1 if part is None else part for part in encoded.sequence_ids(0)], dtype=int)
        offsets = np.array(encoded["offset_mapping"], dtype=int).reshape(-1, 2)
    else:
        segments, offsets = _spans_by_decoding(tokenizer, ids, added, texts)
    offsets = np.where(segments[:, None] >= 0, offsets, 0)
    if special.all():
        raise InputError(
            f"The text {text[:40]!r} has no token of its own.", hint="Pass a text with at least one word."
        )
    tokens = Tokens.from_spans(
        texts=texts,
        pieces=tokenizer.convert_ids_to_tokens(ids),
        ids=ids,
        segments=segments,
        offsets=offsets,
        special=special,
    )
    return tokens, inputs


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise InputError(
            f"A text must be a string. Got {type(text).__name__}.",
            hint="Pass a string, a (text, pair) tuple, or chat messages.",
        )
    if not text:
        raise InputError("The text is empty.", hint="Pass at least one character.")


def _special_ids(tokenizer: Any) -> list[int]:
    """Return the ids of special tokens; the unknown token stands for the user's own text."""
    return [i for i in tokenizer.all_special_ids if i != tokenizer.unk_token_id]


def _spans_by_decoding(
    tokenizer: Any, ids: Sequence[int], added: np.ndarray, texts: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Find each token of a tokenizer without offsets by decoding longer and longer prefixes."""
    own = [token for token, is_added in zip(ids, added, strict=True) if not is_added]
    spans = spans_in_decoded(tokenizer, own)
    if len(texts) > 1 or spans is None or spans[0] != texts[0]:
        raise UnsupportedModelError(
            f"{type(tokenizer).__name__} does not tell where its tokens stand in the text.",
            hint="Load a fast tokenizer (install the 'tokenizers' version of this model's tokenizer).",
        )
    segments = np.where(added, -1, 0)
    offsets = np.zeros((len(ids), 2), dtype=int)
    offsets[~added] = spans[1]
    return segments, offsets


def spans_in_decoded(
    tokenizer: Any, ids: Sequence[int], context: Sequence[int] = ()
) -> tuple[str, list[tuple[int, int]]]:
    """Decode ids and find each one's place in the decoded text.

    Tokens that share a character (bytes of an emoji) share its span.

    Args:
        tokenizer: A transformers tokenizer.
        ids: The ids to decode; none of them special.
        context: Ids that come before; a decoder may drop a blank at the start of a text.

    Returns:
        The text and a span for each id.
    """

    def decoded(tokens: Sequence[int]) -> str:
        return tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    start = len(decoded(context)) if context else 0
    whole = decoded([*context, *ids])[start:]
    ends = np.maximum.accumulate(
        [
            _common_length(decoded([*context, *ids[:count]])[start:], whole)
            for count in range(1, len(ids) + 1)
        ]
    ).tolist()
    begins = [0, *ends[:-1]]
    # A token that completes no character reaches to the end of the one it helps to spell.
    return whole, [
        (begin, next((end for end in ends[place:] if end > begin), begin))
        for place, begin in enumerate(begins)
    ]


def _common_length(part: str, whole: str) -> int:
    """Return how much of the part is already as in the whole; half-spelt characters are not."""
    length = 0
    for one, other in zip(part, whole, strict=False):
        if one != other:
            break
        length += 1
    return length
