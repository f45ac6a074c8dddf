"""Which of two texts a masked language model finds more natural, and where they differ."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from model_understanding.comparison.alignment import Alignment, Matching, match_tokens
from model_understanding.results.pseudo_likelihood import PseudoLikelihood
from model_understanding.results.rendering import Displayed
from model_understanding.tokens import read_only

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LikelihoodComparison(Displayed):
    """The pseudo-log-likelihoods of two texts, token by token over their alignment.

    Args:
        first: That of the first text.
        second: That of the second.
        names: Names of the texts.
        alignment: The alignment of both texts into U units.
        log_probabilities: The log-probability of each unit in the first and in the second text, shape
            ``(2, U)``: the sum over its tokens; 0 where a text has no such unit.
    """

    first: PseudoLikelihood
    second: PseudoLikelihood
    names: tuple[str, str]
    alignment: Alignment
    log_probabilities: Float[np.ndarray, "texts units"]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        shape = (2, len(self.alignment.pairs))
        values = read_only(self.log_probabilities, np.float32, shape, "log_probabilities")
        object.__setattr__(self, "log_probabilities", values)

    @property
    def difference(self) -> float:
        """The total of the second text minus that of the first, in nats."""
        return self.second.total - self.first.total

    @property
    def differences(self) -> Float[np.ndarray, " units"]:
        """The difference of each unit, second minus first; they sum to ``difference``."""
        return self.log_probabilities[1] - self.log_probabilities[0]

    @property
    def preferred(self) -> int:
        """0 if the first text has the higher total, else 1."""
        return int(self.difference > 0)

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a row for each unit: its text in both, its log-probabilities and their difference."""
        import pandas

        first, second = (
            [labels[position] if position >= 0 else "" for position in self.alignment.pairs[:, side]]
            for side, labels in enumerate((self.alignment.first.labels(), self.alignment.second.labels()))
        )
        return pandas.DataFrame(
            {
                "first": first,
                "second": second,
                "kind": self.alignment.kinds(),
                "first_log_probability": self.log_probabilities[0],
                "second_log_probability": self.log_probabilities[1],
                "difference": self.differences,
            }
        )


def compare_likelihoods(
    first: PseudoLikelihood, second: PseudoLikelihood, names: tuple[str, str]
) -> LikelihoodComparison:
    """Compare the pseudo-log-likelihoods of two texts.

    Args:
        first: That of a text.
        second: That of another.
        names: Names of the texts.
    """
    matching = match_tokens(first.tokens, second.tokens)
    return LikelihoodComparison(
        first=first,
        second=second,
        names=names,
        alignment=matching.alignment(first.tokens, second.tokens),
        log_probabilities=np.stack([_of_units(first, matching, 0), _of_units(second, matching, 1)]),
    )


def _of_units(likelihood: PseudoLikelihood, matching: Matching, side: int) -> Float[np.ndarray, " units"]:
    values = np.zeros(len(likelihood.tokens))
    values[likelihood.positions] = likelihood.log_probabilities
    return np.array([values[list(unit[side])].sum() for unit in matching.units])
