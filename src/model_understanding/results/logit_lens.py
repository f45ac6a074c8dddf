"""What each layer would answer."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from model_understanding.errors import NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Tokens, read_only

if TYPE_CHECKING:
    import pandas

WHOLE_TEXT = -1  # the position of a classifier's one answer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogitLens(JsonResult):
    """The logit lens: what L layers would answer at P positions, were the model to end there.

    The hidden states of a layer go through what the model itself does after its last block. Layer k is what
    enters block k, so layer 0 is the embeddings; the last layer is what leaves the last block, and its
    answer is the model's own.

    Args:
        tokens: The tokens that the model read.
        positions: Where the next token is read, shape ``(P,)``; −1 for a classifier's one answer.
        top_ids: The likeliest entries (tokens or classes) of each layer, shape ``(L, P, k)``.
        top_probabilities: Their probabilities, shape ``(L, P, k)``.
        entropies: Entropy in nats of each layer's distribution, shape ``(L, P)``.
        divergences: ``KL(last layer ‖ layer)`` in nats, shape ``(L, P)``; 0 for the last layer.
        final_ranks: Rank in each layer of the last layer's likeliest entry, from 1, shape ``(L, P)``.
        final_probabilities: Its probability, shape ``(L, P)``.
        next_ids: The token that follows each position in the text, shape ``(P,)``; −1 where none does.
        next_ranks: Its rank in each layer, shape ``(L, P)``; 0 where none follows.
        next_probabilities: Its probability, shape ``(L, P)``; 0 where none follows.
        ids: Every entry named above, once, shape ``(N,)``.
        labels: The text of each.
        provenance: Where it comes from.

    Raises:
        ValueError: The shapes disagree.
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
            raise ValueError(f"positions must name some of the {len(self.tokens)} tokens.")
        object.__setattr__(self, "positions", positions)
        top_ids = read_only(self.top_ids, np.int64, (None, len(positions), None), "top_ids")
        if not top_ids.shape[0] or not top_ids.shape[2]:
            raise ValueError("A lens needs a layer and a prediction.")
        object.__setattr__(self, "top_ids", top_ids)
        plane, ids = top_ids.shape[:2], read_only(self.ids, np.int64, (len(self.labels),), "ids")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(
            self, "next_ids", read_only(self.next_ids, np.int64, (len(positions),), "next_ids")
        )
        for name in ("final_ranks", "next_ranks"):
            object.__setattr__(self, name, read_only(getattr(self, name), np.int64, plane, name))
        top = read_only(self.top_probabilities, np.float32, top_ids.shape, "top_probabilities")
        object.__setattr__(self, "top_probabilities", top)
        for name in ("entropies", "divergences", "final_probabilities", "next_probabilities"):
            object.__setattr__(self, name, read_only(getattr(self, name), np.float32, plane, name))
        for name in ("top_probabilities", "entropies", "divergences", "final_probabilities"):
            if not np.isfinite(getattr(self, name)).all():
                raise NumericalError(
                    f"The {name} of the logit lens are not finite.",
                    hint="Load the model with dtype='float32' and try again.",
                )
        unnamed = ({*top_ids.ravel().tolist(), *self.next_ids.tolist()} - {-1}) - set(ids.tolist())
        if unnamed:
            raise ValueError(f"Entries without a label: {sorted(unnamed)[:5]}.")

    @property
    def layer_count(self) -> int:
        """How many layers are read: one more than the model has blocks."""
        return self.top_ids.shape[0]

    @property
    def layer_names(self) -> tuple[str, ...]:
        """What each layer is called: ``embeddings``, then ``after block 0`` and so on."""
        return ("embeddings", *(f"after block {number}" for number in range(self.layer_count - 1)))

    @property
    def final_ids(self) -> Int[np.ndarray, " positions"]:
        """The last layer's likeliest entry at each position."""
        return self.top_ids[-1, :, 0]

    def label(self, entry: int) -> str:
        """Return the text of a token, or the name of a class, by its id."""
        (places,) = np.nonzero(self.ids == entry)
        return self.labels[int(places[0])] if len(places) else str(entry)

    def top_labels(self, layer: int = -1, place: int = -1) -> tuple[str, ...]:
        """Return the texts of a layer's likeliest entries.

        Args:
            layer: The layer; counted from the end where negative.
            place: Which of the positions read; likewise.
        """
        return tuple(self.label(int(entry)) for entry in self.top_ids[layer, place])

    def settled(self) -> Int[np.ndarray, " positions"]:
        """Return the layer from which on the last layer's likeliest entry stays the likeliest."""
        agrees = self.final_ranks == 1
        return np.logical_and.accumulate(agrees[::-1], axis=0).sum(axis=0) * -1 + self.layer_count

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row for each position, layer and place among the likeliest."""
        import pandas

        layers, places, top = (axis.ravel() for axis in np.indices(self.top_ids.shape))
        surfaces = self.tokens.surfaces()
        positions = self.positions[places]
        return pandas.DataFrame(
            {
                "position": positions,
                "token": [surfaces[position] if position >= 0 else "" for position in positions],
                "layer": layers,
                "layer_name": [self.layer_names[layer] for layer in layers],
                "place": top + 1,
                "id": self.top_ids.ravel(),
                "prediction": [self.label(int(entry)) for entry in self.top_ids.ravel()],
                "probability": self.top_probabilities.ravel(),
                "entropy": self.entropies[layers, places],
                "divergence": self.divergences[layers, places],
                "final_rank": self.final_ranks[layers, places],
                "final_probability": self.final_probabilities[layers, places],
                "next_rank": self.next_ranks[layers, places],
                "next_probability": self.next_probabilities[layers, places],
            }
        ).sort_values(["position", "layer", "place"], ignore_index=True)

    def to_csv(self) -> str:
        """Return the table as CSV; a cell that a spreadsheet would run as a formula is quoted by a tab."""
        table = self.to_dataframe()
        for column in ("token", "prediction"):
            table[column] = [f"\t{cell}" if cell[:1] in tuple("=+-@\t\r") else cell for cell in table[column]]
        return table.to_csv(index=False, lineterminator="\r\n")
