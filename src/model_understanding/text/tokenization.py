"""Text to token ids and the places where they stand; the text itself is never rewritten."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

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
        for name in ("input_ids", "attention_mask", "token_type_ids")
        if name in encoded and (name in tokenizer.model_input_names or name == "input_ids")
    }
    ids = inputs["input_ids"]
    added = np.array(encoded["special_tokens_mask"], dtype=bool)
    if tokenizer.is_fast:
        segments = np.array([-1 if part is None else part for part in encoded.sequence_ids(0)], dtype=int)
        offsets = np.array(encoded["offset_mapping"], dtype=int).reshape(-1, 2)
    else:
        segments, offsets = _spans_by_decoding(tokenizer, ids, added, texts)
    offsets = _with_trimmed_blanks(texts, segments, np.where(segments[:, None] >= 0, offsets, 0))
    special = added | _spelled_special(tokenizer, ids, texts, segments, offsets)
    for number, part in enumerate(texts):
        if special[segments == number].all():
            raise InputError(
                f"The text {part[:40]!r} has no token of its own.", hint="Pass a text with at least one word."
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
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"The text has half a character at position {error.start}: {text[error.start]!r}.",
            hint="Pass text that encodes as UTF-8.",
        ) from error


def _with_trimmed_blanks(
    texts: Sequence[str], segments: np.ndarray, offsets: np.ndarray
) -> Int[np.ndarray, "tokens 2"]:
    """Give a token of nothing but blanks its place again, which RoBERTa's tokenizer trims to nothing."""
    mended = offsets.copy()
    reached, current = 0, -1
    for position, (segment, (start, end)) in enumerate(zip(segments, offsets, strict=True)):
        if segment < 0:
            continue
        if segment != current:
            reached, current = 0, segment
        if start == end and texts[int(segment)][reached:start].isspace():
            mended[position, 0] = reached
        reached = max(reached, int(end))
    return mended


def _spelled_special(
    tokenizer: Any, ids: Sequence[int], texts: Sequence[str], segments: np.ndarray, offsets: np.ndarray
) -> Bool[np.ndarray, " tokens"]:
    """Return which tokens are special ones that the text itself spells.

    The unknown token stands for the user's own text, unless the text spells it.
    """
    special = np.isin(ids, tokenizer.all_special_ids)
    for position in np.flatnonzero(special & (np.asarray(ids) == tokenizer.unk_token_id)):
        segment, (start, end) = int(segments[position]), offsets[position]
        special[position] = segment >= 0 and texts[segment][start:end].strip() == tokenizer.unk_token
    return special


def _spans_by_decoding(
    tokenizer: Any, ids: Sequence[int], added: np.ndarray, texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Find each token of a tokenizer without offsets by decoding longer and longer prefixes."""
    own = [token for token, is_added in zip(ids, added, strict=True) if not is_added]
    decoded, spans = spans_in_decoded(tokenizer, own)
    if len(texts) > 1 or decoded != texts[0]:
        raise UnsupportedModelError(
            f"{type(tokenizer).__name__} does not tell where its tokens stand in the text.",
            hint="Load a fast tokenizer (install the 'tokenizers' version of this model's tokenizer).",
        )
    segments = np.where(added, -1, 0)
    offsets = np.zeros((len(ids), 2), dtype=int)
    offsets[~added] = spans
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
    spans: list[tuple[int, int]] = []
    waiting = reached = 0  # how many tokens still wait for the character they help to spell
    for count in range(1, len(ids) + 1):
        part = decoded([*context, *ids[:count]])[start:]
        end = max(reached, _common_length(part, whole))
        if end > reached:
            spans += [(reached, end)] * (waiting + 1)
            waiting, reached = 0, end
        elif reached and not waiting and part == whole[:reached] and part.endswith("\ufffd"):
            spans.append((reached - 1, reached))  # one more byte of a character that is never completed
        else:
            waiting += 1
    return whole, spans + [(reached, reached)] * waiting


def _common_length(part: str, whole: str) -> int:
    """Return how much of the part is already as in the whole; half-spelt characters are not."""
    length = 0
    for one, other in zip(part, whole, strict=False):
        if one != other:
            break
        length += 1
    return length
