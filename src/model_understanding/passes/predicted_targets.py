"""Targets that are the model's own answer, taken from a forward pass that runs anyway."""

from collections.abc import Callable, Sequence
from typing import overload

from jaxtyping import Float
from torch import Tensor

from model_understanding.model.model import Model
from model_understanding.passes.target_values import Entry
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

MakeTarget = Callable[[Float[Tensor, "positions classes"], Tokens], Target]
"""Makes a target from the logits of one text (of a language model: of its last position) and its tokens."""


class PredictedTargets(Sequence[Sequence[Target]]):
    """One target per text: what the model answers, for example its class or its next token.

    The answer is taken from the first forward pass over the texts. Gradient methods run that pass
    anyway, so it costs nothing extra; a target that is read before causes a forward pass.

    Args:
        model: The model.
        encoding: The texts, all of the same length.
        make: Makes the target of one text.
    """

    def __init__(self, model: Model, encoding: Encoding, make: MakeTarget) -> None:
        self._model = model
        self._encoding = encoding
        self._make = make
        self._position = encoding.ids.shape[1] - 1 if model.is_language_model else 0
        self._rows: list[tuple[Target, ...]] | None = None

    @property
    def is_known(self) -> bool:
        """Whether the answers are known."""
        return self._rows is not None

    def entries(self) -> list[Entry]:
        """Return the positions that are read, with placeholder classes or tokens."""
        return [Entry(row, 0, self._position, 0, None, 1.0) for row in range(len(self))]

    def resolve(self, logits: Float[Tensor, "batch positions classes"]) -> None:
        """Make the target of each text from its logits."""
        texts = zip(logits.detach(), self._encoding.tokens, strict=True)
        self._rows = [(self._make(row, tokens),) for row, tokens in texts]

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
