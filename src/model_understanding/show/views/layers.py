"""The logit lens: what each layer would predict."""

from dataclasses import dataclass

from model_understanding.results import LogitLens
from model_understanding.show.shared.words import (
    format_entry,
    format_number,
    format_percent,
    prediction_label,
    printable,
)

_TOP = 3  # predictions of a layer that are listed
_AT_TOKENS = ("token-classification", "masked-lm")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRow:
    """What a layer would predict at one position.

    Args:
        name: The layer, for example ``after block 3``.
        predictions: The most probable entries, each with its probability.
        rank: Rank of the model's own prediction in this layer, from 1.
        rank_text: The rank as text.
        entropy: Entropy in nats, as text.
        divergence: Kullback–Leibler divergence of the last layer from this one in nats, as text.
    """

    name: str
    predictions: tuple[str, ...]
    rank: int
    rank_text: str
    entropy: str
    divergence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """The model's prediction at a position, and the first layer that keeps it to the end."""

    token: str
    prediction: str
    probability: str
    layer: str


def layer_rows(lens: LogitLens, index: int = -1) -> tuple[LayerRow, ...]:
    """Return what each layer would predict at a position, the last layer first.

    Args:
        lens: The logit lens.
        index: Index into its positions; by default the last one.
    """
    return tuple(
        LayerRow(
            name=lens.layer_names[layer],
            predictions=tuple(
                format_entry(label, format_percent(float(probability)))
                for label, probability in zip(
                    lens.top_labels(layer, index)[:_TOP], lens.top_probabilities[layer, index], strict=False
                )
            ),
            rank=int(lens.final_ranks[layer, index]),
            rank_text=f"{int(lens.final_ranks[layer, index]):,}",
            entropy=f"{float(lens.entropies[layer, index]):.2f}",
            divergence=format_number(float(lens.divergences[layer, index])),
        )
        for layer in reversed(range(lens.layer_count))
    )


def layers_title(lens: LogitLens, index: int = -1) -> str:
    """Return the title of ``layer_rows``, with the token before the prediction."""
    position = int(lens.positions[index])
    if position < 0:
        return "Prediction at each layer"
    token = printable(lens.tokens.labels()[position], 30)
    return f"Prediction at each layer {place_word(lens)} {token} (token {position})"


def place_word(lens: LogitLens) -> str:
    """Return where a prediction is: ``after`` a token, or ``at`` the token that has a label or is masked."""
    return "at" if lens.provenance.task in _AT_TOKENS else "after"


def entry_name(lens: LogitLens) -> str:
    """Return what is predicted: a ``token``, the ``label`` of a token, or a ``class``."""
    if int(lens.positions[0]) < 0:
        return "class"
    return "label" if lens.provenance.task == "token-classification" else "token"


def position_rows(lens: LogitLens, count: int) -> tuple[PositionRow, ...]:
    """Return the model's prediction at each of the first positions.

    Args:
        lens: The logit lens.
        count: Maximum number of positions.
    """
    labels = lens.tokens.labels()
    return tuple(
        PositionRow(
            token=printable(labels[int(lens.positions[index])], 24),
            prediction=prediction_label(lens, -1, index, 24),
            probability=format_percent(float(lens.final_probabilities[-1, index])),
            layer=lens.layer_names[int(layer)],
        )
        for index, layer in enumerate(lens.stable_layers()[:count])
    )
