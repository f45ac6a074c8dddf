"""Normalized AOPC: the drop in an attribution's order, between the least and the greatest of any order."""

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

from model_understanding.evaluation.ranked_text import RankedText, advantage_of
from model_understanding.results import Evaluation, Limits

_ROUNDING = 8  # units in the last place of the largest value: limits that lie closer are one


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalizedAopc:
    r"""The mean fall of the target as all tokens are removed in the map's order, between its limits.

    ``(AOPC − low) / (up − low)``, ``AOPC = 1/n Σ_{k=1..n} [ f(x) − f(x without its first k tokens) ]``

    low and up are the least and the greatest AOPC of any order of these tokens: what this model can give
    on this text at all. They differ from model to model, so that the falls of two models do not tell whose
    explanation is better; the normalized value, from 0 to 1 and without a unit, does. Sufficiency is the
    AOPC of the reversed order, lower is better, and has the same limits.

    The limits depend on text and target only, and are found once for all attributions judged together. They
    are exact where all ``2^n`` sets of tokens can be run, else found by a beam search and widened to take
    in every order that is judged.

    Args:
        beam_width: How many sets of each size the search keeps, for each quantity and limit.
        exact_sets: Every set is run where there are no more than this, 1024 for 10 tokens.
        longest: The most tokens; texts of more have no value.

    Reference:
        Edin et al. (2025), "Normalized AOPC: Fixing Misleading Faithfulness Metrics for Feature Attribution
        Explainability", there of words and of the probability; here of tokens, replaced in place.

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
        """Return the variants that the metric asks for at first: those of the orders it judges."""
        orders = _judged(text) if len(text.candidates) <= self.longest else []
        return _variants(text, [one for order in orders for one in first_sets(order)])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        count = len(text.candidates)
        if count > self.longest:
            reason = f"{count} tokens can be removed; the range is computed for at most {self.longest}."
            return (text.evaluation(self.name, None, higher_is_better=True, reasons=(reason,)),)
        limits = self._limits(text)
        return tuple(
            self._evaluation(text, limits[place][number], place, number, is_turned=is_turned)
            for is_turned in (False, True)
            for number in range(len(text.removals.quantities))
            for place in range(len(text.removals.replacements))
        )

    def _evaluation(
        self, text: RankedText, limits: Limits, place: int, number: int, *, is_turned: bool
    ) -> Evaluation:
        """Evaluate one quantity under one replacement: of the order, or of the reversed one."""
        quantity, replacement = text.removals.quantities[number], text.removals.replacements[place]
        told = partial(
            text.evaluation,
            "normalized_sufficiency" if is_turned else self.name,
            higher_is_better=not is_turned,
            quantity=quantity,
            replacement=replacement,
            limits=limits,
        )
        width, least = limits.upper - limits.lower, torch.finfo(text.removals.runner.model.module.dtype).eps
        if width <= _ROUNDING * least * max(abs(text.full[place, number]), abs(limits.lower), width):
            reason = "All removal orders give the same AOPC, so it cannot be normalized."
            return told(None, reasons=(f"{quantity}, {replacement}: {reason}",))
        own, turned, *random = [_falls(text, place, first_sets(order))[:, number] for order in _judged(text)]
        curves = (np.array([turned if is_turned else own, *random]) - limits.lower) / width
        values = curves.mean(axis=1)
        shares = np.arange(1, len(own) + 1) / len(own)
        return told(
            values[0],
            curve=np.stack([shares, curves[0]], axis=1),
            control=values[1:],
            advantage=advantage_of(-values if is_turned else values, 1.0),
        )

    def _limits(self, text: RankedText) -> list[list[Limits]]:
        """Return the limits of each quantity under each replacement, found once for the text."""
        judged = [*_judged(text), *text.orders_of_others, *text.orders_of_others[:, ::-1]]
        # Whose order is whose is no part of it: the others of the same text have the same pool.
        question = (self, text.candidates.tobytes(), frozenset(order.tobytes() for order in judged))
        known = text.removals.worked_out
        if question not in known:
            known[question] = [
                self._limits_under(text, place, judged) for place in range(len(text.removals.replacements))
            ]
        return known[question]

    def _limits_under(
        self, text: RankedText, place: int, judged: Sequence[Int[np.ndarray, " candidates"]]
    ) -> list[Limits]:
        count = len(text.candidates)
        falls = partial(_falls, text, place)
        width = None if 1 << count <= self.exact_sets else self.beam_width
        (lower, upper), is_exact = order_limits(falls, count, width)
        sets = [one for order in judged for one in first_sets(order)]
        means = falls(sets).reshape(len(judged), count, -1).mean(axis=1)
        lower, upper = np.minimum(lower, means.min(axis=0)), np.maximum(upper, means.max(axis=0))
        return [
            Limits(lower=float(low), upper=float(up), exact=is_exact)
            for low, up in zip(lower, upper, strict=True)
        ]


def _judged(text: RankedText) -> list[Int[np.ndarray, " candidates"]]:
    """Return the orders that get a value: the map's, the same reversed, and the random ones."""
    own, *random = text.orders
    return [own, own[::-1], *random]


def _variants(text: RankedText, sets: Sequence[int]) -> Bool[np.ndarray, "variants tokens"]:
    """Return variants of the text without sets of candidates."""
    removed = np.zeros((len(sets), len(text.removals.tokens)), dtype=bool)
    removed[:, text.candidates] = members(sets, len(text.candidates))
    return removed


def _falls(text: RankedText, place: int, sets: Sequence[int]) -> Float[np.ndarray, "sets quantities"]:
    """Return how far each quantity falls from the text itself, under one replacement."""
    values = text.removals.values_under(text.removals.replacements[place], _variants(text, sets))
    return text.full[place] - values


FallsOf = Callable[[Sequence[int]], Float[np.ndarray, "sets quantities"]]
"""From sets of removed tokens (bit i stands for token i) to the fall of each quantity without them."""


def order_limits(
    falls: FallsOf, tokens: int, width: int | None = None
) -> tuple[Float[np.ndarray, "limits quantities"], bool]:
    r"""Return the least and the greatest ``1/n Σ_k fall(first k tokens)`` of any order of n tokens.

    A fall depends on the set that is removed and not on the order in which it was, so the search walks from
    set to larger set and keeps the best way to each. Where it keeps every set it is a shortest path over
    all ``2^n`` of them, and exact; else it keeps the ``width`` best of each size, for each quantity and
    limit, and what it finds lies between the true limits. All sets of a size are asked for together.

    Args:
        falls: What the model says.
        tokens: How many tokens there are, n.
        width: How many sets of each size are kept; ``None`` for all.

    Returns:
        The lower limits and the upper ones, of each quantity; and whether no set was left aside.

    Reference:
        Edin et al. (2025), "Normalized AOPC: Fixing Misleading Faithfulness Metrics for Feature Attribution
        Explainability", whose beam keeps orders; the shortest path over sets is that of
        Held & Karp (1962), "A Dynamic Programming Approach to Sequencing Problems".

    >>> worth = np.array([3.0, 0.0, 1.0])  # of each token, adding up
    >>> limits, is_exact = order_limits(lambda sets: members(sets, 3) @ worth[:, None], 3)
    >>> limits.ravel().round(3).tolist(), is_exact  # (0 + 1 + 4) / 3 and (3 + 4 + 4) / 3
    ([1.667, 3.667], True)
    """
    quantities = falls([0]).shape[1]
    beams: dict[tuple[int, int], dict[int, float]] = {
        (sign, quantity): {0: 0.0} for sign in (-1, 1) for quantity in range(quantities)
    }
    is_exact = True
    for _ in range(tokens):
        reached = {way: _one_more(beam, tokens) for way, beam in beams.items()}
        asked = list(dict.fromkeys(one for sets in reached.values() for one in sets))
        found = dict(zip(asked, falls(asked), strict=True))
        for (sign, quantity), sets in reached.items():
            totals = {one: total + sign * float(found[one][quantity]) for one, total in sets.items()}
            if width is not None and len(totals) > width:
                is_exact = False
                totals = dict(nlargest(width, totals.items(), key=lambda item: item[1]))
            beams[sign, quantity] = totals
    everything = (1 << tokens) - 1
    means = [
        [sign * beams[sign, quantity][everything] / tokens for quantity in range(quantities)]
        for sign in (-1, 1)
    ]
    return np.array(means), is_exact


def first_sets(order: Int[np.ndarray, " tokens"]) -> list[int]:
    """Return the first token of an order, the first two, and so on, as sets.

    >>> [bin(one) for one in first_sets(np.array([2, 0, 1]))]
    ['0b100', '0b101', '0b111']
    """
    return list(accumulate((1 << int(token) for token in order), or_))


def members(sets: Sequence[int], tokens: int) -> Bool[np.ndarray, "sets tokens"]:
    """Return which tokens belong to each set.

    >>> members([0b101], 3).tolist()
    [[True, False, True]]
    """
    size = (tokens + 7) // 8
    octets = np.frombuffer(b"".join(one.to_bytes(size, "little") for one in sets), dtype=np.uint8)
    bits = np.unpackbits(octets.reshape(len(sets), size), axis=1, bitorder="little")
    return bits[:, :tokens].astype(bool)


def _one_more(beam: dict[int, float], tokens: int) -> dict[int, float]:
    """Return every set of one token more, with the most that any way to it has gathered."""
    found: dict[int, float] = {}
    for held, total in beam.items():
        for token in range(tokens):
            larger = held | 1 << token
            if larger != held and total > found.get(larger, -np.inf):
                found[larger] = total
    return found
