"""Which tokens attend to which: of an encoder–decoder those of its source, of its output, or of both."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from model_understanding.checks import index_in
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.attention_layout import STACK_NAMES, Stack, attention_layout, sides_of
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens


class AttendedTokens(NamedTuple):
    """The tokens of a stack of attention on a text.

    Args:
        queries: The tokens that attend.
        keys: The tokens that they attend to.
        first_query: The position of the first query in the text.
        first_key: The position of the first key.
    """

    queries: Tokens
    keys: Tokens
    first_query: int = 0
    first_key: int = 0


def attended_tokens(model: Model, encoding: Encoding, stack: Stack | None) -> AttendedTokens:
    """Return the queries and keys of a stack on one text.

    Args:
        model: The model, its layout measured if it is an encoder–decoder.
        encoding: The text.
        stack: The stack; ``None`` for a model that has only one.

    Raises:
        UnsupportedModelError: The tokens that a classifier's decoder reads are unknown.
    """
    tokens, sides = encoding.tokens[0], sides_of(encoding, stack)
    if stack is None:
        return AttendedTokens(tokens, tokens)
    if encoding.source_length is None:
        source, first = tokens, 0
        output = tokens if stack == "encoder" else _read_again(model, tokens, stack)
    else:
        source, first = tokens.select(range(sides.source)), sides.source
        output = tokens.select(range(first, len(tokens)))
    if stack == "encoder":
        return AttendedTokens(source, source)
    if stack == "decoder":
        return AttendedTokens(output, output, first, first)
    return AttendedTokens(output, source, first)


def _read_again(model: Model, tokens: Tokens, stack: Stack) -> Tokens:
    """Return the tokens that the decoder of a classifier reads: the text's, moved to the right."""
    moved = attention_layout(model, stack).decoder_reads
    if moved is None:
        raise UnsupportedModelError(
            f"Could not find the tokens that the decoder of {model.name} reads, so the rows of "
            f"{STACK_NAMES[stack]} have no names.",
            hint="Use stack='encoder'.",
        )
    count, before = len(tokens), len(moved.before)
    positions = [0] * before + [*range(count - before)]
    if moved.wraps:
        positions[before - 1] = count - 1
    rows = tokens.select(positions)
    new = list(moved.before[: before - moved.wraps])
    if not new:
        return rows
    added = np.arange(count) < len(new)
    return replace(
        rows,
        pieces=(*map(str, model.tokenizer.convert_ids_to_tokens(new)), *rows.pieces[len(new) :]),
        ids=np.where(added, np.resize(new, count), rows.ids),
        segments=np.where(added, -1, rows.segments),
        offsets=np.where(added[:, None], 0, rows.offsets),
        words=np.where(added, -1, rows.words),
        special=rows.special | added,
        unknown=rows.unknown & ~added,
    )


def positions_of(queries: Sequence[int], tokens: Tokens) -> list[int]:
    """Return chosen rows as positions from 0.

    Raises:
        InputError: There is no such token, or none was chosen.
    """
    count = len(tokens)
    positions = [] if isinstance(queries, str) else list(queries)
    if not positions:
        raise InputError(
            f"queries={queries!r} names no token.",
            hint=f"Pass positions from 0 to {count - 1}, or leave queries out.",
        )
    return [index_in(position, count, "query token", "the text") for position in positions]


def rows_of(attended: AttendedTokens, encoding: Encoding, queries: Sequence[int]) -> list[int]:
    """Return chosen positions of a text as positions among the queries of a stack.

    Args:
        attended: The tokens of the stack.
        encoding: The text.
        queries: Positions in the text.

    Raises:
        InputError: There is no such token, none was chosen, or one of them is on the other side.
    """
    count, first = len(attended.queries), attended.first_query
    positions = positions_of(queries, encoding.tokens[0])
    outside = [position for position in positions if not first <= position < first + count]
    if outside:
        raise InputError(
            f"Token {outside[0]} is not a query of this attention: its queries are the tokens {first} to "
            f"{first + count - 1}.",
            hint="Pass positions among these, or leave queries out.",
        )
    return [position - first for position in positions]
