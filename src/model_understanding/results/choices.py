"""A choice among several texts: multiple choice, labels by hypothesis, ranked documents."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from model_understanding.results.rendering import Displayed
from model_understanding.tokens import SHARE, Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Choices(Displayed):
    """Several texts that a model compares for one question, each read beside it.

    A report of choices has an attribution for each choice, or for the first of them, in the order of
    ``ranking``: the model reads each beside the question alone.

    Args:
        kind: ``choice`` (one of several answers), ``label`` (labels by hypothesis) or ``document`` (documents
            by their relevance or similarity to a query).
        tokens: The question with the choice that comes first in ``ranking``, as the model reads them.
        question: The question, text or query.
        names: The choices, in the order given.
        values: Logit, score or cosine of each choice, shape ``(C,)``.
        probabilities: Probability of each choice, shape ``(C,)``; ``None`` if the model gives none.
        quantity: What ``values`` are, for example ``logit`` or ``cosine``.
        multi_label: Whether each probability is that of one choice by itself, so that several choices can
            hold; otherwise the probabilities of all choices sum to 1, if there are any.
    """

    kind: str
    tokens: Tokens
    question: str
    names: tuple[str, ...]
    values: Float[np.ndarray, " choices"]
    probabilities: Float[np.ndarray, " choices"] | None
    quantity: str
    multi_label: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        if not self.names:
            raise ValueError("There is no choice.")
        shape = (len(self.names),)
        object.__setattr__(self, "values", read_only(self.values, np.float32, shape, "values"))
        if self.probabilities is not None:
            frozen = read_only(self.probabilities, np.float32, shape, "probabilities", SHARE)
            object.__setattr__(self, "probabilities", frozen)

    @property
    def ranking(self) -> tuple[int, ...]:
        """Indices of the choices, highest value first."""
        return tuple(int(index) for index in np.argsort(-self.values, kind="stable"))

    @property
    def index(self) -> int:
        """Index of the choice with the highest value."""
        return self.ranking[0]

    @property
    def label(self) -> str:
        """The choice with the highest value."""
        return self.names[self.index]

    @property
    def probability(self) -> float | None:
        """Probability of that choice, or ``None`` if the model gives none."""
        return None if self.probabilities is None else float(self.probabilities[self.index])
