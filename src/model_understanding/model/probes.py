"""Short texts that a model is run on to find out how it works."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from model_understanding.model.model import Model, measured_once
from model_understanding.targets.names import MULTIPLE_CHOICE, QUESTION_ANSWERING
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import added_ids, ids_between
from model_understanding.tokens import Tokens

_ORDINARY_TOKENS = 6  # of each text, before the tokens that the tokenizer adds at the end
_TOKENS_OF_SECOND = 4
_OF_PAIRS = frozenset({QUESTION_ANSWERING, MULTIPLE_CHOICE})


def probe_texts(model: Model) -> tuple[Encoding, Encoding]:
    """Return two short texts of ordinary tokens that differ at every position.

    They begin as the tokenizer begins a text, and hold what it adds at the end, since some models read their
    answer there (BART). What it adds at the end is followed by one more ordinary token: a model that copies a
    text's last token elsewhere (MBart) would otherwise look like one that puts a constant there. Where a
    model reads two sequences, a shorter one of other ordinary tokens follows. Where it reads pairs, what the
    tokenizer adds between two texts stands in the middle, which Longformer looks for.
    """
    before, after = _added_ids(model)
    between = _ids_between(model) if model.task in _OF_PAIRS else []
    ordinary = _ordinary_ids(model)
    count = _ORDINARY_TOKENS + bool(after)
    texts = [ordinary[i * len(ordinary) // (2 * count)] for i in range(2 * count)]
    length, seconds = None, []
    if model.reads_two_sequences:
        length = len(before) + count + len(between) + len(after)
        # An output may have a vocabulary of its own.
        known = model.class_count(length) if model.is_language_model else len(ordinary)
        others = [index for index in ordinary if index < known and index not in texts]
        seconds = others[: 2 * _TOKENS_OF_SECOND]

    def probe(row: int) -> Encoding:
        own = texts[row::2]
        middle = _ORDINARY_TOKENS // 2
        pair = [*own[:middle], *between, *own[middle:_ORDINARY_TOKENS]]
        first = [*before, *pair, *after, *own[_ORDINARY_TOKENS:]]
        return encoded(model, [*first, *seconds[row::2]], length)

    return probe(0), probe(1)


def encoded(model: Model, ids: list[int], source_length: int | None = None) -> Encoding:
    """Return ids as a text of a model, the first so many of which may be the first of two sequences."""
    tokens = Tokens.from_pieces([str(index) for index in ids])
    return model.encode(tokens, {"input_ids": ids}, source_length=source_length)


@contextmanager
def unchanged_modules(model: nn.Module) -> Iterator[None]:
    """Undo what running a model does to its own modules.

    BigBird exchanges its sparse attention for full attention, for good, when it meets a short text.

    Args:
        model: The model.

    Yields:
        Nothing; attributes and submodules are restored afterwards.
    """
    kinds = ("_modules", "_buffers", "_parameters")
    saved: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for module in model.modules():
        attributes = vars(module)
        saved += [(values, dict(values)) for values in (attributes, *(attributes[kind] for kind in kinds))]
    try:
        yield
    finally:
        for current, former in saved:
            if current.keys() != former.keys() or any(current[name] is not former[name] for name in former):
                current.clear()
                current.update(former)


def _ordinary_ids(model: Model) -> list[int]:
    """Return the ids that the model can embed and that are no special tokens."""
    rows = model.common_ids
    config_pad = getattr(model.config.get_text_config(), "pad_token_id", None)
    special = {*model.tokenizer.all_special_ids, config_pad}
    return [index for index in range(min(rows, len(model.tokenizer))) if index not in special]


@measured_once
def _added_ids(model: Model) -> tuple[list[int], list[int]]:
    """Return the ids that a model's tokenizer adds before and after a text."""
    try:
        return added_ids(model.tokenizer)
    except Exception:  # a tokenizer may be anybody's
        return [], []


@measured_once
def _ids_between(model: Model) -> list[int]:
    """Return the ids that a model's tokenizer adds between two texts."""
    try:
        return ids_between(model.tokenizer)
    except Exception:  # a tokenizer may be anybody's
        return []
