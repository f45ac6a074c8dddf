"""Targets that are the model's own prediction, taken from a forward pass that runs anyway."""

from collections.abc import Callable, Sequence
from typing import overload

from jaxtyping import Float
from torch import Tensor

from model_understanding.model.model import Model
from model_understanding.passes.target_values import Entry
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

MakeTarget = Callable[[int, Tokens], Target]


class PredictedTargets(Sequence[Sequence[Target]]):
    """One target per text: the class or token that the model predicts.

    The prediction is taken from the first forward pass over the texts. Gradient methods run that pass
    anyway, so it costs nothing extra; a target that is read before causes a forward pass.

    Args:
        model: The model.
        encoding: The texts, all of the same length.
        make: Makes a target from the predicted class or token and the tokens of the text.
    """

    def __init__(self, model: Model, encoding: Encoding, make: MakeTarget) -> None:
        self._model = model
        self._encoding = encoding
        self._make = make
        self._position = encoding.ids.shape[1] - 1 if model.is_language_model else 0
        self._rows: list[tuple[Target, ...]] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the predictions are known."""
        return self._rows is not None

    def entries(self) -> list[Entry]:
        """Return the positions that are read, with placeholder classes or tokens."""
        return [Entry(row, 0, self._position, 0, None, 1.0) for row in range(len(self))]

    def resolve(self, logits: Float[Tensor, "batch positions classes"]) -> None:
        """Take the predicted class or token of each text from the last position of its logits."""
        predictions = logits[:, -1].argmax(dim=-1).tolist()
        texts = self._encoding.tokens
        self._rows = [(self._make(index, tokens),) for index, tokens in zip(predictions, texts, strict=True)]

    def __len__(self) -> int:
        return len(self._encoding)

    @overload
    def __getitem__(self, index: int) -> Sequence[Target]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[Target]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[Target] | Sequence[Sequence[Target]]:
        if self._rows is None:
            self.resolve(self._model.logits(self._encoding, keep_from=self._position))
        assert self._rows is not None
        return self._rows[index]
