"""One attention matrix ready to be drawn, and its largest weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError
from model_understanding.results import AttentionMap, Attribution
from model_understanding.results.attention_sinks import (
    SINK_MODES,
    SinkMode,
    normalize_rows,
    sink_shares,
    without_sinks,
)
from model_understanding.show.shared.words import named_shares, shown
from model_understanding.tokens import Level, Tokens

MOST_CELLS = 2**25  # of a matrix that can be looked at; a longer text is shown pooled
_DONE: dict[SinkMode, str] = {
    "raw": "",
    "muted": ", off the color scale",
    "renormalized": ", left out and each row divided by what remains",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionView:
    """A matrix and what is to be said of it.

    Args:
        rows: The tokens that name the rows: the queries, or the tokens that they produced.
        keys: The tokens that name the columns.
        produced: Whether the rows are named by the tokens that they produced.
        weights: What is drawn, shape ``(Q, K)``.
        mask: Which cells have a value, shape ``(Q, K)``.
        sinks: Columns that take most of the weight, whoever the query.
        shares: What each of them takes.
        mode: What is done with them: on the scale (``raw``), off it (``muted``), or removed and each row
            divided by what remains (``renormalized``).
        is_attention: Whether the weights are plain attention, in which such columns are sinks.
        is_partial: Whether only the largest weights of each row are known.
        left_out: What is not in the map.
    """

    rows: Tokens
    keys: Tokens
    produced: bool
    weights: Float[np.ndarray, "queries keys"]
    mask: Bool[np.ndarray, "queries keys"]
    sinks: tuple[int, ...]
    shares: tuple[float, ...]
    mode: SinkMode
    is_attention: bool
    is_partial: bool
    left_out: tuple[str, ...]

    @property
    def off_scale(self) -> tuple[int, ...]:
        """Columns without a color from the scale."""
        return () if self.mode == "raw" else self.sinks

    @property
    def scale_name(self) -> str:
        """What a color stands for."""
        name = "attention weight" if self.is_attention else "weight"
        return f"{name} without sinks, rows rescaled" if self.mode == "renormalized" and self.sinks else name

    @property
    def masked_words(self) -> str:
        """What a cell without a value is."""
        return "not kept, or masked" if self.is_partial else "masked: may not be looked at"

    @property
    def sink_name(self) -> str:
        """What a column that takes most is called: outside attention it may be the answer, no sink."""
        return "sink" if self.is_attention else "takes most"

    def sink_list(self, names: Sequence[str]) -> str:
        """Return what such columns take, as ``71.0 % on <bos>``, by their labels."""
        return named_shares(names, self.sinks, self.shares, "at least " if self.is_partial else "")

    def sink_words(self, names: Sequence[str]) -> str:
        """Return where most of the weight goes and what a picture does about it; nothing without sinks.

        Args:
            names: The columns' labels.

        Returns:
            For example ``sink, off the color scale: 71.0 % on <bos>``.
        """
        return f"{self.sink_name}{_DONE[self.mode]}: {self.sink_list(names)}" if self.sinks else ""


def attention_view(
    attention: AttentionMap,
    layer: int | None = None,
    head: int | None = None,
    level: Level = "character",
    sinks: SinkMode | None = None,
) -> AttentionView:
    """Choose a matrix of a map, fold it, and do with its sinks what is asked.

    Args:
        attention: The map.
        layer: The layer's index, ``None`` for the mean over those held.
        head: The head's index, likewise.
        level: What a row and a column stand for; keys are summed, queries averaged.
        sinks: ``raw``, ``muted`` or ``renormalized``; where left out, the sinks of plain attention are muted
            and other maps drawn as they are.

    Returns:
        The view; a sink stays one after folding.

    Raises:
        InputError: The map does not hold that layer or head, has no tokens, is too large to look at, or
            there is no such mode.
    """
    mode = sink_mode(attention, sinks)
    if not len(attention.queries) or not len(attention.keys):
        raise InputError("The attention map has no tokens.", hint="Explain a text that is not empty.")
    if len(attention.queries) * len(attention.keys) > MOST_CELLS:
        raise InputError(
            f"{len(attention.queries):,} × {len(attention.keys):,} cells are too many to draw.",
            hint="Compute an overview with keep='pooled:64', or choose some queries.",
        )
    plane = attention.plane(layer, head)
    found = plane.sinks if plane.is_attention else plane.dominant_keys()
    folded = replace(plane, sinks=found).folded(level)
    matrix, columns = folded.weights[0, 0].astype(np.float64), folded.sinks or ()
    of_each_row = matrix if plane.is_attention else normalize_rows(np.abs(matrix))
    shares = sink_shares(of_each_row, folded.mask, columns)
    return AttentionView(
        rows=folded.queries if folded.steps is None else folded.steps,
        keys=folded.keys,
        produced=folded.steps is not None,
        weights=without_sinks(matrix, columns) if mode == "renormalized" else matrix,
        mask=folded.mask,
        sinks=columns,
        shares=shares,
        mode=mode,
        is_attention=plane.is_attention,
        is_partial=attention.places is not None,
        left_out=tuple(shown(words, 300) for words in attention.left_out),
    )


def sink_mode(attention: AttentionMap, sinks: SinkMode | None) -> SinkMode:
    """Return what is done with sinks: what was asked, else what fits the map.

    Raises:
        InputError: There is no such mode.
    """
    if sinks is not None and sinks not in SINK_MODES:
        raise InputError(
            f"sinks={sinks!r} is unknown. Allowed: {', '.join(SINK_MODES)}.",
            hint="Leave it out: the sinks of attention are then off the color scale.",
        )
    return sinks or ("muted" if attention.is_attention else "raw")


@dataclass(frozen=True, slots=True)
class Source:
    """A token and its share of something."""

    label: str
    share: float


def largest_units(attribution: Attribution, target: int = 0, count: int | None = None) -> list[int]:
    """Return the positions with the largest absolute scores of one target, largest first.

    Args:
        attribution: The attribution.
        target: Which target.
        count: How many at most.

    Returns:
        Positions that have a score.
    """
    scores = np.abs(attribution.scores[target])
    ranked = [int(unit) for unit in np.argsort(-scores, kind="stable") if attribution.valid[target, unit]]
    return ranked[:count]


def top_sources(attribution: Attribution, target: int, count: int = 3) -> list[Source]:
    """Return the tokens with the largest shares of one target's score, special tokens left aside.

    Args:
        attribution: The attribution; shares are of its normalized scores.
        target: Which target.
        count: How many at most.

    Returns:
        Labels with signed shares.
    """
    shares = attribution.row(target).normalized().scores[0]
    labels = attribution.tokens.labels()
    ranked = [unit for unit in largest_units(attribution, target) if not attribution.tokens.special[unit]]
    return [Source(labels[unit], float(shares[unit])) for unit in ranked[:count] if shares[unit]]


def top_links(view: AttentionView, row: int, count: int = 3) -> list[Source]:
    """Return the keys that a query looks at most, those off the color scale left aside.

    Args:
        view: The matrix.
        row: Which query.
        count: How many at most.

    Returns:
        Labels with weights.
    """
    weights, labels = view.weights[row], view.keys.labels()
    ranked = [
        int(key)
        for key in np.argsort(-weights, kind="stable")
        if view.mask[row, key] and key not in view.off_scale and weights[key] > 0
    ]
    return [Source(labels[key], float(weights[key])) for key in ranked[:count]]
