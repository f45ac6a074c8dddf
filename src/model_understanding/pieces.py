"""A tokenizer's raw tokens (pieces) as text: ``Ġwant``, ``▁the``, ``##ing``, ``un@@``, ``<0xE2>``."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# Names that tokenizers give to tokens which stand for no text.
_SPECIAL = re.compile(
    r"\[(CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]"
    r"|</?s>|<(pad|unk|mask|cls|sep|bos|eos|special\d+|null_1|start_of_turn|end_of_turn)>"
    r"|<[|｜].+[|｜]>"
)
_BYTE_LEVEL_STARTS = ("Ġ", "Ċ")  # a space and a newline, as GPT-2's tokenizer writes bytes
_WORD_ENDS = ("</w>", "@@")


class PlacedPieces(NamedTuple):
    """Pieces as a text, the span of each in it, and which of them stand for no text."""

    text: str
    spans: list[tuple[int, int]]
    special: list[bool]


def unknown_id_piece(token: int) -> str:
    """Return what stands for a token whose id the tokenizer does not know, as in a padded vocabulary.

    >>> unknown_id_piece(510)
    '<id 510>'
    """
    return f"<id {token}>"


@lru_cache(2**15)  # texts repeat their pieces
def piece_text(piece: str) -> str:
    """Return the text that one piece stands for, as far as its marks say.

    >>> [piece_text(piece) for piece in ("Ġwant", "##ing", "▁the", "un@@", "film</w>", "<0xE2>", "był")]
    [' want', 'ing', ' the', 'un', 'film', '<0xE2>', 'był']
    """
    if _SPECIAL.fullmatch(piece) or _BYTE.fullmatch(piece):
        return piece
    if piece.startswith("##") and len(piece) > 2:
        return piece[2:]
    for end in _WORD_ENDS:
        if piece.endswith(end) and len(piece) > len(end):
            return piece.removesuffix(end)
    if "▁" in piece:
        return piece.replace("▁", " ")
    values = _bytes_of(piece) if piece.startswith(_BYTE_LEVEL_STARTS) else None
    return piece if values is None else _text_of_bytes(values)


def part_text(piece: str, whole: str) -> str:
    r"""Return what a piece stands for that shares a character with its neighbor: bytes stay visible as bytes.

    Args:
        piece: The piece.
        whole: The text that it is a part of.

    >>> part_text("ðŁ", "👨"), part_text("<0xE2>", "€"), part_text("1", "½"), part_text("\x81", "は")
    ('<0xF0><0x9F>', '<0xE2>', '1', '<0x81>')
    """
    spelled = whole.encode("utf-8", "replace")
    if len(piece) == 1 and "\x7f" < piece <= "\xff" and piece not in whole and ord(piece) in spelled:
        return f"<0x{ord(piece):02X}>"  # ByT5 names a byte by the character of that number
    values = _bytes_of(piece)
    if values is not None and piece not in whole and values.strip() in spelled:
        return _text_of_bytes(values)
    return piece_text(piece)


def byte_text(piece: str) -> str:
    r"""Return what a piece stands for that is only a part of a character: its bytes stay visible as bytes.

    >>> byte_text("Ġ×"), byte_text("ĳ"), byte_text("<0xE2>"), byte_text("\x81")
    (' <0xD7>', '<0x91>', '<0xE2>', '<0x81>')
    """
    if _BYTE.fullmatch(piece):
        return piece
    values = _bytes_of(piece)
    if values is None and len(piece) == 1 and "\x7f" < piece <= "\xff":
        values = bytes([ord(piece)])  # ByT5 names a byte by the character of that number
    return piece if values is None else _text_of_bytes(values)


def is_blank(piece: str) -> bool:
    """Return whether a piece stands for blanks only, as the ``▁`` that a tokenizer puts before a text.

    >>> is_blank("▁"), is_blank("▁the")
    (True, False)
    """
    return bool(piece) and not piece_text(piece).strip()


def continues_word(piece: str, previous: str) -> bool:
    """Return whether a piece is part of the same word as the piece before it, as far as their marks say.

    >>> continues_word("##ing", "play"), continues_word("do", "un@@"), continues_word("the", "of")
    (True, True, False)
    """
    return (piece.startswith("##") and len(piece) > 2) or (previous.endswith("@@") and len(previous) > 2)


def placed_pieces(pieces: Sequence[str]) -> PlacedPieces:
    r"""Return the text that pieces spell; pieces without any marks and blanks are words, joined by spaces.

    Args:
        pieces: One string for each token, in order.

    >>> placed_pieces(["[CLS]", "play", "##ing", "chess"]).text
    'playing chess'
    >>> placed_pieces(["I", "Ġwant", "âĤ", "¬"]).spans
    [(0, 1), (1, 6), (6, 7), (6, 7)]
    >>> placed_pieces(["play", "ing", " chess"]).text, placed_pieces(["a", " ", "\xc3", "\xa9"]).text
    ('playing chess', 'a é')
    """
    special = [bool(_SPECIAL.fullmatch(piece)) for piece in pieces]
    plain = [piece for piece, is_special in zip(pieces, special, strict=True) if not is_special]
    as_bytes = [_bytes_of(piece) for piece in plain]
    if any(piece.startswith(_BYTE_LEVEL_STARTS) for piece in plain) and None not in as_bytes:
        text, spans = _from_bytes([values or b"" for values in as_bytes])
    elif any("▁" in piece for piece in plain):
        text, spans = _from_bytes([_sentencepiece_bytes(piece) for piece in plain])
    elif any(piece != piece.strip(" ") for piece in plain):  # they spell their own blanks
        text, spans = _from_bytes(_character_bytes(plain))
    else:
        text, spans = _from_words(plain)
    placed, at = iter(spans), 0
    all_spans = []
    for is_special in special:
        span = (at, at) if is_special else next(placed)
        at = max(at, span[1])
        all_spans.append(span)
    return PlacedPieces(text, all_spans, special)


def _from_words(pieces: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Join words by spaces, and the parts of a word without."""
    text, spans, previous = "", [], ""
    ends_words = any(piece.endswith("</w>") for piece in pieces)
    for index, piece in enumerate(pieces):
        joins = continues_word(piece, previous) or (ends_words and not previous.endswith("</w>"))
        text += "" if index == 0 or joins else " "
        spans.append((len(text), len(text) + len(piece_text(piece))))
        text, previous = text + piece_text(piece), piece
    return text, spans


def _from_bytes(parts: Sequence[bytes]) -> tuple[str, list[tuple[int, int]]]:
    """Decode the bytes of all pieces; pieces that share a character share its span."""
    text = b"".join(parts).decode("utf-8", "replace")
    starts = []  # byte position of each character, then of the end
    position = 0
    for character in text:
        starts.append(position)
        position += 1 if character == "\ufffd" else len(character.encode())
    if position != sum(map(len, parts)):  # bytes that are no text: each shown for itself
        shown = [_text_of_bytes(part) for part in parts]
        ends = [sum(map(len, shown[: index + 1])) for index in range(len(shown))]
        return "".join(shown), [(end - len(part), end) for end, part in zip(ends, shown, strict=True)]
    spans, at = [], 0
    for part in parts:
        inside = [
            index
            for index, start in enumerate(starts)
            if start < at + len(part) and (starts[index + 1] if index + 1 < len(starts) else position) > at
        ]
        spans.append((inside[0], inside[-1] + 1) if inside else (len(text), len(text)))
        at += len(part)
    return text, spans


def _sentencepiece_bytes(piece: str) -> bytes:
    byte = _BYTE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode("utf-8", "replace")


def _character_bytes(pieces: Sequence[str]) -> list[bytes]:
    """Return the bytes of pieces that are text; of single characters that name bytes (ByT5), these bytes."""
    if all(len(piece) == 1 and piece <= "\xff" for piece in pieces):
        named = [bytes([ord(piece)]) for piece in pieces]
        try:
            b"".join(named).decode()
        except UnicodeDecodeError:
            pass
        else:
            return named
    return [piece.encode("utf-8", "replace") for piece in pieces]


def _byte_alphabet() -> dict[str, int]:
    """Return GPT-2's characters for the 256 bytes."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


_BYTES = _byte_alphabet()


def _bytes_of(piece: str) -> bytes | None:
    """Return the bytes that a piece spells in GPT-2's characters; ``None`` if it has other characters."""
    if not piece or any(character not in _BYTES for character in piece):
        return None
    return bytes(_BYTES[character] for character in piece)


def _text_of_bytes(values: bytes) -> str:
    """Decode bytes; those that are no whole character stay visible."""
    text = ""
    while values:
        try:
            return text + values.decode()
        except UnicodeDecodeError as error:
            broken = values[error.start : error.end]
            text += values[: error.start].decode() + "".join(f"<0x{byte:02X}>" for byte in broken)
            values = values[error.end :]
    return text
