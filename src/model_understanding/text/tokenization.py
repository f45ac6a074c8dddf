"""Text to token ids and their positions in the text, which is never rewritten."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.tokens import Tokens


def tokenize(
    tokenizer: Any, text: str, pair: str | None = None, *, special_tokens: bool = True
) -> tuple[Tokens, dict[str, list[int]]]:
    """Tokenize a text or a pair and locate each token in it.

    Args:
        tokenizer: A transformers tokenizer.
        text: The text.
        pair: The second text of a pair.
        special_tokens: Whether the tokenizer adds its special tokens.

    Returns:
        The tokens, and the tokenizer's output (``input_ids`` and the like).

    Raises:
        InputError: A text is empty, is no string, or consists of special tokens only.
        UnsupportedModelError: The tokenizer does not report the positions of its tokens.
    """
    texts = (text,) if pair is None else (text, pair)
    for part in texts:
        check_text(part)
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
    inputs = {
        name: list(encoded[name])
        for name in dict.fromkeys(["input_ids", *tokenizer.model_input_names])
        if name in encoded
    }
    ids = inputs["input_ids"]
    added = np.array(encoded["special_tokens_mask"], dtype=bool)
    if tokenizer.is_fast:
        segments = np.array(
            [-1 if segment is None else segment for segment in encoded.sequence_ids(0)], dtype=int
        )
        offsets = np.array(encoded["offset_mapping"], dtype=int).reshape(-1, 2)
    else:
        segments, offsets = _spans_by_decoding(tokenizer, ids, added, texts)
    offsets = _with_trimmed_whitespace(texts, segments, np.where(segments[:, None] >= 0, offsets, 0))
    special = added | _spelled_special(tokenizer, ids, texts, segments, offsets)
    for segment, part in enumerate(texts):
        if special[segments == segment].all():
            raise InputError(
                f"The text {part[:40]!r} has no tokens other than special ones.",
                hint="Pass a text with at least one word.",
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


def check_text(text: object) -> None:
    """Raise InputError unless a text is a non-empty string that encodes as UTF-8."""
    if not isinstance(text, str):
        raise InputError(
            f"A text must be a string. Got {type(text).__name__}.",
            hint="Pass a string, a (text, pair) tuple, or chat messages.",
        )
    if not text:
        raise InputError("The text is empty.", hint="Pass at least one character.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The text contains an unpaired surrogate at position {error.start}: {text[error.start]!r}.",
            hint="Pass text that encodes as UTF-8.",
        ) from error


def _with_trimmed_whitespace(
    texts: Sequence[str], segments: np.ndarray, offsets: np.ndarray
) -> Int[np.ndarray, "tokens 2"]:
    """Restore the span of whitespace-only tokens, which RoBERTa's tokenizer trims to nothing."""
    restored = offsets.copy()
    previous_end, current = 0, -1
    for position, (segment, (start, end)) in enumerate(zip(segments, offsets, strict=True)):
        if segment < 0:
            continue
        if segment != current:
            previous_end, current = 0, segment
        if start == end and texts[int(segment)][previous_end:start].isspace():
            restored[position, 0] = previous_end
        previous_end = max(previous_end, int(end))
    return restored


def _spelled_special(
    tokenizer: Any, ids: Sequence[int], texts: Sequence[str], segments: np.ndarray, offsets: np.ndarray
) -> Bool[np.ndarray, " tokens"]:
    """Return which tokens are special tokens that the text itself spells.

    The unknown token represents ordinary text, unless the text spells it.
    """
    special = np.isin(ids, tokenizer.all_special_ids)
    for position in np.flatnonzero(special & (np.asarray(ids) == tokenizer.unk_token_id)):
        segment, (start, end) = int(segments[position]), offsets[position]
        special[position] = segment >= 0 and texts[segment][start:end].strip() == tokenizer.unk_token
    return special


def _spans_by_decoding(
    tokenizer: Any, ids: Sequence[int], added: np.ndarray, texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Locate the tokens of a tokenizer without offsets, by decoding longer and longer prefixes."""
    text_ids = [token for token, is_added in zip(ids, added, strict=True) if not is_added]
    decoded, spans = spans_in_decoded(tokenizer, text_ids)
    if len(texts) > 1 or decoded != texts[0]:
        raise UnsupportedModelError(
            f"{type(tokenizer).__name__} does not report the positions of its tokens in the text.",
            hint="Pass a fast tokenizer as tokenizer=…, one whose is_fast is True.",
        )
    segments = np.where(added, -1, 0)
    offsets = np.zeros((len(ids), 2), dtype=int)
    offsets[~added] = spans
    return segments, offsets


def spans_in_decoded(
    tokenizer: Any, ids: Sequence[int], context: Sequence[int] = ()
) -> tuple[str, list[tuple[int, int]]]:
    """Decode ids and locate each in the decoded text.

    Tokens that share a character (as the bytes of an emoji) share its span.

    Args:
        tokenizer: A transformers tokenizer.
        ids: The ids to decode; none of them special.
        context: The ids before them; a decoder may drop a space at the start of a text.

    Returns:
        The text and a span for each id.
    """

    def decoded(tokens: Sequence[int]) -> str:
        return tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)

    start = len(decoded(context)) if context else 0
    text = decoded([*context, *ids])[start:]
    spans: list[tuple[int, int]] = []
    pending = previous_end = 0  # tokens whose character is not complete yet; where the last span ended
    for count in range(1, len(ids) + 1):
        prefix = decoded([*context, *ids[:count]])[start:]
        end = max(previous_end, _common_length(prefix, text))
        if end > previous_end:
            spans += [(previous_end, end)] * (pending + 1)
            pending, previous_end = 0, end
        elif previous_end and not pending and prefix == text[:previous_end] and prefix.endswith("\ufffd"):
            spans.append((previous_end - 1, previous_end))  # another byte of a character never completed
        else:
            pending += 1
    return text, spans + [(previous_end, previous_end)] * pending


def _common_length(first: str, second: str) -> int:
    """Return the length of the common prefix of two texts."""
    length = 0
    for character, other in zip(first, second, strict=False):
        if character != other:
            break
        length += 1
    return length
