"""The results of a part's rows that wait to be written, in memory apart from that of passes."""

import mmap
import pickle
from collections.abc import Iterator
from typing import Any

_BLOCK = 2**20  # bytes of a map; a larger result has one of its own


class WaitingResults:
    """Results by the places of their rows, which may come in any order; iterating gives them in order.

    Each is kept as bytes in anonymous maps of memory. As Python objects, thousands of small arrays would fill
    the gaps between the tensors of one pass, so that the next pass takes more memory from the system, and so
    on: the process grew by a third within 5,000 rows.
    """

    def __init__(self) -> None:
        self._blocks: list[mmap.mmap] = []
        self._free = 0  # bytes of the last block
        self._spans: dict[int, tuple[mmap.mmap, int, int]] = {}

    def __setitem__(self, place: int, result: dict[str, Any]) -> None:
        data = pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
        if len(data) > self._free:
            self._free = max(_BLOCK, len(data))
            self._blocks.append(mmap.mmap(-1, self._free))
        block = self._blocks[-1]
        start = len(block) - self._free
        block[start : start + len(data)] = data
        self._free -= len(data)
        self._spans[place] = block, start, start + len(data)

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for place in sorted(self._spans):
            block, start, end = self._spans[place]
            yield pickle.loads(block[start:end])
