"""The logit lens: the prediction at each layer."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from model_understanding.errors import NumericalError
from model_understanding.results.files import csv_text
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Displayed
from model_understanding.tokens import SHARE, Tokens, read_only

if TYPE_CHECKING:
    import pandas

WHOLE_TEXT = -1  # position of the output of a classifier


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LogitLens(Displayed):
    """The logit lens: the predictions of L layers at P positions.

    The hidden states of each layer go through the model's final norm and output head. Layer k is the input
    of transformer block k, so layer 0 is the embeddings; the last layer is the output of the last block, and
    its prediction is that of the model.

    Args:
        tokens: The input tokens.
        positions: Positions at which the next token is predicted, or the token of the position itself (a
            mask), shape ``(P,)``; −1 for the output of a classifier.
        top_ids: The most probable entries (tokens or classes) of each layer, shape ``(L, P, k)``.
        top_probabilities: Their probabilities, shape ``(L, P, k)``.
        entropies: Entropy in nats of each layer's distribution, shape ``(L, P)``.
        divergences: ``KL(last layer ‖ layer)`` in nats, shape ``(L, P)``; 0 for the last layer.
        final_ranks: Rank of the last layer's top entry in each layer, from 1, shape ``(L, P)``.
        final_probabilities: Its probability in each layer, shape ``(L, P)``.
        next_ids: The token after each position in the text, shape ``(P,)``; −1 if there is none.
        next_ranks: Its rank in each layer, shape ``(L, P)``; 0 if there is none.
        next_probabilities: Its probability in each layer, shape ``(L, P)``; 0 if there is none.
        ids: Every ID that occurs above, once, shape ``(N,)``.
        labels: The text of each ID.
        provenance: Origin of the result.

    Raises:
        ValueError: The shapes do not match.
        NumericalError: A number is not finite.
    """

    tokens: Tokens
    positions: Int[np.ndarray, " positions"]
    top_ids: Int[np.ndarray, "layers positions top"]
    top_probabilities: Float[np.ndarray, "layers positions top"]
    entropies: Float[np.ndarray, "layers positions"]
    divergences: Float[np.ndarray, "layers positions"]
    final_ranks: Int[np.ndarray, "layers positions"]
    final_probabilities: Float[np.ndarray, "layers positions"]
    next_ids: Int[np.ndarray, " positions"]
    next_ranks: Int[np.ndarray, "layers positions"]
    next_probabilities: Float[np.ndarray, "layers positions"]
    ids: Int[np.ndarray, " entries"]
    labels: tuple[str, ...]
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        positions = read_only(self.positions, np.int64, (None,), "positions")
        if not len(positions) or positions.min() < WHOLE_TEXT or positions.max() >= len(self.tokens):
            raise ValueError(f"positions must be positions of the {len(self.tokens)} tokens, or −1.")
        object.__setattr__(self, "positions", positions)
        top_ids = read_only(self.top_ids, np.int64, (None, len(positions), None), "top_ids")
        if not top_ids.shape[0] or not top_ids.shape[2]:
            raise ValueError("A logit lens needs at least one layer and one prediction.")
        object.__setattr__(self, "top_ids", top_ids)
        plane, ids = top_ids.shape[:2], read_only(self.ids, np.int64, (len(self.labels),), "ids")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(
            self, "next_ids", read_only(self.next_ids, np.int64, (len(positions),), "next_ids")
        )
        for name in ("final_ranks", "next_ranks"):
            object.__setattr__(self, name, read_only(getattr(self, name), np.int64, plane, name))
        top = read_only(self.top_probabilities, np.float32, top_ids.shape, "top_probabilities", SHARE)
        object.__setattr__(self, "top_probabilities", top)
        for name in ("entropies", "divergences", "final_probabilities", "next_probabilities"):
            within = SHARE if name.endswith("probabilities") else (0.0, np.inf)
            object.__setattr__(self, name, read_only(getattr(self, name), np.float32, plane, name, within))
        for name in ("top_probabilities", "entropies", "divergences", "final_probabilities"):
            if not np.isfinite(getattr(self, name)).all():
                raise NumericalError(
                    f"The {name} of the logit lens are not finite.",
                    hint="Load the model with dtype='float32' and try again.",
                )
        unlabeled = ({*top_ids.ravel().tolist(), *self.next_ids.tolist()} - {-1}) - set(ids.tolist())
        if unlabeled:
            raise ValueError(f"IDs without a label: {sorted(unlabeled)[:5]}.")

    @property
    def layer_count(self) -> int:
        """Number of layers: one more than the model has transformer blocks."""
        return self.top_ids.shape[0]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Name of each layer: ``embeddings``, ``after block 0``, ``after block 1`` and so on."""
        return ("embeddings", *(f"after block {block}" for block in range(self.layer_count - 1)))

    @property
    def final_ids(self) -> Int[np.ndarray, " positions"]:
        """The last layer's top entry at each position."""
        return self.top_ids[-1, :, 0]

    def label(self, entry: int) -> str:
        """Return the text of a token, or the name of a class, by its ID."""
        (matches,) = np.nonzero(self.ids == entry)
        return self.labels[int(matches[0])] if len(matches) else str(entry)

    def top_labels(self, layer: int = -1, index: int = -1) -> tuple[str, ...]:
        """Return the texts of a layer's most probable entries.

        Args:
            layer: The layer; negative indices count from the end.
            index: Index into ``positions``; likewise.
        """
        return tuple(self.label(int(entry)) for entry in self.top_ids[layer, index])

    def stable_layers(self) -> Int[np.ndarray, " positions"]:
        """Return the first layer from which on the last layer's top entry stays on top, per position."""
        agrees = self.final_ranks == 1
        return np.logical_and.accumulate(agrees[::-1], axis=0).sum(axis=0) * -1 + self.layer_count

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per position, layer and top entry."""
        import pandas

        layers, indices, ranks = (axis.ravel() for axis in np.indices(self.top_ids.shape))
        surfaces = self.tokens.surfaces()
        positions = self.positions[indices]
        return pandas.DataFrame(
            {
                "position": positions,
                "token": [surfaces[position] if position >= 0 else "" for position in positions],
                "layer": layers,
                "layer_name": [self.layer_names[layer] for layer in layers],
                "rank": ranks + 1,
                "id": self.top_ids.ravel(),
                "prediction": [self.label(int(entry)) for entry in self.top_ids.ravel()],
                "probability": self.top_probabilities.ravel(),
                "entropy": self.entropies[layers, indices],
                "divergence": self.divergences[layers, indices],
                "final_rank": self.final_ranks[layers, indices],
                "final_probability": self.final_probabilities[layers, indices],
                "next_rank": self.next_ranks[layers, indices],
                "next_probability": self.next_probabilities[layers, indices],
            }
        ).sort_values(["position", "layer", "rank"], ignore_index=True)

    def to_csv(self) -> str:
        """Return the table as CSV; cells that a spreadsheet would run as formulas get a leading tab."""
        return csv_text(self.to_dataframe())
