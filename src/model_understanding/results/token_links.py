"""Which tokens of two texts make them similar: token × token contributions to their cosine."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Displayed
from model_understanding.tokens import Tokens, read_only


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class TokenLinks(Displayed):
    """Contributions of pairs of tokens, one of each text, to the cosine of the texts.

    ``Σ scores + rest = similarity``

    Args:
        first: Tokens of the first text.
        second: Tokens of the second text.
        scores: Contribution of each pair, shape ``(first, second)``.
        similarity: The cosine of both texts.
        rest: What the pairs do not explain: the references' own share.
        method: How the contributions were computed.
        provenance: Model, software and warnings.
    """

    first: Tokens
    second: Tokens
    scores: Float[np.ndarray, "first second"]
    similarity: float
    rest: float
    method: str
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        shape = (len(self.first), len(self.second))
        object.__setattr__(self, "scores", read_only(self.scores, np.float32, shape, "scores"))
