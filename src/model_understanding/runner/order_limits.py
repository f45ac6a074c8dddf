"""The least and the greatest mean fall of any order in which the tokens of a text are removed."""

from collections.abc import Callable, Sequence
from heapq import nlargest
from itertools import accumulate
from operator import or_

import numpy as np
from jaxtyping import Bool, Float, Int

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
