"""One attention matrix ready to be drawn, and its largest weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.checks import one_of
from model_understanding.errors import InputError
from model_understanding.results import AttentionMap
from model_understanding.results.attention_sinks import (
    SINK_MODES,
    SinkMode,
    without_sinks,
)
from model_understanding.show.shared.words import (
    format_number,
    format_percent,
    printable,
    share_list,
    side_names,
)
from model_understanding.tokens import Level, Tokens

MAX_CELLS = 2**25  # of a matrix that can be drawn; longer texts are shown pooled
_TREATMENTS: dict[SinkMode, str] = {
    "raw": "",
    "muted": "excluded from the color scale",
    "renormalized": "excluded, rows rescaled to 100 %",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionView:
    """An attention matrix with the texts that describe it.

    Args:
        rows: Tokens that label the rows: the queries, or the tokens generated from them.
        keys: Tokens that label the columns.
        has_steps: Whether the rows are labeled by generated tokens.
        sides: What queries and keys are called.
        weights: The weights to draw, shape ``(Q, K)``.
        mask: Which cells have a value, shape ``(Q, K)``.
        sinks: Dominant columns: the attention sinks of raw attention.
        shares: The share of each dominant column: that of its tokens, whatever they are joined to.
        mode: How they are shown: on the color scale (``raw``), excluded from it (``muted``), or removed, with
            each row rescaled (``renormalized``).
        is_attention: Whether the weights are raw attention, in which dominant columns are attention sinks.
        is_partial: Whether only the largest weights of each row are known.
        omissions: What the map omits, in sentences.
        key_sizes: Number of tokens that each column stands for.
    """

    rows: Tokens
    keys: Tokens
    has_steps: bool
    sides: tuple[str, str]
    weights: Float[np.ndarray, "queries keys"]
    mask: Bool[np.ndarray, "queries keys"]
    sinks: tuple[int, ...]
    shares: tuple[float, ...]
    mode: SinkMode
    is_attention: bool
    is_partial: bool
    omissions: tuple[str, ...]
    key_sizes: tuple[int, ...]

    @property
    def excluded(self) -> tuple[int, ...]:
        """Columns that are excluded from the color scale."""
        return () if self.mode == "raw" else self.sinks

    @property
    def are_shares(self) -> bool:
        """Whether the weights are shares of a row: raw attention, or rescaled rows."""
        return self.is_attention or self.mode == "renormalized"

    @property
    def row_name(self) -> str:
        """What a row is: ``from (query)``, or a generated token."""
        return "generated token" if self.has_steps else f"from ({self.sides[0]})"

    @property
    def column_name(self) -> str:
        """What a column is: ``to (key)``."""
        return f"to ({self.sides[1]})"

    @property
    def top_title(self) -> str:
        """The title of the largest weights of each row."""
        return f"{'attends most to' if self.is_attention else 'largest contributions'} ({self.sides[1]})"

    @property
    def scale_label(self) -> str:
        """Label of the color scale."""
        name = "attention weight" if self.is_attention else "weight"
        if self.mode == "renormalized" and self.sinks:
            return f"{name}, {self.sink_name}s excluded, rows rescaled"
        return name

    @property
    def masked_label(self) -> str:
        """Legend label of cells without a value."""
        return "masked or not stored" if self.is_partial else "masked: cannot attend"

    @property
    def sink_name(self) -> str:
        """Name of a dominant column: outside raw attention it may be what matters, not a sink."""
        return "attention sink" if self.is_attention else "dominant key"

    def format_weight(self, weight: float) -> str:
        """Return a weight: a share in percent, others as a number."""
        return format_percent(weight) if self.are_shares else format_number(weight)

    @property
    def treatment(self) -> str:
        """How a figure draws the dominant columns; empty if like other columns."""
        return _TREATMENTS[self.mode]

    def sink_text(self, labels: Sequence[str], treatment: str | None = None) -> str:
        """Return the dominant columns with their shares; empty if there are none.

        Args:
            labels: Labels of the columns.
            treatment: How they are shown; by default as in a figure.

        Returns:
            For example ``attention sink <bos>: 71.0 %, excluded from the color scale``.
        """
        if not self.sinks:
            return ""
        listed = share_list(labels, self.sinks, self.shares, "at least " if self.is_partial else "")
        treatment = self.treatment if treatment is None else treatment
        plural = "" if len(self.sinks) == 1 else "s"
        return f"{self.sink_name}{plural} {listed}{f', {treatment}' if treatment else ''}"


def attention_view(
    attention: AttentionMap,
    layer: int | None = None,
    head: int | None = None,
    level: Level = "character",
    sinks: SinkMode | None = None,
) -> AttentionView:
    """Select a matrix of a map, join its tokens and apply the mode for sinks.

    Args:
        attention: The map.
        layer: Index of the layer; ``None`` for the mean over the map's layers.
        head: Index of the head; ``None`` for the mean over the map's heads.
        level: What a row and a column stand for; keys are summed, queries averaged.
        sinks: ``raw``, ``muted`` or ``renormalized``; by default the sinks of raw attention are muted and
            other maps are drawn as they are.

    Returns:
        The view; a sink stays a sink after joining.

    Raises:
        InputError: The map does not have this layer or head, has no tokens or is too large to draw, or the
            mode is unknown.
    """
    mode = sink_mode(attention, sinks)
    if not len(attention.queries) or not len(attention.keys):
        raise InputError("The attention map has no tokens.", hint="Explain a text that is not empty.")
    if len(attention.queries) * len(attention.keys) > MAX_CELLS:
        raise InputError(
            f"The matrix of {len(attention.queries):,} × {len(attention.keys):,} cells is too large to draw.",
            hint="Compute an overview with keep='pooled:64', or select rows with queries=.",
        )
    plane = attention.plane(layer, head)
    dominant = plane.sinks_of() if plane.is_attention else plane.dominant_keys()
    folded = replace(plane, sinks=dominant).folded(level)
    matrix, columns = folded.weights[0, 0].astype(np.float64), folded.sinks or ()
    share_of = dict(zip(dominant, plane.key_shares(dominant), strict=True))
    groups = plane.keys.groups(level)
    return AttentionView(
        rows=folded.rows,
        keys=folded.keys,
        has_steps=folded.steps is not None,
        sides=side_names(attention),
        weights=without_sinks(matrix, columns) if mode == "renormalized" else matrix,
        mask=folded.mask,
        sinks=columns,
        shares=tuple(sum(share_of.get(key, 0.0) for key in groups[column]) for column in columns),
        mode=mode,
        is_attention=plane.is_attention,
        is_partial=attention.is_partial,
        omissions=tuple(printable(sentence, 300) for sentence in attention.left_out),
        key_sizes=tuple(map(len, groups)),
    )


def sink_mode(attention: AttentionMap, sinks: SinkMode | None) -> SinkMode:
    """Return the mode for sinks: the given one, else the default of the map.

    Raises:
        InputError: The mode is unknown.
    """
    if sinks is not None:
        one_of(sinks, "sinks", SINK_MODES)
        return sinks
    return "muted" if attention.is_attention else "raw"


@dataclass(frozen=True, slots=True)
class TokenValue:
    """The label of a token with its share or weight."""

    label: str
    value: float


def top_keys(view: AttentionView, row: int, count: int = 3) -> list[TokenValue]:
    """Return the keys with the largest absolute weights of a row, except those not on the color scale.

    Args:
        view: The matrix.
        row: Index of the row.
        count: Maximum number of keys.

    Returns:
        Labels with weights.
    """
    weights, labels = view.weights[row], view.keys.labels()
    ranked = [
        int(key)
        for key in np.argsort(-np.abs(weights), kind="stable")
        if view.mask[row, key] and key not in view.excluded and weights[key]
    ]
    return [TokenValue(labels[key], float(weights[key])) for key in ranked[:count]]
