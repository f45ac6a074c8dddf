"""The pseudo-log-likelihood of a text: how likely each of its tokens is, given all others."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float, Int

from model_understanding.results.files import csv_text
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Displayed
from model_understanding.tokens import Tokens, read_only

if TYPE_CHECKING:
    import pandas

Masking = Literal["token", "word-l2r"]
MASKINGS: tuple[str, ...] = ("token", "word-l2r")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PseudoLikelihood(Displayed):
    r"""The log-probability of each token of a text where it is masked (Salazar et al. 2020).

    ``PLL = Σ_t log p(token_t | all other tokens)``, one forward pass with token t masked for each t. It ranks
    texts by how natural the model finds them; it is no log-probability of the text, and sums over texts of
    different lengths are compared per token.

    Args:
        tokens: The input tokens.
        positions: Positions of the P scored tokens: all but special ones, shape ``(P,)``.
        log_probabilities: The log-probability of each of them in nats, shape ``(P,)``.
        masking: ``token`` masks one token at a time; ``word-l2r`` also masks the tokens of the same word that
            follow it, which cannot give away the rest of a rare word (Kauf and Ivanova 2023).
        provenance: Origin of the result.

    Raises:
        ValueError: The shapes do not match, a position is outside the text, or a value is above 0.

    >>> tokens = Tokens.from_pieces(["a", "film"])
    >>> likelihood = PseudoLikelihood(tokens=tokens, positions=[0, 1], log_probabilities=[-1.0, -3.0])
    >>> likelihood.total, round(likelihood.perplexity, 3)
    (-4.0, 7.389)
    """

    tokens: Tokens
    positions: Int[np.ndarray, " scored"]
    log_probabilities: Float[np.ndarray, " scored"]
    masking: Masking = "token"
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        positions = read_only(self.positions, np.int64, (None,), "positions")
        if not len(positions) or positions.min() < 0 or positions.max() >= len(self.tokens):
            raise ValueError(f"positions must name at least one of the {len(self.tokens)} tokens.")
        object.__setattr__(self, "positions", positions)
        values = read_only(
            self.log_probabilities, np.float32, positions.shape, "log_probabilities", (-np.inf, 0.0)
        )
        object.__setattr__(self, "log_probabilities", values)
        if self.masking not in MASKINGS:
            raise ValueError(f"masking must be one of {', '.join(MASKINGS)}. Got {self.masking!r}.")

    @property
    def total(self) -> float:
        """The sum over the tokens: the pseudo-log-likelihood, in nats."""
        return float(self.log_probabilities.astype(np.float64).sum())

    @property
    def mean(self) -> float:
        """The mean over the tokens, in nats per token."""
        return self.total / len(self.positions)

    @property
    def perplexity(self) -> float:
        """``exp(−total / P)``: the pseudo-perplexity of the text."""
        return float(np.exp(-self.mean))

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a row for each scored token: its position, text, log-probability and probability."""
        import pandas

        labels = self.tokens.labels()
        return pandas.DataFrame(
            {
                "position": self.positions,
                "token": [labels[position] for position in self.positions],
                "log_probability": self.log_probabilities,
                "probability": np.exp(self.log_probabilities),
            }
        )

    def to_csv(self) -> str:
        """Return ``to_dataframe`` as CSV."""
        return csv_text(self.to_dataframe())
