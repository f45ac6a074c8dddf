"""Ledgers as the compute half would return them, and those at the ends of what there may be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sample_results import HOSTILE, MANY_SCRIPTS, hostile_tokens, provenance, text_of, tokens_of

from model_understanding.results import Ledger, Target
from model_understanding.tokens import Tokens

POSITIVE = Target(task="sequence-classification", indices=(1,), labels=("positive",))
NEXT = Target(task="causal-lm", positions=(5,), indices=(42,), labels=(" Paris",), quantity="log_prob")


def ledger(
    text: str | Tokens = "The film was truly wonderful.",
    reference: str | Tokens = "The film was truly terrible.",
    *,
    layers: int = 6,
    heads: int | None = 4,
    moves: int = 4,
    special: bool = True,
    seed: int = 0,
    **fields: Any,
) -> Ledger:
    """Return a ledger whose difference moves from the tokens that differ to the first token of a text.

    Args:
        text: The text.
        reference: The other text, with as many tokens.
        layers: Number of blocks.
        heads: Number of heads; ``None`` for a ledger without.
        moves: The first block that the difference enters at the other token; of a language model the last.
        special: Whether the texts begin and end with special tokens.
        seed: Of the small contributions everywhere else, which cancel in each cut.
        **fields: Other fields.
    """
    sides = [
        each if isinstance(each, Tokens) else tokens_of(each, special=special) for each in (text, reference)
    ]
    own, other = (replace(side, ids=ids_of(side)) for side in sides)
    count = len(own)
    value, reference_value = fields.pop("value", 2.1), fields.pop("reference_value", -1.9)
    random = np.random.default_rng(seed)
    changed = np.array([a != b for a, b in zip(own.pieces, other.pieces, strict=True)])
    changed = changed if changed.any() else np.arange(count) == count // 2
    end = 0 if special else count - 1
    difference = value - reference_value
    residual = random.normal(0, 0.02 * abs(difference), (layers + 1, count))
    residual -= residual.mean(1, keepdims=True)
    residual[:moves, changed] += difference / changed.sum()
    residual[moves:, end] += difference
    attention, mlp = random.normal(0, 0.03 * abs(difference), (2, layers, count))
    attention[min(moves, layers) - 1, end] = 0.9 * difference
    mlp[0, changed] = 0.4 * difference
    given: dict[str, Any] = {
        "tokens": own,
        "reference_tokens": other,
        "target": POSITIVE if special else NEXT,
        "value": value,
        "reference_value": reference_value,
        "residual": residual,
        "attention": attention,
        "mlp": mlp,
        "heads": None if heads is None else random.normal(0, 0.2 * abs(difference), (layers, heads)),
        "gaps": np.full(layers + 1, 2e-7),
        "provenance": replace(provenance(), cautions=()),
        **fields,
    }
    return Ledger(**given)


def ids_of(tokens: Tokens) -> list[int]:
    """Return an ID for each piece, the same for the same piece."""
    return [sum(map(ord, piece)) % 30_000 for piece in tokens.pieces]


def language_model(count: int = 5, layers: int = 30, **options: Any) -> Ledger:
    """Return the ledger of two prompts that differ in one word; what stands before it carries nothing."""
    words = text_of(count).split()
    place = max(count - 3, 0)
    words[place] = "France"
    text = " ".join(words)
    found = ledger(
        text,
        text.replace("France", "Italy"),
        layers=layers,
        heads=9,
        moves=4 * layers // 5,
        special=False,
        **options,
    )
    parts = {name: np.array(getattr(found, name)) for name in ("residual", "attention", "mlp")}
    for values in parts.values():
        values[:, :place] = 0
    parts["residual"][:, place] += found.difference - parts["residual"].sum(1)
    return replace(found, **parts)


def unchanged() -> Ledger:
    empty = np.zeros((3, 4))
    tokens = tokens_of("كان الفيلم")
    return Ledger(
        tokens=tokens,
        reference_tokens=tokens_of("كان العرض"),
        target=POSITIVE,
        value=1.0,
        reference_value=1.0,
        residual=empty,
        attention=empty[:2],
        mlp=empty[:2],
        gaps=np.zeros(3),
    )


def hostile() -> Ledger:
    tokens = hostile_tokens()
    texts = tuple(f"{text}!" for text in tokens.texts)
    other = replace(tokens, texts=texts, pieces=tuple(f"{piece}!" for piece in tokens.pieces))
    return ledger(
        tokens,
        other,
        target=replace(POSITIVE, labels=(HOSTILE[0],)),
        provenance=replace(provenance(), model=HOSTILE[1], cautions=HOSTILE),
    )


LEDGERS: dict[str, Callable[[], Ledger]] = {
    "classifier": ledger,
    "two layers": lambda: ledger("a good one so", "a bad one so", layers=2, heads=2, moves=1),
    "language model": language_model,
    "long": lambda: language_model(212),
    "deep and wide": lambda: ledger(text_of(60), text_of(60).replace("hope", "fear"), layers=80, moves=40),
    "right to left": lambda: ledger("הסרט היה טוב מאוד", "הסרט היה רע מאוד"),
    "many scripts": lambda: ledger(
        *(
            tokens_of(text, splits_emoji=True)
            for text in (MANY_SCRIPTS, MANY_SCRIPTS.replace("你好世界", "你好朋友"))
        )
    ),
    "baseline": lambda: ledger("A fine film", "A fine film", baseline="mask"),
    "without heads": lambda: ledger(heads=None, gaps=np.full(7, 5e-4)),
    "canceling": lambda: ledger(value=0.01, reference_value=0.0, mlp=np.eye(6, 8), residual=canceling()),
    "lowered": lambda: ledger(value=-1.9, reference_value=2.1),
    "no difference": unchanged,
    "hostile": hostile,
}


def canceling() -> np.ndarray:
    return np.tile([3.0, -3.0, 2.0, -2.0, 0.0, 0.01, 0.0, 0.0], (7, 1))
