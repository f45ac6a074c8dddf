"""Token ids as text: the piece of each, what they decode to, and the place of each in that text."""

from collections.abc import Sequence
from typing import Any

from model_understanding.pieces import byte_text, unknown_id_piece


def pieces_of(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Return the raw token of each id; an id that the tokenizer does not know is named by its number.

    A model's vocabulary may be larger than its tokenizer's, padded to a round size.

    Args:
        tokenizer: A transformers tokenizer.
        ids: Any ids.

    Returns:
        One string for each id.
    """
    known = _pieces(tokenizer, ids)
    if known is not None:
        return known
    return [_piece(tokenizer, int(token)) or unknown_id_piece(int(token)) for token in ids]


def _pieces(tokenizer: Any, ids: Sequence[int]) -> list[str] | None:
    """Return the raw tokens of ids that a fast tokenizer all has, in one call; else ``None``."""
    if not getattr(tokenizer, "is_fast", False) or not len(ids) or max(ids) >= len(tokenizer):
        return None
    try:
        pieces = tokenizer.convert_ids_to_tokens([int(token) for token in ids])
    except (IndexError, KeyError, ValueError, TypeError, OverflowError):
        return None
    return pieces if all(isinstance(piece, str) and piece for piece in pieces) else None


def is_known(tokenizer: Any, token: int) -> bool:
    """Return whether the tokenizer has an entry for an id."""
    return _piece(tokenizer, int(token)) is not None


def _piece(tokenizer: Any, token: int) -> str | None:
    try:
        piece = tokenizer.convert_ids_to_tokens(token)
        if token >= len(tokenizer) and isinstance(piece, str):  # ByT5 names any number, and cannot decode it
            tokenizer.decode([token])
    except (IndexError, KeyError, ValueError, TypeError, OverflowError):  # tokenizers written in Python
        return None
    return piece if isinstance(piece, str) else None


def decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    """Return the text of ids as it stands, special tokens included; unknown ids have no text."""
    return _decoded(tokenizer, [int(token) for token in ids if is_known(tokenizer, int(token))])


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    return tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def token_text(tokenizer: Any, token: int) -> str:
    """Return the text of one token: its bytes if it is a part of a character, its piece if it has no text."""
    (piece,) = pieces_of(tokenizer, [token])
    text = decoded(tokenizer, [token])
    if not text:
        return piece
    if "\ufffd" in text:
        return byte_text(piece)
    # SentencePiece-like decoders drop the space at the start of a text.
    return f" {text}" if piece.startswith("▁") and not text.startswith(" ") else text


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
    before = [token for token in context if is_known(tokenizer, token)]
    known = [is_known(tokenizer, token) for token in ids]
    whole = decoded(tokenizer, [*before, *ids])
    # The context's last character may change once the next token completes it.
    start = _common_length(_decoded(tokenizer, before), whole) if before else 0
    text = whole[start:]
    spans: list[tuple[int, int]] = []
    pending = previous_end = 0  # tokens whose character is not complete yet; where the last span ended
    read = before
    for token, has_text in zip(ids, known, strict=True):
        if not has_text:
            spans += [(previous_end, previous_end)] * (pending + 1)
            pending = 0
            continue
        read = [*read, token]
        prefix = _decoded(tokenizer, read)[start:]
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
