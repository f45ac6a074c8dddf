"""The effect of removing tokens on an answer; what was removed before is not removed again."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.answer_map.removal import Removals

Mask = Bool[np.ndarray, " tokens"]


class Follow(Protocol):
    """Runs a part of an answer map and reports how far it is."""

    def __call__(self, part: str, total: int, run: Callable[[], Any]) -> Any:
        """Return what ``run`` returns.

        Args:
            part: What runs, in words.
            total: The positions of all its passes.
            run: Runs them.
        """
        ...


def unfollowed(part: str, total: int, run: Callable[[], Any]) -> Any:
    """Return what ``run`` returns, and report nothing."""
    return run()


class Effects:
    """How much the value of each token of an answer drops without other tokens.

    Args:
        removals: Removes tokens of the text.
        tokens: Number of tokens of the prompt and the answer.
        follow: Runs the passes.
    """

    def __init__(self, removals: Removals, tokens: int, follow: Follow = unfollowed) -> None:
        self.removals = removals
        self.tokens = tokens
        self.follow = follow
        self._measured: dict[bytes, Float[np.ndarray, " answer"]] = {}

    def mask(self, *positions: Int[np.ndarray, " some"] | Sequence[int]) -> Mask:
        """Return which tokens are removed, from their positions."""
        removed = np.zeros(self.tokens, dtype=bool)
        for part in positions:
            removed[np.asarray(part, dtype=int)] = True
        return removed

    def of(self, masks: Sequence[Mask], part: str) -> Float[np.ndarray, "masks answer"]:
        """Return the effect of removing the tokens of each mask, on each token of the answer.

        Args:
            masks: The tokens to remove.
            part: What is removed, in words for whoever follows the run.
        """
        missing = {mask.tobytes(): mask for mask in masks if mask.tobytes() not in self._measured}
        if missing:
            removed = np.stack(list(missing.values()))
            values = self.follow(part, self.removals.cost(removed), lambda: self.removals.without(removed))
            for key, row in zip(missing, self.removals.values - values, strict=True):
                self._measured[key] = row
        rows = [self._measured[mask.tobytes()] for mask in masks]
        return np.array(rows).reshape(len(masks), len(self.removals.values))
