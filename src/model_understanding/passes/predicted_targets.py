"""Targets that follow from the model's own answer, found on a forward that runs anyway."""

from collections.abc import Callable, Sequence
from typing import overload

from jaxtyping import Float
from torch import Tensor

from model_understanding.model.model import Model
from model_understanding.passes.target_values import Entry
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

MakeTarget = Callable[[int, int], Target]


class PredictedTargets(Sequence[Sequence[Target]]):
    """One target for each text: the class or token that the model finds likeliest.

    The first forward over the texts themselves says which. A gradient method runs that forward for its
    own sake, so naming no target costs nothing; who reads a target before it causes a forward.

    Args:
        model: The model.
        encoding: The texts, all of one length.
        make: Makes a target of the likeliest class or token, and of the position where it is read.
    """

    def __init__(self, model: Model, encoding: Encoding, make: MakeTarget) -> None:
        self._model = model
        self._encoding = encoding
        self._make = make
        self._position = encoding.ids.shape[1] - 1 if model.is_language_model else 0
        self._rows: list[tuple[Target, ...]] | None = None

    @property
    def is_known(self) -> bool:
        """Whether a forward has said which targets these are."""
        return self._rows is not None

    def entries(self) -> list[Entry]:
        """Return where the answer is read, before it is known which entry it is."""
        return [Entry(row, 0, self._position, 0, None, 1.0) for row in range(len(self))]

    def settle(self, logits: Float[Tensor, "batch positions classes"]) -> None:
        """Take the likeliest class or token from logits whose last position is the answer's."""
        best = logits[:, -1].argmax(dim=-1).tolist()
        self._rows = [(self._make(index, self._position),) for index in best]

    def __len__(self) -> int:
        return len(self._encoding)

    @overload
    def __getitem__(self, number: int) -> Sequence[Target]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Sequence[Target]]: ...
    def __getitem__(self, number: int | slice) -> Sequence[Target] | Sequence[Sequence[Target]]:
        if self._rows is None:
            self.settle(self._model.logits(self._encoding, keep_from=self._position))
        assert self._rows is not None
        return self._rows[number]
