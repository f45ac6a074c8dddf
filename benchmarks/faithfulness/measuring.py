"""How much better than random orders an attribution ranks a sample's tokens.

Comprehensiveness is the mean drop of the answer's value without the top-ranked tokens, over several
fractions; sufficiency is the mean drop with only these (lower is better). Both are given as z-scores against
random orders of the same text, with the sign chosen so that higher is better.
"""

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from keeping import KeptVariants
from samples import FRACTIONS, Sample

DRAWS = {"sentences": 12, "prompts": 8, "needles": 8, "passages": 6, "facts": 6}
LEAST_SPREAD = 0.02  # share of the largest change seen: the spread of equal orders would be 0
NEEDLE_SHARE = 0.1  # share of top-ranked tokens among which a needle counts as found


class Judge:
    """Evaluates attributions of one sample against the same random orders.

    Args:
        sample: The sample.
    """

    def __init__(self, sample: Sample) -> None:
        self.sample, self.variants = sample, KeptVariants(sample)
        tokens = sample.encoding.tokens[0]
        removable = ~tokens.special
        if sample.encoding.prompt_length is not None:
            removable &= np.arange(len(tokens)) < sample.encoding.prompt_length
        self.candidates: Int[np.ndarray, " candidates"] = np.flatnonzero(removable)
        count = len(self.candidates)
        wanted = np.floor(np.array(FRACTIONS[sample.kind]) * count + 0.5)
        self.counts = np.maximum(1, wanted).astype(int)
        generator = np.random.default_rng(0)
        self._random = [generator.permutation(count) for _ in range(DRAWS[sample.kind])]
        self._ties = np.random.default_rng(1).permutation(count)

    def value(self) -> float:
        """Return the value of the whole text."""
        whole = np.zeros((1, len(self.sample.encoding.tokens[0])), dtype=bool)
        return float(self.variants.values(whole)[0, 0])

    def advantages(self, scores: Float[np.ndarray, " tokens"]) -> dict[str, list[float]]:
        """Return the z-scores ``[comprehensiveness, sufficiency]``, for each replacement."""
        areas, largest = self._areas([self.order(scores)])
        middle, spread = self._control
        spread = np.maximum(spread, LEAST_SPREAD * largest[:, None])
        above = (areas[:, 0] - middle) / np.where(spread > 0, spread, 1)
        return dict(zip(self.variants.replacements, above.tolist(), strict=True))

    def recall(self, scores: Float[np.ndarray, " tokens"]) -> float | None:
        """Return the share of the needle's tokens in the top-ranked tenth; ``None`` without a needle."""
        gold = set(self.sample.gold)
        if not gold:
            return None
        places = int(NEEDLE_SHARE * len(self.candidates) + 0.5)
        first = self.candidates[self.order(scores)[: max(places, len(gold), 1)]]
        return len(gold & set(first.tolist())) / len(gold)

    def order(self, scores: Float[np.ndarray, " tokens"]) -> Int[np.ndarray, " candidates"]:
        """Return the indices of the candidates by descending score; equal scores in a random order."""
        own = scores[self.candidates][self._ties]
        return self._ties[np.argsort(-own, kind="stable")]

    @cached_property
    def _control(self) -> tuple[Any, Any]:
        areas, _ = self._areas(self._random)
        return areas.mean(1), areas.std(1, ddof=1)

    def _areas(
        self, orders: list[np.ndarray]
    ) -> tuple[Float[np.ndarray, "replacements orders 2"], Float[np.ndarray, " replacements"]]:
        tokens = len(self.sample.encoding.tokens[0])
        removed = np.zeros((1 + 2 * len(orders) * len(self.counts), tokens), dtype=bool)
        row = 1
        for order in orders:
            for count in self.counts:
                removed[row, self.candidates[order[:count]]] = True
                removed[row + 1, self.candidates[order[count:]]] = True
                row += 2
        values = self.variants.values(removed)
        drops = values[:, :1] - values[:, 1:]
        curves = drops.reshape(len(values), len(orders), len(self.counts), 2)
        return curves.mean(2) * np.array([1.0, -1.0]), np.abs(drops).max(1)
