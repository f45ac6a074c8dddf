"""Sources or sentences removed or kept in groups, where there are too many for a pass each.

Groups of neighbors are measured first. One that counts is halved, and its halves are measured, down to single
ones: what stays in a group has, with all others of it, an effect that does not count.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.answer_map.measured import AnswerEffect, SourceGroup
from model_understanding.answer_map.shortlist import groups_of

Groups = Float[np.ndarray, "groups answer"]

MOST_SOURCES = 40
"""Sources that are removed, or kept, one by one; of more, those whose group counts."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """What some sources or sentences do by themselves, and the others in groups.

    Args:
        rows: What each does by itself; −∞ where it was not measured.
        groups: The groups that do not count.
    """

    rows: Float[np.ndarray, "sources answer"]
    groups: tuple[SourceGroup, ...] = ()


def first_groups(count: int, single: Collection[int] = ()) -> list[list[int]]:
    """Return the sources that are measured by themselves, and those that are measured together at first.

    Args:
        count: Number of sources; up to ``MOST_SOURCES`` are measured by themselves.
        single: Sources that are measured by themselves anyway.

    >>> first_groups(3)
    [[0], [1], [2]]
    """
    if count <= MOST_SOURCES:
        return [[source] for source in range(count)]
    return single_and_neighbors(count, single)


def single_and_neighbors(count: int, single: Collection[int]) -> list[list[int]]:
    """Return some of a number of parts by themselves, and the others in groups of neighbors.

    >>> single_and_neighbors(6, [4])
    [[4], [0, 1, 2], [3, 5]]
    """
    others = [part for part in range(count) if part not in single]
    grouped = [[others[place] for place in group] for group in groups_of([len(others)])]
    return [*([part] for part in sorted(single)), *grouped]


def measured_in_groups(
    count: int,
    groups: Sequence[Sequence[int]],
    measure: Callable[[Sequence[Sequence[int]], int], Groups],
    counting: Callable[[Sequence[Sequence[int]], Groups], Bool[np.ndarray, " groups"]],
) -> Grouped:
    """Return what each of some sources or sentences does, or the group that it is in.

    Args:
        count: How many there are.
        groups: The first groups.
        measure: Returns what groups do, each joined; called with how often they were halved.
        counting: Returns which groups count, by what they do.
    """
    single: dict[int, AnswerEffect] = {}
    left: list[SourceGroup] = []
    halvings, none = 0, np.zeros(0)
    while groups:
        rows = measure(groups, halvings)
        halves: list[Sequence[int]] = []
        for group, row, counts in zip(groups, rows, counting(groups, rows), strict=True):
            if len(group) == 1:
                single[group[0]] = row
            elif counts:
                middle = (len(group) + 1) // 2
                halves += [group[:middle], group[middle:]]
            else:
                left.append(SourceGroup(tuple(group), row))
        groups, halvings, none = halves, halvings + 1, np.full(rows.shape[1], -np.inf)
    return Grouped(np.array([single.get(source, none) for source in range(count)]), tuple(left))
