"""How much better than random orders an attribution ranks a sample's tokens.

Comprehensiveness is the mean fall of the answer's value without the first tokens, over fractions;
sufficiency the mean fall with no other candidates than these (less is better). Both are given as distance
from the mean of random orders of the same text, in standard deviations of these, better upwards.
"""

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from keeping import KeptVariants
from samples import FRACTIONS, Sample

DRAWS = {"sentences": 12, "prompts": 8, "needles": 8, "passages": 6, "facts": 6}
LEAST_SPREAD = 0.02  # of the largest change seen: orders that all do the same have no spread to divide by
NEEDLE_SHARE = 0.1  # of the tokens: where a needle must stand


class Judge:
    """Judges maps of one sample against the same random orders.

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
        """Return what the model says of the whole text."""
        whole = np.zeros((1, len(self.sample.encoding.tokens[0])), dtype=bool)
        return float(self.variants.values(whole)[0, 0])

    def advantages(self, scores: Float[np.ndarray, " tokens"]) -> dict[str, list[float]]:
        """Return ``[comprehensiveness, sufficiency]`` above random, for each replacement."""
        areas, largest = self._areas([self.order(scores)])
        middle, spread = self._control
        spread = np.maximum(spread, LEAST_SPREAD * largest[:, None])
        above = (areas[:, 0] - middle) / np.where(spread > 0, spread, 1)
        return dict(zip(self.variants.replacements, above.tolist(), strict=True))

    def recall(self, scores: Float[np.ndarray, " tokens"]) -> float | None:
        """Return the share of the needle's tokens among the first tenth of all; none without a needle."""
        gold = set(self.sample.gold)
        if not gold:
            return None
        places = int(NEEDLE_SHARE * len(self.candidates) + 0.5)
        first = self.candidates[self.order(scores)[: max(places, len(gold), 1)]]
        return len(gold & set(first.tolist())) / len(gold)

    def order(self, scores: Float[np.ndarray, " tokens"]) -> Int[np.ndarray, " candidates"]:
        """Return the candidates, by number, from the highest score on; equal ones in a random order."""
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
        falls = values[:, :1] - values[:, 1:]
        curves = falls.reshape(len(values), len(orders), len(self.counts), 2)
        return curves.mean(2) * np.array([1.0, -1.0]), np.abs(falls).max(1)
