"""Which rows are kept of those that pass by once: a random sample, or those of the extreme keys."""

import heapq
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Generic, TypeVar

T = TypeVar("T")

EVALUATED = 100
"""Rows whose scores are evaluated: enough to know the share that is supported to 10 percentage points."""


class Reservoir(Generic[T]):
    """Keeps a uniform random sample of items, whose number is not known before.

    Args:
        size: Items to keep at most.
        seed: Seeds the draws.

    Reference:
        Vitter (1985), "Random Sampling with a Reservoir", algorithm R.

    >>> kept = Reservoir[int](3, seed=0)
    >>> for number in range(100):
    ...     kept.add(number)
    >>> len(list(kept)), kept.seen
    (3, 100)
    """

    def __init__(self, size: int, seed: int | str = 0) -> None:
        self._size, self._random = size, Random(seed)
        self._items: list[T] = []
        self.seen = 0

    def place(self) -> int | None:
        """Return where the next item belongs; ``None`` if it is not drawn, so that it need not be built."""
        self.seen += 1
        place = len(self._items) if self.seen <= self._size else self._random.randrange(self.seen)
        return place if place < self._size else None

    def put(self, place: int, item: T) -> None:
        """Keep an item at the place that it was given."""
        self._items[place : place + 1] = [item]

    def add(self, item: T) -> None:
        """Keep an item, or not."""
        place = self.place()
        if place is not None:
            self.put(place, item)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


class Largest(Generic[T]):
    """Keeps the rows of the largest keys, each with a value; of equal keys those that come first.

    Args:
        size: Rows to keep at most.

    >>> kept = Largest[None](2)
    >>> for row, key in enumerate([0.3, 0.9, 0.1, 0.9]):
    ...     kept.add(key, row, None)
    >>> kept.rows()
    (1, 3)
    """

    __slots__ = ("_heap", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[Any, int, T]] = []

    def add(self, key: float | tuple[float, ...], row: int, value: T) -> None:
        """Keep a row, or not.

        Args:
            key: What rows are ordered by.
            row: Its place in the input.
            value: What is kept with it.
        """
        item = (key, -row, value)
        (heapq.heappush if len(self._heap) < self._size else heapq.heappushpop)(self._heap, item)

    def rows(self) -> tuple[int, ...]:
        """Return the places of the rows, that of the largest key first."""
        return tuple(self.values())

    def values(self) -> dict[int, T]:
        """Return the values by the places of their rows, in the same order."""
        ordered = sorted(self._heap, key=lambda item: item[:2], reverse=True)
        return {-row: value for _, row, value in ordered}


def of_smallest_keys(values: Mapping[int, T], count: int) -> dict[int, T]:
    """Return the entries with the smallest keys: a random sample where keys are hashes.

    Args:
        values: The entries.
        count: How many to keep at most.

    >>> of_smallest_keys({7: "a", 2: "b", 5: "c"}, 2)
    {2: 'b', 5: 'c'}
    """
    return {key: values[key] for key in sorted(values)[:count]}
