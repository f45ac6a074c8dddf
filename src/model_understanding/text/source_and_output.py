"""The source and the output of an encoder–decoder: each as its tokenizer reads it, and both as one sequence.

Tokenizers of translation models read a text in one of two ways, as a source or as a target: with the token of
its language, and some with another vocabulary. A copy of the caller's tokenizer is kept in each of them.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.errors import InputError
from model_understanding.text.cautions import listed
from model_understanding.text.continuation import continuation_of, joined, tokens_of_ids
from model_understanding.text.detokenization import pieces_of
from model_understanding.text.tokenization import added_ids, tokenize
from model_understanding.tokens import Tokens

_AS_TARGET, _IN_TARGET_MODE = "_switch_to_target_mode", "_in_target_context_manager"
_ENTRIES_COMPARED = 200  # of a vocabulary


def names_languages(tokenizer: Any) -> bool:
    """Return whether a tokenizer marks the language of a text by a token."""
    return (
        hasattr(tokenizer, "src_lang") and hasattr(tokenizer, "tgt_lang") and hasattr(tokenizer, _AS_TARGET)
    )


def source_tokenizer(tokenizer: Any, language: str | None = None) -> Any:
    """Return the tokenizer of sources: the caller's, or a copy of it for a language.

    Args:
        tokenizer: A transformers tokenizer.
        language: The source's language, where the tokenizer names languages; its own setting if left out.

    Raises:
        InputError: The tokenizer names no languages, or not this one.
    """
    sources = _own_vocabulary(tokenizer, "get_src_vocab")
    if language is None:
        return sources
    _require_languages(tokenizer, "source_language")
    sources = copy.deepcopy(tokenizer) if sources is tokenizer else sources
    _set_language(sources, "src_lang", language)
    return sources


def output_tokenizer(tokenizer: Any, language: str | None = None) -> Any:
    """Return the tokenizer of outputs, which reads every text as a target; the caller's if that is the same.

    Args:
        tokenizer: A transformers tokenizer.
        language: The output's language, where the tokenizer names languages; its own setting if left out.

    Raises:
        InputError: The tokenizer names no languages, or not this one.
    """
    if language is not None:
        _require_languages(tokenizer, "target_language")
    if not hasattr(tokenizer, _AS_TARGET):
        return _own_vocabulary(tokenizer, "get_tgt_vocab")
    outputs = copy.deepcopy(tokenizer)
    if language is not None:
        _set_language(outputs, "tgt_lang", language)
    elif not names_languages(tokenizer) or outputs.tgt_lang is not None:
        _read_targets(outputs)
    return outputs


def output_tokens(tokenizer: Any, text: str, prefix: Sequence[int]) -> Tokens:
    """Return the tokens of a given output: those that a model is trained to write.

    Special tokens that the tokenizer adds are part of it, but for those that the decoder starts with, and a
    language's token after the end.

    Args:
        tokenizer: The tokenizer of outputs.
        text: The output.
        prefix: What the decoder starts with.

    Raises:
        InputError: The text is empty, no string, or has no tokens.
    """
    if not isinstance(text, str):
        raise InputError(
            f"A continuation must be a string or token ids. Got {type(text).__name__}.",
            hint="Pass for example 'Der Film ist gut.' or the ids that the model generated.",
        )
    tokens, _ = tokenize(tokenizer, text)
    before, after = added_ids(tokenizer)
    first = _length_of_start(tokens.ids.tolist(), prefix)
    if names_languages(tokenizer):
        first = max(first, len(before))
    ends = [index for index, token in enumerate(after) if token == tokenizer.eos_token_id]
    dropped = len(after) - 1 - ends[0] if ends and names_languages(tokenizer) else 0
    return tokens.select(range(first, len(tokens) - dropped))


def output_tokens_of_ids(tokenizer: Any, ids: Sequence[int], prefix: Sequence[int] = ()) -> Tokens:
    """Return the tokens of an output given by its ids, without those that the decoder starts with.

    Args:
        tokenizer: The tokenizer of outputs.
        ids: The ids, with or without the start that ``generate`` returns before them.
        prefix: What the decoder starts with.

    Raises:
        InputError: There are no further ids.
    """
    rest = list(ids)[_length_of_start(ids, prefix) :]
    if not rest:
        raise InputError(
            "The continuation has only the tokens that the decoder starts with.",
            hint="Pass the ids that follow them, or leave the continuation out to generate it.",
        )
    return tokens_of_ids(tokenizer, rest)


def joint_tokens(tokenizer: Any, source: Tokens, prefix: Sequence[int], output: Tokens | None) -> Tokens:
    """Return a source and what the decoder reads as tokens of two texts.

    What the decoder starts with is special, and a part of the output's side: there the second text begins.

    Args:
        tokenizer: The tokenizer of outputs.
        source: Tokens of the source.
        prefix: Ids that the decoder starts with.
        output: Tokens of the output; ``None`` where there is none yet.
    """
    count = len(prefix)
    start = Tokens(
        texts=("",) if output is None else output.texts[:1],
        pieces=tuple(pieces_of(tokenizer, prefix)),
        ids=np.array(prefix),
        segments=np.zeros(count, dtype=int),
        offsets=np.zeros((count, 2), dtype=int),
        words=np.full(count, -1),
        special=np.ones(count, dtype=bool),
    )
    return joined(source, start if output is None else _appended(start, output))


def split_of(tokens: Tokens) -> tuple[int, int] | None:
    """Return where the decoder's side begins in the tokens of ``joint_tokens``, and where the output does.

    Args:
        tokens: Any tokens.

    Returns:
        How many tokens are the source, and how many are the source and what the decoder starts with; ``None``
        for tokens of another kind.
    """
    starts, ends = tokens.offsets.T
    is_start = (tokens.segments == 1) & tokens.special & (starts == ends)
    second = np.flatnonzero(tokens.segments == 1)
    if not len(second) or not is_start[second[0]]:
        return None
    source = int(second[0])
    following = np.flatnonzero(~is_start[source:])
    return source, source + int(following[0]) if len(following) else len(tokens)


def following_in_output(tokenizer: Any, tokens: Tokens, start: int, text: str) -> list[int]:
    """Return the ids of a text that follows a part of an output, or begins it.

    Args:
        tokenizer: The tokenizer of outputs.
        tokens: Source and output up to the text.
        start: Where the output begins.
        text: The text.
    """
    part = tokens.select(range(start, len(tokens)))
    if (part.segments > 0).any():
        written = tokens.texts[1][: part.offsets[part.segments > 0, 1].max()]
        own = replace(part, texts=(written,), segments=np.where(part.segments > 0, 0, -1))
        return continuation_of(tokenizer, own, text).tokens.ids.tolist()
    return tokenize(tokenizer, text, special_tokens=False)[0].ids.tolist()


def _appended(first: Tokens, second: Tokens) -> Tokens:
    names = ("ids", "segments", "offsets", "words", "special", "unknown")
    return Tokens(
        texts=second.texts,
        pieces=first.pieces + second.pieces,
        **{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names},
    )


def _length_of_start(ids: Sequence[int], prefix: Sequence[int]) -> int:
    """Return how many leading ids are the decoder's start, or the part of it that a target has (no start)."""
    for start in (list(prefix), list(prefix[1:])):
        if start and list(ids[: len(start)]) == start:
            return len(start)
    return 0


def _own_vocabulary(tokenizer: Any, name: str) -> Any:
    """Return a tokenizer that names ids, and finds them, by the vocabulary of one side.

    Marian's and FSMT's tokenizers with two vocabularies name every id by the target's.
    """
    try:
        vocabulary = getattr(tokenizer, name)()
    except AttributeError:
        return tokenizer
    some = list(vocabulary.items())[:: max(len(vocabulary) // _ENTRIES_COMPARED, 1)]
    tokens, ids = (list(each) for each in zip(*some, strict=True))
    is_same = (
        tokenizer.convert_ids_to_tokens(ids) == tokens and tokenizer.convert_tokens_to_ids(tokens) == ids
    )
    if is_same or not (hasattr(tokenizer, "encoder") and hasattr(tokenizer, "decoder")):
        return tokenizer
    own = copy.deepcopy(tokenizer)
    own.encoder, own.decoder = dict(vocabulary), {index: token for token, index in vocabulary.items()}
    return own


def _require_languages(tokenizer: Any, argument: str) -> None:
    if not names_languages(tokenizer):
        raise InputError(
            f"{type(tokenizer).__name__} has no tokens for languages, so {argument} means nothing to it.",
            hint="Leave it out, and write into the source what this model expects there, if anything: for "
            "example 'translate English to German: …' for T5.",
        )


def _read_targets(tokenizer: Any) -> None:
    """Let a copied tokenizer read every text as a target, not only those it is told to."""
    getattr(tokenizer, _AS_TARGET)()
    setattr(tokenizer, _IN_TARGET_MODE, True)


def _set_language(tokenizer: Any, attribute: str, language: str) -> None:
    """Set a language of a copied tokenizer, after checking that it has a token."""
    try:
        setattr(tokenizer, attribute, language)
        if attribute == "tgt_lang":
            _read_targets(tokenizer)
        before, after = added_ids(tokenizer)
        is_known = tokenizer.unk_token_id not in (*before, *after)
    except (KeyError, ValueError, TypeError):
        is_known = False
    if not is_known:
        raise InputError(
            f"Unknown language {language!r}. {type(tokenizer).__name__} knows "
            f"{listed(languages_of(tokenizer))}.",
            hint="Pass one of its codes.",
        )


def languages_of(tokenizer: Any) -> list[str]:
    """Return the codes of the languages that a tokenizer has tokens for."""
    codes = getattr(tokenizer, "lang_code_to_id", None) or getattr(tokenizer, "lang_code_to_token", None)
    if codes:
        return list(codes)
    names = ("bos", "eos", "unk", "pad", "mask", "sep", "cls")
    others = {getattr(tokenizer, f"{name}_token", None) for name in names}
    return [token for token in tokenizer.all_special_tokens if token not in others]
