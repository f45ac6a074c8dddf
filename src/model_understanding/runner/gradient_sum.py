"""Values and gradients of targets, put together from the forwards that serve some of them each."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Gradients(NamedTuple):
    """Values of the targets, and their gradients with respect to the embedding table's output.

    At a layer (``Runner.at_layer``): with respect to the hidden states that enter it.
    """

    values: Float[Tensor, "batch targets"]
    gradients: Float[Tensor, "batch targets tokens width"]


def joined_rows(parts: Sequence[Gradients]) -> Gradients:
    """Return the rows of several batches as those of one."""
    if len(parts) == 1:
        return parts[0]
    values, gradients = zip(*parts, strict=True)
    return Gradients(torch.cat(values), torch.cat(gradients))


class GradientSum:
    """A sum over forwards, in one place: a target's rows are added where they belong as they come."""

    def __init__(self) -> None:
        self._values: Tensor | None = None
        self._gradients: Tensor | None = None
        self._is_written = False

    @property
    def total(self) -> Gradients:
        """The sum of all that was added."""
        assert self._values is not None
        assert self._gradients is not None
        return Gradients(self._values, self._gradients)

    def add_values(self, values: Float[Tensor, "batch targets"], tokens: int, width: int) -> None:
        """Add the values of one forward; those of targets that it did not serve are 0.

        Args:
            values: The values.
            tokens: Tokens of the whole text, of which the forward may have seen the first ones only.
            width: Numbers in a token's gradient; 0 where nothing is differentiated.
        """
        values = values.detach()
        if self._values is not None:
            self._values = self._values + values
            return
        self._values = values
        # One zero seen everywhere, until there is something to write.
        shape = (*values.shape, tokens if width else 0, width)
        self._gradients = torch.zeros((), device=values.device).expand(shape)

    def add_rows(self, numbers: Sequence[int], rows: Float[Tensor, "batch some tokens width"]) -> None:
        """Add gradients of some targets with respect to the first tokens.

        Args:
            numbers: The targets, each once and in order.
            rows: Their gradients.
        """
        assert self._gradients is not None
        if not self._is_written:
            self._is_written = True
            if rows.shape == self._gradients.shape:  # all targets, all tokens
                self._gradients = rows
                return
            self._gradients = self._gradients.contiguous()
        for place, number in enumerate(numbers):
            self._gradients[:, number, : rows.shape[2]] += rows[:, place]
