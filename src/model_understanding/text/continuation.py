"""A prompt and its continuation, as one sequence of tokens."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from model_understanding.errors import InputError
from model_understanding.pieces import piece_text
from model_understanding.text.cautions import listed
from model_understanding.text.detokenization import decoded, pieces_of, spans_in_decoded
from model_understanding.text.tokenization import check_text, tokenize, without_added_blanks
from model_understanding.tokens import Tokens

_CONTEXT = 8  # ids before the continuation that its decoding may depend on
# Texts after which a tokenizer splits what follows as in the middle of a text. The first that does is taken:
# some join a newline or a dot with what follows, and some drop them.
_BEFORE = ("\n", "a", ".", "1", ")", "a\n", "a a")


class Following(NamedTuple):
    """The tokens of a continuation, and warnings about how it was separated from what is before it."""

    tokens: Tokens
    cautions: tuple[str, ...] = ()


def continuation_of(tokenizer: Any, before: Tokens, text: str) -> Following:
    """Return the tokens of a text that follows others.

    Both are tokenized together. If the tokens before are then the first ones, the rest is the continuation.
    If the tokenizer joins characters across the boundary, the tokens before stay as they are, and the
    continuation is split as in the middle of a text: without the blank that some tokenizers put before one.

    Args:
        tokenizer: A transformers tokenizer.
        before: The prompt's tokens, or those of a prompt and a part of its continuation.
        text: What follows.

    Returns:
        Tokens of one text.

    Raises:
        InputError: The text is empty, or has no tokens.
    """
    check_text(text)
    ids = _own_ids(before)
    # The tokens of a prompt given by ids may spell more than its text: special tokens in the middle.
    for whole in dict.fromkeys([text_of(before), decoded(tokenizer, ids)]):
        rest = _rest(tokenizer, whole, ids, text)
        if rest is not None:
            return rest
    tokens = _in_the_middle(tokenizer, text).tokens
    caution = (
        "Tokenized together, the prompt and the continuation share a token at their boundary. Instead the "
        "prompt keeps its tokens, and the continuation is tokenized by itself as "
        f"{listed(tokens.labels())}: its probability is that of these tokens."
    )
    return Following(tokens, (caution,))


def _own_ids(tokens: Tokens) -> list[int]:
    """Return the ids without the special tokens that a tokenizer adds before and after a text."""
    own = np.flatnonzero(tokens.segments >= 0)
    return tokens.ids[own[0] : own[-1] + 1].tolist() if len(own) else []


def text_of(tokens: Tokens) -> str:
    """Return the text of a prompt, or of a prompt and what follows up to the last token."""
    own = np.flatnonzero(tokens.segments >= 0)
    if not len(own):
        return ""
    last = int(tokens.segments[own[-1]])
    end = int(tokens.offsets[own[-1], 1]) if last else len(tokens.texts[0])
    return "".join(tokens.texts[:last]) + tokens.texts[last][:end]


def _rest(tokenizer: Any, before: str, ids: Sequence[int], text: str) -> Following | None:
    """Return the tokens after some others, where these are the first of both texts together."""
    if not before:
        return None
    try:
        whole, _ = tokenize(tokenizer, before + text, special_tokens=False)
    except InputError:  # no tokens: what is said of it must name the continuation alone
        return None
    count = len(ids)
    if len(whole) <= count or whole.ids[:count].tolist() != list(ids):
        return None
    rest = whole.select(range(count, len(whole)))
    rest = _counted_anew(replace(rest, offsets=np.maximum(rest.offsets - len(before), 0), texts=(text,)))
    taken = int(whole.offsets[:count, 1].max(initial=0)) - len(before)
    if taken <= 0:
        return Following(rest)
    # One unknown token may stand for text on both sides.
    caution = (
        f"The continuation's first characters {text[:taken]!r} are a part of the prompt's last token, "
        f"{whole.labels()[count - 1]!r}. The continuation is scored as {listed(rest.labels())}."
    )
    return Following(rest, (caution,))


def _counted_anew(tokens: Tokens) -> Tokens:
    """Return the tokens of a part of a text with words counted in it."""
    return Tokens.from_spans(
        texts=tokens.texts,
        pieces=tokens.pieces,
        ids=tokens.ids,
        segments=tokens.segments,
        offsets=tokens.offsets,
        special=tokens.special,
        unknown=tokens.unknown,
    )


def _in_the_middle(tokenizer: Any, text: str) -> Following:
    """Return the tokens of a text as they are in the middle of another."""
    candidates = []
    for before in _BEFORE:
        ids = [int(i) for i in tokenizer(before, add_special_tokens=False, verbose=False)["input_ids"]]
        rest = _rest(tokenizer, before, ids, text)
        if rest is None or rest.cautions or _adds_blank(rest.tokens, text):
            continue
        if decoded(tokenizer, [*ids, *rest.tokens.ids.tolist()]) == decoded(tokenizer, ids) + text:
            return rest
        candidates.append(rest)
    return candidates[0] if candidates else Following(tokenize(tokenizer, text, special_tokens=False)[0])


def middle_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text as it is split in the middle of another, without a blank added before it."""
    return _in_the_middle(tokenizer, text).tokens.ids.tolist()


def _adds_blank(tokens: Tokens, text: str) -> bool:
    return piece_text(tokens.pieces[0])[:1].isspace() and not text[0].isspace()


def tokens_of_ids(tokenizer: Any, ids: Sequence[int], before: Tokens | None = None) -> Tokens:
    """Return the tokens of ids, with their positions in the decoded text.

    An unknown token has no text.

    Args:
        tokenizer: A transformers tokenizer.
        ids: The ids: generated, or given as a prompt.
        before: The tokens before them, as context for the decoder.

    Returns:
        Tokens of one text; special ones (as an end token) belong to no text.
    """
    values = np.asarray(ids, dtype=int)
    special = np.isin(values, tokenizer.all_special_ids)
    unknown = special & (values == tokenizer.unk_token_id) & ~np.isin(values, _named_special_ids(tokenizer))
    text_ids = values[~special].tolist()
    context = [] if before is None else [int(token) for token in before.ids[_context_start(before) :]]
    text, spans = spans_in_decoded(tokenizer, text_ids, context) if text_ids else ("", [])
    offsets = np.zeros((len(ids), 2), dtype=int)
    if spans:
        offsets[~special] = spans
    reached = np.maximum.accumulate(offsets[:, 1]) if len(ids) else np.zeros(0, dtype=int)
    offsets[unknown] = reached[unknown, None]
    special &= ~unknown
    pieces, segments = pieces_of(tokenizer, values.tolist()), np.where(special, -1, 0)
    return Tokens.from_spans(
        texts=(text,),
        pieces=pieces,
        ids=values,
        segments=segments,
        offsets=without_added_blanks((text,), pieces, segments, offsets),
        special=special,
        unknown=unknown,
    )


def _named_special_ids(tokenizer: Any) -> list[int]:
    """Return the ids of special tokens other than the unknown token; one id may be both."""
    names = ("bos", "eos", "sep", "cls", "pad", "mask")
    return [i for i in (getattr(tokenizer, f"{name}_token_id", None) for name in names) if i is not None]


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
        unknown=np.concatenate([prompt.unknown, continuation.unknown]),
    )
