"""What a masked language model puts in the place of each mask."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from model_understanding.results.rendering import Displayed
from model_understanding.tokens import SHARE, Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MaskFilling(Displayed):
    """The likeliest tokens at each of M masks.

    Args:
        tokens: The input tokens.
        positions: Positions of the masks, shape ``(M,)``.
        top_ids: The most probable tokens at each mask, shape ``(M, k)``.
        top_probabilities: Their probabilities, shape ``(M, k)``.
        top_labels: Their texts, M tuples of k.
    """

    tokens: Tokens
    positions: Int[np.ndarray, " masks"]
    top_ids: Int[np.ndarray, "masks top"]
    top_probabilities: Float[np.ndarray, "masks top"]
    top_labels: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "positions", read_only(self.positions, np.int64, (None,), "positions"))
        masks = len(self.positions)
        object.__setattr__(self, "top_ids", read_only(self.top_ids, np.int64, (masks, None), "top_ids"))
        frozen = read_only(self.top_probabilities, np.float32, self.top_ids.shape, "top_probabilities", SHARE)
        object.__setattr__(self, "top_probabilities", frozen)
        object.__setattr__(self, "top_labels", tuple(tuple(mask) for mask in self.top_labels))
