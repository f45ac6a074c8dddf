"""Which tokens of two texts make them similar: token × token contributions to their similarity."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float

from model_understanding.errors import NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Rendered
from model_understanding.tokens import Tokens, read_only

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TokenLinks(Rendered):
    """Contributions of pairs of tokens, one of each text, to the similarity of the texts.

    ``Σ scores + rest + gap = similarity``

    Args:
        first: Tokens of the first text.
        second: Tokens of the second text.
        scores: Contribution of each pair, shape ``(first, second)``; 0 for special tokens, which stay as they
            are.
        similarity: The similarity of both texts.
        rest: What the pairs do not explain: what both texts have in common with texts without words
            (``integrated_jacobians``), or what removing a unit of each text does not show (``removals``).
        method: How the contributions were computed: ``integrated_jacobians`` or ``removals``.
        quantity: What ``similarity`` is: ``cosine``, ``dot``, or a negative distance.
        reference: What replaces tokens in a text without them: ``mask``, ``pad`` or ``mean``.
        gap: What the scores lack to their exact sum, because an integral is computed at a few points, and
            what half precision changes in the similarity; 0 for removals in 32 bits.
        provenance: Model, software and warnings.

    Raises:
        ValueError: The shape of the scores does not match.
        NumericalError: A score is not finite.
    """

    first: Tokens
    second: Tokens
    scores: Float[np.ndarray, "first second"]
    similarity: float
    rest: float
    method: str
    quantity: str = "cosine"
    reference: str = "mask"
    gap: float = 0.0
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        shape = (len(self.first), len(self.second))
        object.__setattr__(self, "scores", read_only(self.scores, np.float32, shape, "scores"))
        if not np.isfinite(self.scores).all():
            raise NumericalError(
                "The links are not finite.", hint="Load the model with dtype='float32' and try again."
            )

    @property
    def total(self) -> float:
        """The sum of all pairs: how much of the similarity they explain."""
        return float(self.scores.sum(dtype=np.float64))

    def words(self) -> Self:
        """Return the links between the words of both texts: the sums of their tokens' scores."""
        first, second = self.first.groups("word"), self.second.groups("word")
        rows = np.stack([self.scores[list(group)].sum(axis=0, dtype=np.float64) for group in first])
        scores = np.stack([rows[:, list(group)].sum(axis=1) for group in second], axis=1)
        return replace(self, first=self.first.fold(first), second=self.second.fold(second), scores=scores)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a row for each pair of tokens: the tokens, their positions and the score."""
        import pandas

        first, second = self.first.labels(), self.second.labels()
        rows, columns = (places.ravel() for places in np.indices(self.scores.shape))
        return pandas.DataFrame(
            {
                "first": [first[row] for row in rows],
                "second": [second[column] for column in columns],
                "first_position": rows,
                "second_position": columns,
                "score": self.scores.ravel(),
            }
        )

    def strongest(self, count: int = 10) -> list[tuple[str, str, float]]:
        """Return the pairs of tokens with the largest scores, whatever their sign.

        Args:
            count: How many.

        Returns:
            Token of the first text, token of the second text, and score.
        """
        order = np.argsort(-np.abs(self.scores), axis=None, kind="stable")[:count]
        first, second = self.first.labels(), self.second.labels()
        places = zip(*np.unravel_index(order, self.scores.shape), strict=True)
        return [(first[row], second[column], float(self.scores[row, column])) for row, column in places]
