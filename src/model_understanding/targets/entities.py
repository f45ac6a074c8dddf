"""Entities in a text, as transformers' ``TokenClassificationPipeline`` makes them of a model's labels."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from model_understanding.results import Entity, Tagging
from model_understanding.tokens import Tokens

Aggregation = Literal["none", "simple", "first", "average", "max"]
AGGREGATIONS: tuple[str, ...] = get_args(Aggregation)
OUTSIDE = ("O",)
"""Labels of tokens that are part of no entity."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A token or a word, which has one label.

    Args:
        tokens: Positions of its tokens.
        deciding: Positions of those that decide its label.
        label: The label's index.
        probability: The label's probability.
    """

    tokens: tuple[int, ...]
    deciding: tuple[int, ...]
    label: int
    probability: float


def tagging_of(
    tokenizer: Any,
    tokens: Tokens,
    labels: Sequence[str],
    logits: Float[np.ndarray, "tokens labels"],
    aggregation: Aggregation = "simple",
    outside: Collection[str] = OUTSIDE,
) -> Tagging:
    """Return the labels of a text's tokens, and the entities that they form.

    Args:
        tokenizer: The tokenizer, which says what continues a word.
        tokens: The text.
        labels: Names of the labels.
        logits: The model's logits.
        aggregation: How tokens are joined to entities.
        outside: Labels that mark no entity.

    Returns:
        The entities; for a text without any, the likeliest candidate.
    """
    units = units_of(tokenizer, tokens, logits, aggregation)
    groups = [[unit] for unit in units] if aggregation == "none" else list(_joined(units, tokens, labels))
    entities = (entity_of(tokens, labels, group, is_joined=aggregation != "none") for group in groups)
    found = tuple(entity for entity in entities if entity.label not in outside)
    return Tagging(
        tokens=tokens,
        labels=tuple(labels),
        logits=logits,
        entities=found,
        aggregation=aggregation,
        candidate=None if found else _candidate(tokens, labels, logits, units, aggregation, outside),
    )


def units_of(
    tokenizer: Any, tokens: Tokens, logits: Float[np.ndarray, "tokens labels"], aggregation: str
) -> list[Unit]:
    """Return the tokens of a text, or its words where these have one label each.

    ``first`` takes the label of a word's first token, ``average`` that of its mean probabilities, ``max``
    that of its most certain token.

    Args:
        tokenizer: The tokenizer.
        tokens: The text.
        logits: The model's logits.
        aggregation: How tokens are joined to entities.
    """
    probabilities = _softmax(logits)
    positions = np.flatnonzero(tokens.segments >= 0).tolist()
    if aggregation in ("none", "simple"):
        words = [(position,) for position in positions]
    else:
        words = _words(tokenizer, tokens, positions)
    units: list[Unit] = []
    for word in words:
        deciding = word
        if aggregation == "first":
            deciding = word[:1]
        elif aggregation == "max":
            deciding = (max(word, key=lambda position: probabilities[position].max()),)
        scores = probabilities[list(deciding)].mean(axis=0)
        label = int(scores.argmax())
        units.append(Unit(word, deciding, label, float(scores[label])))
    return units


def entity_of(
    tokens: Tokens, labels: Sequence[str], units: Sequence[Unit], *, is_joined: bool = True
) -> Entity:
    """Return neighboring units as one entity; its label is that of the first.

    Args:
        tokens: The text.
        labels: Names of the labels.
        units: The tokens or words.
        is_joined: Whether the label is given without its ``B-`` or ``I-``.
    """
    positions = [position for unit in units for position in unit.tokens]
    start, end, text = text_of_span(tokens, positions)
    label = labels[units[0].label]
    return Entity(
        label=label.split("-", 1)[-1] if is_joined else label,
        first=positions[0],
        last=positions[-1],
        start=start,
        end=end,
        text=text,
        probability=float(np.mean(np.array([unit.probability for unit in units], dtype=np.float32))),
        tokens=tuple(position for unit in units for position in unit.deciding),
        indices=tuple(unit.label for unit in units for _ in unit.deciding),
    )


def text_of_span(tokens: Tokens, positions: Sequence[int]) -> tuple[int, int, str]:
    """Return where tokens start and end in their text, without blanks around them, and their text.

    Args:
        tokens: The text.
        positions: Neighboring tokens.
    """
    whole = tokens.select(positions).fold([range(len(positions))])
    start, end = (int(bound) for bound in whole.offsets[0])
    segment = int(whole.segments[0])
    inner = tokens.texts[segment][start:end] if segment >= 0 else ""
    if not inner.strip():
        return start, end, whole.labels()[0]
    start, end = start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
    return start, end, inner.strip()


def tag_of(label: str) -> tuple[str, str]:
    """Return the place in a span and the tag that a label stands for, as transformers reads it.

    >>> tag_of("B-PER"), tag_of("I-PER"), tag_of("NOUN")
    (('B', 'PER'), ('I', 'PER'), ('I', 'NOUN'))
    """
    return (label[0], label[2:]) if label.startswith(("B-", "I-")) else ("I", label)


def _joined(units: Sequence[Unit], tokens: Tokens, labels: Sequence[str]) -> Iterator[list[Unit]]:
    """Yield runs of neighboring units of one tag; a label that begins a span begins a new run."""
    run: list[Unit] = []
    for unit in units:
        place, tag = tag_of(labels[unit.label])
        is_next = bool(run) and tokens.segments[run[-1].tokens[-1]] == tokens.segments[unit.tokens[0]]
        if is_next and place != "B" and tag == tag_of(labels[run[-1].label])[1]:
            run.append(unit)
            continue
        if run:
            yield run
        run = [unit]
    if run:
        yield run


def _candidate(
    tokens: Tokens,
    labels: Sequence[str],
    logits: Float[np.ndarray, "tokens labels"],
    units: Iterable[Unit],
    aggregation: str,
    outside: Collection[str],
) -> Entity | None:
    """Return the likeliest label of an entity, at one token or word; ``None`` for a model that has none."""
    inside = [index for index, label in enumerate(labels) if label not in outside]
    if not inside:
        return None
    probabilities = _softmax(logits)
    best: Unit | None = None
    for unit in units:
        scores = probabilities[list(unit.deciding)].mean(axis=0)[inside]
        if best is None or scores.max() > best.probability:
            label = inside[int(scores.argmax())]
            best = Unit(unit.tokens, unit.deciding, label, float(scores.max()))
    return None if best is None else entity_of(tokens, labels, [best], is_joined=aggregation != "none")


def _words(tokenizer: Any, tokens: Tokens, positions: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the tokens of each word by the rules of transformers' pipeline.

    A WordPiece continues a word if its piece is longer than its text; in other vocabularies a token does if
    no space is at its start or just before it.
    """
    model = getattr(getattr(tokenizer, "_tokenizer", None), "model", None)
    has_prefix = bool(getattr(model, "continuing_subword_prefix", None))
    words: list[list[int]] = []
    before = {second: first for first, second in pairwise(positions)}
    for position in positions:
        start, end = (int(bound) for bound in tokens.offsets[position])
        text = tokens.texts[int(tokens.segments[position])]
        if tokens.unknown[position]:
            continues = False
        elif has_prefix:
            continues = len(tokens.pieces[position]) != end - start
        else:
            continues = start > 0 and " " not in text[start - 1 : start + 1]
        previous = before.get(position)
        is_same_text = previous is not None and tokens.segments[previous] == tokens.segments[position]
        if continues and is_same_text:
            words[-1].append(position)
        else:
            words.append([position])
    return [tuple(word) for word in words]


def _softmax(logits: Float[np.ndarray, "tokens labels"]) -> Float[np.ndarray, "tokens labels"]:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
