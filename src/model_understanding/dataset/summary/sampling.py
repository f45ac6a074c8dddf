"""A uniform random sample of rows that pass by once."""

from collections.abc import Iterator
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


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
