"""Which tokens of two texts stand for each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from model_understanding.results.serialization import JsonResult
from model_understanding.tokens import Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment(JsonResult):
    """U units of two token sequences, in an order that is the reading order of both.

    A unit holds a token of the first, of the second, or of both. Two tokens that stand in one unit say
    the same, or one stands in the place of the other.

    Args:
        first: Tokens of the first, joined so that no unit holds more than one.
        second: Tokens of the second, joined likewise.
        pairs: Position of each unit's token in ``first`` and in ``second``, shape ``(U, 2)``; −1 for
            none.
        same: Whether both say the same, shape ``(U,)``.

    Raises:
        ValueError: A position does not exist, or one is left out.
    """

    first: Tokens
    second: Tokens
    pairs: Int[np.ndarray, "units 2"]
    same: Bool[np.ndarray, " units"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", read_only(self.pairs, np.int64, (None, 2), "pairs"))
        object.__setattr__(self, "same", read_only(self.same, np.bool_, (len(self.pairs),), "same"))
        for side, tokens in enumerate((self.first, self.second)):
            held = self.pairs[:, side]
            if not np.array_equal(held[held >= 0], np.arange(len(tokens))):
                raise ValueError("Each token of an alignment stands in one unit, in order.")
        if (self.same & ~self.paired).any():
            raise ValueError("A unit of one token cannot say the same twice.")

    @property
    def paired(self) -> Bool[np.ndarray, " units"]:
        """Which units hold a token of both."""
        return (self.pairs[:, 0] >= 0) & (self.pairs[:, 1] >= 0)

    @property
    def special(self) -> Bool[np.ndarray, " units"]:
        """Which units hold a special token."""
        return self.spread(self.first.special, 0, False) | self.spread(self.second.special, 1, False)

    def kinds(self) -> tuple[str, ...]:
        """Return what each unit is: ``same``, ``replaced``, ``first only`` or ``second only``."""
        return tuple(
            "same" if same else "first only" if other < 0 else "second only" if one < 0 else "replaced"
            for same, (one, other) in zip(self.same, self.pairs, strict=True)
        )

    def spread(self, values: np.ndarray, side: int, empty: Any = 0, axis: int = -1) -> np.ndarray:
        """Return values of one sequence's tokens as values of the units.

        Args:
            values: An array with one of its axes over the tokens of that side.
            side: 0 for the first, 1 for the second.
            empty: The value of a unit that holds no token of that side.
            axis: The axis over the tokens.

        Returns:
            The array with that axis over the units.
        """
        moved = np.moveaxis(np.asarray(values), axis, 0)
        places = self.pairs[:, side]
        spread = np.full((len(places), *moved.shape[1:]), empty, dtype=moved.dtype)
        spread[places >= 0] = moved[places[places >= 0]]
        return np.moveaxis(spread, 0, axis)
