"""Tokens as the model sees them, with the span of each in the user's text.

Every view shows ``text[start:end]`` of the original text, never a tokenizer's raw piece, so a byte-level
tokenizer's ``Ġ`` or half an emoji never reaches the screen. A token whose place in the text is empty shows
what its piece stands for.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Literal, Self

import numpy as np
import regex
from jaxtyping import Bool, Int

from model_understanding.pieces import continues_word, is_blank, part_text, piece_text, placed_pieces
from model_understanding.sentences import sentence_ends

Level = Literal["token", "character", "word", "sentence"]
LEVELS: tuple[Level, ...] = ("token", "character", "word", "sentence")

_GRAPHEME = regex.compile(r"\X")
# Unicode's default word boundaries (UAX 29): ideographs stand alone, "don't" stays whole.
_WORD_BOUNDARY = regex.compile(r"\b", flags=regex.V1 | regex.WORD)
_INNER_BREAK = regex.compile(r"(?<=\S)[ \t\r]*\n[ \t]*(?=\S)")
_JOINERS = frozenset("\u200c\u200d")
_MOST_IN_REPR, _REPR_LENGTH = 20, 80  # pieces, characters
UNKNOWN = "(unknown)"  # after the text of a token that the tokenizer does not know


def _all_known() -> np.ndarray:
    return np.zeros(0, dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Tokens:
    """A sequence of T tokens with their spans in the source texts.

    Args:
        texts: The source texts: one sentence, a pair, or a prompt and its continuation.
        pieces: The tokenizer's raw token for each token.
        ids: Vocabulary ids, shape ``(T,)``.
        segments: Index of the text that a token is part of, shape ``(T,)``; −1 for none (``[CLS]``, a
            beginning-of-sequence token).
        offsets: Start and end in that text, in code points, shape ``(T, 2)``. Empty where a token has no
            text there: a blank that the tokenizer adds, or a piece that does not occur in the text.
        words: Index of the word that a token belongs to, shape ``(T,)``; −1 for special tokens. A blank that
            the tokenizer adds before a word is a word of its own, so that the word has only its own scores.
        special: Whether a token is a special or chat-template token, shape ``(T,)``.
        unknown: Whether the tokenizer does not know the token's text, and the model reads its unknown token
            instead, shape ``(T,)``; no token by default.

    Raises:
        ValueError: The lengths disagree or an offset lies outside its text.

    >>> tokens = Tokens.from_pieces(["The", "plot"])
    >>> tokens.labels()
    ('The', 'plot')
    """

    texts: tuple[str, ...]
    pieces: tuple[str, ...]
    ids: Int[np.ndarray, " tokens"]
    segments: Int[np.ndarray, " tokens"]
    offsets: Int[np.ndarray, "tokens 2"]
    words: Int[np.ndarray, " tokens"]
    special: Bool[np.ndarray, " tokens"]
    unknown: Bool[np.ndarray, " tokens"] = field(default_factory=_all_known)

    def __post_init__(self) -> None:
        count = len(self.pieces)
        object.__setattr__(self, "texts", tuple(self.texts))
        object.__setattr__(self, "pieces", tuple(self.pieces))
        for name in ("ids", "segments", "words"):
            object.__setattr__(self, name, read_only(getattr(self, name), np.int64, (count,), name))
        object.__setattr__(self, "offsets", read_only(self.offsets, np.int64, (count, 2), "offsets"))
        object.__setattr__(self, "special", read_only(self.special, np.bool_, (count,), "special"))
        unknown = self.unknown if np.size(self.unknown) else np.zeros(count, dtype=bool)
        object.__setattr__(self, "unknown", read_only(unknown, np.bool_, (count,), "unknown"))
        lengths = [len(text) for text in self.texts]
        placed = zip(self.segments.tolist(), self.offsets.tolist(), strict=True)
        for position, (segment, (start, end)) in enumerate(placed):
            if segment >= len(lengths):
                raise ValueError(f"Token {position} has segment {segment}; texts has {len(lengths)} entries.")
            if segment >= 0 and not 0 <= start <= end <= lengths[segment]:
                raise ValueError(
                    f"Token {position} has invalid offsets ({start}, {end}); "
                    f"its text has {lengths[segment]} characters."
                )

    @classmethod
    def from_spans(
        cls,
        *,
        texts: Sequence[str],
        pieces: Sequence[str],
        ids: Sequence[int] | np.ndarray,
        segments: Sequence[int] | np.ndarray,
        offsets: Sequence[tuple[int, int]] | np.ndarray,
        special: Sequence[bool] | np.ndarray,
        unknown: Sequence[bool] | np.ndarray | None = None,
        words: Sequence[int] | np.ndarray | None = None,
    ) -> Self:
        """Build tokens from spans and find the word of each in the original text.

        Args:
            texts: The source texts.
            pieces: The tokenizer's raw tokens.
            ids: Vocabulary ids.
            segments: Index of each token's text, −1 for none.
            offsets: Start and end of each token in code points.
            special: Whether each token is special.
            unknown: Whether the tokenizer does not know each token's text; no token by default.
            words: The word of each token; found in the text by default.

        Returns:
            The tokens, with ``words`` filled in.
        """
        if words is None:
            words = _word_indices(
                texts, pieces, np.asarray(segments), np.asarray(offsets), np.asarray(special)
            )
        return cls(
            texts=tuple(texts),
            pieces=tuple(pieces),
            ids=np.asarray(ids),
            segments=np.asarray(segments),
            offsets=np.asarray(offsets).reshape(-1, 2),
            words=np.asarray(words),
            special=np.asarray(special, dtype=bool),
            unknown=_all_known() if unknown is None else np.asarray(unknown, dtype=bool),
        )

    @classmethod
    def from_pieces(cls, pieces: Sequence[str]) -> Self:
        """Build tokens from strings, for scores computed elsewhere.

        Raw tokens of a tokenizer are read by their marks (``Ġwant``, ``▁the``, ``##ing``, ``[CLS]``); plain
        words are joined by spaces.

        Args:
            pieces: One string for each token.

        Returns:
            Tokens of one text, with ids −1.

        >>> Tokens.from_pieces(["[CLS]", "play", "##ing", "chess"]).fold([(0,), (1, 2), (3,)]).labels()
        ('[CLS]', 'playing', 'chess')
        """
        text, spans, special = placed_pieces(pieces)
        return cls.from_spans(
            texts=(text,),
            pieces=pieces,
            ids=np.full(len(pieces), -1),
            segments=np.where(special, -1, 0) if pieces else np.zeros(0, dtype=int),
            offsets=np.where(np.array(special)[:, None], 0, spans) if pieces else np.zeros((0, 2), dtype=int),
            special=special,
        )

    @classmethod
    def from_labels(cls, labels: Sequence[str]) -> Self:
        """Build tokens without a text from labels that are shown as they are.

        Args:
            labels: One string for each token.

        Returns:
            Tokens of no text, with ids −1.
        """
        count = len(labels)
        return cls(
            texts=(),
            pieces=tuple(labels),
            ids=np.full(count, -1),
            segments=np.full(count, -1),
            offsets=np.zeros((count, 2), dtype=int),
            words=np.full(count, -1),
            special=np.zeros(count, dtype=bool),
        )

    def __len__(self) -> int:
        return len(self.pieces)

    def __repr__(self) -> str:
        text = visible_text(" ▸ ".join(filter(None, self.texts)) or ", ".join(self.pieces[:_MOST_IN_REPR]))
        shown = text if len(text) <= _REPR_LENGTH else f"{text[:_REPR_LENGTH]}…"
        return f"<Tokens: {len(self)} token{'' if len(self) == 1 else 's'} “{shown}”>"

    def surfaces(self) -> tuple[str, ...]:
        """Return the text of each token's span; a token without one gives what its piece stands for."""
        return tuple(
            (self.texts[segment][start:end] if end > start else piece_text(piece)) if segment >= 0 else piece
            for piece, segment, (start, end) in zip(
                self.pieces, self.segments.tolist(), self.offsets.tolist(), strict=True
            )
        )

    def labels(self) -> tuple[str, ...]:
        """Return a short label of each token: trimmed, with blanks and control characters made visible.

        Tokens that share a character are labeled by their bytes, and text that the tokenizer does not know
        is marked.
        """
        shared = self._shares_characters() & ~self.unknown
        labels = [
            _label(part_text(piece, surface) if shares else surface)
            for piece, surface, shares in zip(self.pieces, self.surfaces(), shared, strict=True)
        ]
        return tuple(
            f"{label} {UNKNOWN}" if unknown else label
            for label, unknown in zip(labels, self.unknown, strict=True)
        )

    def groups(self, level: Level) -> tuple[tuple[int, ...], ...]:
        """Return the groups of positions at a level, in reading order.

        Args:
            level: ``token``; ``character``, which joins tokens that share one visible character (a
                byte-level tokenizer may split an emoji); ``word``; ``sentence``.

        Returns:
            Tuples of neighboring positions that cover every token once. Special tokens are never joined.

        Raises:
            ValueError: The level is unknown.
        """
        if level == "token":
            return tuple((position,) for position in range(len(self)))
        if level == "character":
            keys = self._character_keys()
        elif level == "word":
            keys = list(zip(self.segments.tolist(), self.words.tolist(), strict=True))
        elif level == "sentence":
            keys = self._sentence_keys()
        else:
            raise ValueError(f"Unknown level {level!r}. Allowed: {', '.join(LEVELS)}.")
        groups: list[list[int]] = []
        words = self.words.tolist()
        for position, key in enumerate(keys):
            joined = position > 0 and key == keys[position - 1] and words[position] >= 0
            if joined and words[position - 1] >= 0:
                groups[-1].append(position)
            else:
                groups.append([position])
        return tuple(tuple(group) for group in groups)

    def fold(self, groups: Sequence[Sequence[int]]) -> Self:
        """Join groups of neighboring tokens, each into one token that spans them all.

        Args:
            groups: Positions of each new token, as ``groups`` returns them.

        Returns:
            One token per group; its id is −1 unless the group is a single token. A group that extends into
            another text spans its part of the first text: the queries that generate a sentence begin in the
            prompt.
        """
        first = np.array([group[0] for group in groups], dtype=int)
        offsets = []
        for group in groups:
            spans = [self.offsets[i] for i in group if self.segments[i] == self.segments[group[0]]]
            placed = [(start, end) for start, end in spans if end > start] or spans
            offsets.append((min(int(start) for start, _ in placed), max(int(end) for _, end in placed)))
        return type(self)(
            texts=self.texts,
            pieces=tuple(self._joined_piece(group) for group in groups),
            ids=np.array([int(self.ids[group[0]]) if len(group) == 1 else -1 for group in groups], dtype=int),
            segments=self.segments[first],
            offsets=np.array(offsets, dtype=int).reshape(-1, 2),
            words=self.words[first],
            special=self.special[first],
            unknown=np.array([self.unknown[list(group)].any() for group in groups], dtype=bool),
        )

    def _joined_piece(self, group: Sequence[int]) -> str:
        """Return the pieces of a group as one; as text if the group has no place in a text."""
        pieces = [self.pieces[i] for i in group]
        starts, ends = self.offsets[list(group)].T
        if len(pieces) > 1 and (self.segments[list(group)] >= 0).all() and (starts == ends).all():
            pieces = [piece_text(piece) for piece in pieces]
        return "".join(pieces)

    def _shares_characters(self) -> Bool[np.ndarray, " tokens"]:
        """Return which tokens share a part of the text with the token before or after."""
        shares = np.zeros(len(self), dtype=bool)
        if len(self) > 1:
            starts, ends = self.offsets.T
            overlaps = (self.segments[1:] == self.segments[:-1]) & (self.segments[1:] >= 0)
            overlaps &= np.minimum(ends[1:], ends[:-1]) > np.maximum(starts[1:], starts[:-1])
            shares[1:] |= overlaps
            shares[:-1] |= overlaps
        return shares

    def select(self, positions: Sequence[int] | np.ndarray) -> Self:
        """Return the tokens at the given positions, in that order."""
        index = np.asarray(positions, dtype=int)
        return type(self)(
            texts=self.texts,
            pieces=tuple(self.pieces[i] for i in index),
            ids=self.ids[index],
            segments=self.segments[index],
            offsets=self.offsets[index],
            words=self.words[index],
            special=self.special[index],
            unknown=self.unknown[index],
        )

    def blocks(self, size: int, positions: Sequence[int] | None = None) -> Self:
        """Join every ``size`` neighboring tokens into one block, named by its first and last position.

        Args:
            size: Tokens per block; the last block may have fewer.
            positions: Position of each token; 0, 1, … by default.

        Returns:
            One token without a span for each block, for example ``64–127``.
        """
        indices = range(len(self)) if positions is None else positions
        bounds = [(start, min(start + size, len(self)) - 1) for start in range(0, len(self), size)]
        names = [
            f"{indices[first]}–{indices[last]}" if last > first else str(indices[first])
            for first, last in bounds
        ]
        return self._without_spans(names)

    def collapsed(self, name: str) -> Self:
        """Return a single token without a span, with the given name, in place of all tokens."""
        return self._without_spans([name])

    def _without_spans(self, names: Sequence[str]) -> Self:
        return replace(type(self).from_labels(names), texts=self.texts)

    def _character_keys(self) -> list[tuple[int, int]]:
        boundaries = [{match.start() for match in _GRAPHEME.finditer(text)} for text in self.texts]
        keys: list[tuple[int, int]] = []
        unit, last_segment, last_end = -1, -2, 0
        for segment, (start, end) in zip(self.segments, self.offsets, strict=True):
            splits_character = (
                segment >= 0
                and segment == last_segment
                and end > start
                and (start < last_end or start not in boundaries[segment])
            )
            if not splits_character:
                unit += 1
            keys.append((int(segment), unit))
            last_segment, last_end = segment, max(int(end), last_end if splits_character else 0)
        return keys

    def _sentence_keys(self) -> list[tuple[int, int]]:
        ends = [self._sentence_ends(segment) for segment in range(len(self.texts))]
        return [
            (segment, bisect_right(ends[segment], _core(self.texts[segment], span)[0]))
            if segment >= 0
            else (-1, -1)
            for segment, span in zip(self.segments.tolist(), self.offsets.tolist(), strict=True)
        ]

    def _sentence_ends(self, segment: int) -> list[int]:
        """Return where the sentences of a text end; what is between special tokens is read by itself."""
        text, begin, found = self.texts[segment], 0, list[int]()
        is_border = self.special & (self.segments == segment) & (self.offsets[:, 1] > self.offsets[:, 0])
        for start, end in [*self.offsets[is_border].tolist(), (len(text), len(text))]:
            if start > begin:
                found += [begin + place for place in sentence_ends(text[begin:start])]
            if end > begin:
                found.append(end)
                begin = end
        return found


def visible_text(text: str) -> str:
    r"""Return text with lone blanks, control characters and direction overrides made visible.

    Args:
        text: Any text, including hostile text.

    Returns:
        The text with newlines as ``↵``, tabs as ``⇥``, a lone space as ``␣``, other control
        characters as Unicode control pictures or ``\u…`` escapes. Joiners between other characters stay.

    >>> visible_text("a\nb")
    'a↵b'
    """
    if text and all(unicodedata.category(character) == "Zs" for character in text):
        return "␣" * len(text)
    if text and _JOINERS.issuperset(text):
        return "".join(_escaped(character) for character in text)
    return "".join(_visible_character(character) for character in text)


def _visible_character(character: str) -> str:
    if character == "\n":
        return "↵"
    if character == "\t":
        return "⇥"
    category = unicodedata.category(character)
    if category == "Cc":
        code = ord(character)
        return chr(0x2400 + code) if code < 0x20 else f"\\x{code:02x}"
    is_hidden = category in ("Cf", "Zl", "Zp", "Cs") and character not in _JOINERS
    # U+E0020…7F spell the flags of England, Scotland and Wales: part of an emoji.
    if is_hidden and not 0xE0020 <= ord(character) <= 0xE007F:
        return _escaped(character)
    return character


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _label(surface: str) -> str:
    shown = surface.strip(" ")
    if " " in shown:  # several words, of a sentence whose lines are wrapped
        shown = _INNER_BREAK.sub(" ", shown)
    label = visible_text(shown or surface) or "∅"
    # A combining mark without its letter would combine with whatever is drawn before it.
    return f"◌{label}" if unicodedata.category(label[0]).startswith("M") else label


def read_only(
    values: object,
    dtype: type,
    shape: tuple[int | None, ...],
    name: str,
    within: tuple[float, float] | None = None,
) -> np.ndarray:
    """Return a read-only copy of values as an array of this type and shape.

    Args:
        values: Anything that numpy accepts; a nested empty list takes the expected empty shape.
        dtype: The element type.
        shape: The expected shape; ``None`` matches any length.
        name: The field's name, for the message.
        within: The least and the greatest value there can be; rounding may go beyond by a thousandth.

    Returns:
        A contiguous read-only array.

    Raises:
        ValueError: The shape does not match, or a value is out of range.
    """
    # Values that overflow become infinite, and are rejected as such.
    with np.errstate(over="ignore") if issubclass(dtype, np.floating) else nullcontext():
        array = np.array(values, dtype=dtype)
    if array.size == 0 and array.ndim != len(shape):
        array = array.reshape([0 if length is None else length for length in shape])
    matches = array.ndim == len(shape) and all(
        expected is None or expected == length for expected, length in zip(shape, array.shape, strict=True)
    )
    if not matches:
        raise ValueError(f"{name} must have shape {shape} (None: any length). Got {array.shape}.")
    if within is not None and array.size:
        least, most = within
        extreme = next(
            (value for value in (array.min(), array.max()) if not least - 1e-3 <= value <= most + 1e-3), None
        )
        if extreme is not None and np.isfinite(extreme):
            allowed = f"{least:g} or more" if np.isinf(most) else f"from {least:g} to {most:g}"
            raise ValueError(f"{name} must be {allowed}. Got {extreme:g}")
    array.setflags(write=False)
    return array


SHARE = (0.0, 1.0)
"""The range of probabilities and of attention weights."""


def _core(text: str, span: Sequence[int] | np.ndarray) -> tuple[int, int]:
    """Return a span without the blanks at its ends; a span of blanks stays as it is."""
    start, end = int(span[0]), int(span[1])
    inner = text[start:end]
    if inner and not inner[0].isspace() and not inner[-1].isspace():
        return start, end
    if not inner.strip():
        return start, end
    return start + len(inner) - len(inner.lstrip()), end - (len(inner) - len(inner.rstrip()))


def _word_indices(
    texts: Sequence[str],
    pieces: Sequence[str],
    segments: np.ndarray,
    offsets: np.ndarray,
    special: np.ndarray,
) -> Int[np.ndarray, " tokens"]:
    """Return the word index of each token; a token that spans several words joins them.

    A token with an empty span is a word of its own, or part of the word before it if its piece says so.
    """
    starts = [[match.start() for match in _WORD_BOUNDARY.finditer(text)] for text in texts]
    words = np.full(len(segments), -1, dtype=np.int64)
    is_special = special.tolist()
    next_word, current_segment, reached = -1, -1, -1
    of_texts: list[int] = segments.tolist()
    for position, (segment, span) in enumerate(zip(of_texts, offsets.tolist(), strict=True)):
        if segment < 0 or is_special[position]:
            current_segment = -1
            continue
        if span[0] == span[1]:
            joins = segment == current_segment and not is_blank(pieces[position])
            if not (joins and continues_word(pieces[position], pieces[position - 1])):
                next_word += 1
            current_segment, reached = segment, -1
            words[position] = next_word
            continue
        start, end = span
        if texts[segment][start].isspace() or texts[segment][end - 1].isspace():
            start, end = _core(texts[segment], span)
        first = bisect_right(starts[segment], start)
        last = bisect_right(starts[segment], max(end - 1, start))
        if segment != current_segment or first > reached:
            next_word += 1
        reached = max(last, reached) if segment == current_segment else last
        current_segment = segment
        words[position] = next_word
    return words
