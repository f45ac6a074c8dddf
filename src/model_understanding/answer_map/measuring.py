"""The effect of removing tokens on an answer; what was removed before is not removed again."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.answer_map.removal import Removals

Mask = Bool[np.ndarray, " tokens"]


class Effects:
    """How much the log-probability of each token of an answer drops without other tokens.

    Args:
        removals: Removes tokens of the text.
        tokens: Number of tokens of the prompt and the answer.
    """

    def __init__(self, removals: Removals, tokens: int) -> None:
        self.removals = removals
        self.tokens = tokens
        self._measured: dict[bytes, Float[np.ndarray, " answer"]] = {}

    def mask(self, *positions: Int[np.ndarray, " some"] | Sequence[int]) -> Mask:
        """Return which tokens are removed, from their positions."""
        removed = np.zeros(self.tokens, dtype=bool)
        for part in positions:
            removed[np.asarray(part, dtype=int)] = True
        return removed

    def of(self, masks: Sequence[Mask]) -> Float[np.ndarray, "masks answer"]:
        """Return the effect of removing the tokens of each mask, on each token of the answer."""
        missing = {mask.tobytes(): mask for mask in masks if mask.tobytes() not in self._measured}
        if missing:
            values = self.removals.without(np.stack(list(missing.values())))
            for key, row in zip(missing, self.removals.log_probs - values, strict=True):
                self._measured[key] = row
        rows = [self._measured[mask.tobytes()] for mask in masks]
        return np.array(rows).reshape(len(masks), len(self.removals.log_probs))
