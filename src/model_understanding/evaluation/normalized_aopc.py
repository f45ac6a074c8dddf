"""Normalized AOPC: the drop in an attribution's order, between the limits that any order can reach.

The limits are those of the model on the text: exact over all sets of tokens where there are few, else
found by a beam search.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from itertools import accumulate
from operator import or_
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from model_understanding.evaluation.ranked_text import RankedText
from model_understanding.results import Evaluation, Limits

_ROUNDING = 8  # units in the last place of the largest value: limits that differ by less are equal

DropsOf = Callable[[Sequence[int]], Float[np.ndarray, "sets quantities"]]
"""The drop of each quantity without each set of tokens (bit i stands for token i)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizedAopc:
    r"""The mean drop of the target as all tokens are removed in the map's order, relative to its limits.

    ``(AOPC − low) / (up − low)``, ``AOPC = 1/n Σ_{k=1..n} [ f(x) − f(x without its top k tokens) ]``

    low and up are the minimum and the maximum AOPC of any order of these tokens: the range of this model on
    this text. It differs from model to model, so the drops of two models do not show whose explanation is
    better; the normalized value, from 0 to 1 and without a unit, does. Normalized sufficiency is the AOPC
    of the reversed order, with the same limits; lower is better.

    The limits depend on text and target only, and are computed once for all attributions evaluated
    together. They are exact where all ``2^n`` sets of tokens can be run, else found by a beam search and
    widened to include every order that is evaluated.

    Args:
        beam_width: The number of sets of each size that the search keeps, for each quantity and limit.
        exact_sets: The maximum number of sets for exact limits: 1024 for 10 tokens.
        longest: The maximum number of tokens; longer texts have no value.

    Reference:
        Edin et al. (2025), "Normalized AOPC: Fixing Misleading Faithfulness Metrics for Feature Attribution
        Explainability", for words and the probability; here for tokens, replaced in place.

    >>> NormalizedAopc().beam_width
    5
    """

    name: ClassVar[str] = "normalized_aopc"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = (
        "once per text and replacement: 2^tokens forward passes up to 10 tokens, else at most "
        "5 × tokens × (tokens + 1) per quantity"
    )
    reference: ClassVar[str] = "Edin et al. 2025"

    beam_width: int = 5
    exact_sets: int = 1024
    longest: int = 64

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric needs at first: those of the orders it evaluates."""
        orders = _orders(text) if len(text.candidates) <= self.longest else []
        return _variants(text, [tokens for order in orders for tokens in prefix_sets(order)])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        count = len(text.candidates)
        if count > self.longest:
            reason = f"{count} tokens can be removed; the range is computed for at most {self.longest}."
            return (text.evaluation(self.name, None, higher_is_better=True, reasons=(reason,)),)
        limits = self._limits(text)
        return tuple(
            self._evaluation(text, limits[j][i], j, i, is_reversed=is_reversed)
            for is_reversed in (False, True)
            for i in range(len(text.removals.quantities))
            for j in range(len(text.removals.replacements))
        )

    def _evaluation(
        self, text: RankedText, limits: Limits, replacement: int, quantity: int, *, is_reversed: bool
    ) -> Evaluation:
        """Evaluate one quantity under one replacement, for the map's order or for the reversed one.

        Args:
            text: The text.
            limits: The limits of the quantity under the replacement.
            replacement: Index of the replacement.
            quantity: Index of the quantity.
            is_reversed: Whether the order is reversed.
        """
        metric = "normalized_sufficiency" if is_reversed else self.name
        fields = {
            "higher_is_better": not is_reversed,
            "quantity": text.removals.quantities[quantity],
            "replacement": text.removals.replacements[replacement],
            "limits": limits,
        }
        width, epsilon = limits.upper - limits.lower, torch.finfo(text.removals.runner.model.dtype).eps
        largest = max(abs(text.full[replacement, quantity]), abs(limits.lower), width)
        if width <= _ROUNDING * epsilon * largest:
            same = "All removal orders give the same AOPC, so it cannot be normalized."
            reason = f"{fields['quantity']}, {fields['replacement']}: {same}"
            return text.evaluation(metric, None, reasons=(reason,), **fields)
        forward, backward, *random = [
            _drops(text, replacement, prefix_sets(order))[:, quantity] for order in _orders(text)
        ]
        drops = np.array([backward if is_reversed else forward, *random])
        curves = (drops - limits.lower) / width
        shares = np.arange(1, len(forward) + 1) / len(forward)
        curve = np.stack([shares, curves[0]], axis=1)
        return text.evaluation_against_random(metric, curves.mean(axis=1), 1.0, curve=curve, **fields)

    def _limits(self, text: RankedText) -> list[list[Limits]]:
        """Return the limits of each quantity under each replacement, computed once for the text."""
        orders = [*_orders(text), *text.orders_of_others, *text.orders_of_others[:, ::-1]]
        # The key ignores which order belongs to which attribution: all of one text share the same set.
        key = (self, text.candidates.tobytes(), frozenset(order.tobytes() for order in orders))
        cache = text.removals.cache
        if key not in cache:
            cache[key] = [
                self._limits_under(text, replacement, orders)
                for replacement in range(len(text.removals.replacements))
            ]
        return cache[key]

    def _limits_under(
        self, text: RankedText, replacement: int, orders: Sequence[Int[np.ndarray, " candidates"]]
    ) -> list[Limits]:
        """Return the limits of each quantity under one replacement, that include all evaluated orders."""
        count = len(text.candidates)
        drops_of = partial(_drops, text, replacement)
        beam_width = None if 1 << count <= self.exact_sets else self.beam_width
        (lower, upper), is_exact = order_limits(drops_of, count, beam_width)
        sets = [tokens for order in orders for tokens in prefix_sets(order)]
        means = drops_of(sets).reshape(len(orders), count, -1).mean(axis=1)
        lower, upper = np.minimum(lower, means.min(axis=0)), np.maximum(upper, means.max(axis=0))
        return [
            Limits(lower=float(low), upper=float(up), exact=is_exact)
            for low, up in zip(lower, upper, strict=True)
        ]


def order_limits(
    drops_of: DropsOf, tokens: int, beam_width: int | None = None
) -> tuple[Float[np.ndarray, "limits quantities"], bool]:
    r"""Return the minimum and the maximum of ``1/n Σ_k drop(first k tokens)`` over all orders of n tokens.

    A drop depends on the set of removed tokens and not on the order of removal, so the search extends sets
    by one token at a time and keeps the best sum for each set. Without a beam width it is a shortest path
    over all ``2^n`` sets, and exact. With one, it keeps that many sets of each size, for each quantity and
    limit, and its results lie within the true limits. All sets of a size are run together.

    Args:
        drops_of: Returns the drop of each quantity without each of several sets.
        tokens: The number of tokens, n.
        beam_width: The number of sets of each size that are kept; ``None`` for all.

    Returns:
        The lower limit and the upper one, for each quantity; and whether all sets were kept.

    Reference:
        Edin et al. (2025), "Normalized AOPC: Fixing Misleading Faithfulness Metrics for Feature Attribution
        Explainability", whose beam keeps orders; the shortest path over sets is that of
        Held & Karp (1962), "A Dynamic Programming Approach to Sequencing Problems".

    >>> worth = np.array([3.0, 0.0, 1.0])  # of each token, additive
    >>> limits, is_exact = order_limits(lambda sets: membership(sets, 3) @ worth[:, None], 3)
    >>> limits.ravel().round(3).tolist(), is_exact  # (0 + 1 + 4) / 3 and (3 + 4 + 4) / 3
    ([1.667, 3.667], True)
    """
    quantities = drops_of([0]).shape[1]
    beams: dict[tuple[int, int], dict[int, float]] = {
        (sign, quantity): {0: 0.0} for sign in (-1, 1) for quantity in range(quantities)
    }
    is_exact = True
    for _ in range(tokens):
        extended = {key: _extended(beam, tokens) for key, beam in beams.items()}
        sets = list(dict.fromkeys(larger for sums in extended.values() for larger in sums))
        drops = dict(zip(sets, drops_of(sets), strict=True))
        for (sign, quantity), sums in extended.items():
            beam = {larger: total + sign * float(drops[larger][quantity]) for larger, total in sums.items()}
            if beam_width is not None and len(beam) > beam_width:
                is_exact = False
                beam = dict(nlargest(beam_width, beam.items(), key=lambda item: item[1]))
            beams[sign, quantity] = beam
    full_set = (1 << tokens) - 1
    means = [
        [sign * beams[sign, quantity][full_set] / tokens for quantity in range(quantities)]
        for sign in (-1, 1)
    ]
    return np.array(means), is_exact


def prefix_sets(order: Int[np.ndarray, " tokens"]) -> list[int]:
    """Return the first token of an order, the first two, and so on, as sets.

    >>> [bin(tokens) for tokens in prefix_sets(np.array([2, 0, 1]))]
    ['0b100', '0b101', '0b111']
    """
    return list(accumulate((1 << int(token) for token in order), or_))


def membership(sets: Sequence[int], tokens: int) -> Bool[np.ndarray, "sets tokens"]:
    """Return which tokens belong to each set.

    >>> membership([0b101], 3).tolist()
    [[True, False, True]]
    """
    size = (tokens + 7) // 8
    octets = np.frombuffer(b"".join(value.to_bytes(size, "little") for value in sets), dtype=np.uint8)
    bits = np.unpackbits(octets.reshape(len(sets), size), axis=1, bitorder="little")
    return bits[:, :tokens].astype(bool)


def _extended(beam: dict[int, float], tokens: int) -> dict[int, float]:
    """Return every set with one more token, and the best sum of any way to it."""
    sums: dict[int, float] = {}
    for smaller, total in beam.items():
        for token in range(tokens):
            larger = smaller | 1 << token
            if larger != smaller and total > sums.get(larger, -np.inf):
                sums[larger] = total
    return sums


def _orders(text: RankedText) -> list[Int[np.ndarray, " candidates"]]:
    """Return the orders that get a value: the map's, the same reversed, and the random ones."""
    map_order, *random_orders = text.orders
    return [map_order, map_order[::-1], *random_orders]


def _variants(text: RankedText, sets: Sequence[int]) -> Bool[np.ndarray, "variants tokens"]:
    """Return variants of the text without sets of candidates."""
    removed = np.zeros((len(sets), len(text.removals.tokens)), dtype=bool)
    removed[:, text.candidates] = membership(sets, len(text.candidates))
    return removed


def _drops(text: RankedText, replacement: int, sets: Sequence[int]) -> Float[np.ndarray, "sets quantities"]:
    """Return how far each quantity drops without sets of candidates, under one replacement."""
    values = text.removals.values_under(text.removals.replacements[replacement], _variants(text, sets))
    return text.full[replacement] - values
