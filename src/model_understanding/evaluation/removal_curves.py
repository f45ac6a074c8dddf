"""Comprehensiveness, sufficiency, deletion and insertion: the target as more and more tokens are removed.

Each is the mean of a curve: the target's value, or its drop, without the top-ranked tokens or with these
alone. The curves of random orders of the same text are its control.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from model_understanding.evaluation.ranked_text import FRACTIONS, KEPT_FRACTIONS, RankedText
from model_understanding.results import Evaluation

_TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RemovalCurve:
    """The mean of a curve over fractions of the tokens, for each quantity and replacement.

    Args:
        fractions: Fractions of the tokens that are removed, or kept.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    keep: ClassVar[bool]
    """Whether the top-ranked tokens are kept, and the others removed."""
    drop: ClassVar[bool]
    """Whether the curve is the drop from the text itself, and not the value."""

    fractions: tuple[float, ...]

    def removals(self, text: RankedText) -> Bool[np.ndarray, "variants tokens"]:
        """Return the variants that the metric needs."""
        removed = text.removed(self.fractions, keep=self.keep)
        return removed.reshape(-1, removed.shape[-1])

    def __call__(self, text: RankedText) -> tuple[Evaluation, ...]:
        """Evaluate one attribution."""
        curves = (text.drops if self.drop else text.values)(self.fractions, keep=self.keep)
        return tuple(
            text.evaluation_against_random(
                self.name,
                curves[j, ..., i].mean(axis=1),
                np.abs(curves[j, ..., i]).max(),
                higher_is_better=self.higher_is_better,
                curve=np.stack([np.array(self.fractions), curves[j, 0, :, i]], axis=1),
                quantity=quantity,
                replacement=replacement,
            )
            for i, quantity in enumerate(text.removals.quantities)
            for j, replacement in enumerate(text.removals.replacements)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comprehensiveness(_RemovalCurve):
    r"""The mean drop of the target without the top-ranked tokens, over several fractions of the tokens.

    ``1/B Σ_b [ f(x) − f(x without its top k_b tokens) ]``, higher is better

    Args:
        fractions: Fractions of the tokens that are removed.

    Reference:
        DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4.2;
        here tokens are replaced in place, and compared with random orders of the same text.

    >>> Comprehensiveness().fractions
    (0.05, 0.2, 0.5)
    """

    name: ClassVar[str] = "comprehensiveness"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + 3 × 6 orders forward passes per replacement"
    reference: ClassVar[str] = "DeYoung et al. 2020"
    keep: ClassVar[bool] = False
    drop: ClassVar[bool] = True

    fractions: tuple[float, ...] = FRACTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Sufficiency(_RemovalCurve):
    r"""The mean drop of the target with the top-ranked tokens alone, over several fractions of the tokens.

    ``1/B Σ_b [ f(x) − f(only the top k_b tokens of x) ]``, lower is better

    Args:
        fractions: Fractions of the tokens that are kept.

    Reference:
        DeYoung et al. (2020), "ERASER: A Benchmark to Evaluate Rationalized NLP Models", section 4.2;
        here tokens are replaced in place, and compared with random orders of the same text.

    >>> Sufficiency().higher_is_better
    False
    """

    name: ClassVar[str] = "sufficiency"
    higher_is_better: ClassVar[bool] = False
    on_request: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + 6 orders forward passes per replacement"
    reference: ClassVar[str] = "DeYoung et al. 2020"
    keep: ClassVar[bool] = True
    drop: ClassVar[bool] = True

    fractions: tuple[float, ...] = KEPT_FRACTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion(_RemovalCurve):
    r"""The mean of the target while more and more tokens are removed, the top-ranked ones first.

    ``1/B Σ_b f(x without its top k_b tokens)``, lower is better

    Args:
        fractions: Fractions of the tokens that are removed.

    Reference:
        Petsiuk, Das, Saenko (2018), "RISE: Randomized Input Sampling for Explanation of Black-box
        Models", section 4; here for the target's own quantity, and compared with random orders.

    >>> len(Deletion().fractions)
    10
    """

    name: ClassVar[str] = "deletion"
    higher_is_better: ClassVar[bool] = False
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "1 + 10 × 6 orders forward passes per replacement"
    reference: ClassVar[str] = "Petsiuk et al. 2018"
    keep: ClassVar[bool] = False
    drop: ClassVar[bool] = False

    fractions: tuple[float, ...] = _TENTHS


@dataclass(frozen=True, slots=True, kw_only=True)
class Insertion(_RemovalCurve):
    r"""The mean of the target while more and more tokens are inserted, the top-ranked ones first.

    ``1/B Σ_b f(only the top k_b tokens of x)``, higher is better

    Args:
        fractions: Fractions of the tokens that are kept.

    Reference:
        Petsiuk, Das, Saenko (2018), "RISE: Randomized Input Sampling for Explanation of Black-box
        Models", section 4; here for the target's own quantity, and compared with random orders.

    >>> Insertion().higher_is_better
    True
    """

    name: ClassVar[str] = "insertion"
    higher_is_better: ClassVar[bool] = True
    on_request: ClassVar[bool] = True
    cost: ClassVar[str] = "1 + 10 × 6 orders forward passes per replacement"
    reference: ClassVar[str] = "Petsiuk et al. 2018"
    keep: ClassVar[bool] = True
    drop: ClassVar[bool] = False

    fractions: tuple[float, ...] = _TENTHS
