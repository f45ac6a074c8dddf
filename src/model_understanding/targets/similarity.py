"""The target of a similarity: the one output that a model gives for two texts."""

from typing import Any

from model_understanding.errors import InputError
from model_understanding.results import Target
from model_understanding.results.target import Quantity
from model_understanding.targets.names import SIMILARITY


def similarity_target(kind: str, quantity: Quantity, target: Any = None, against: Any = None) -> Target:
    """Return the similarity of two texts as a target.

    Args:
        kind: The similarity, for example ``cosine``.
        quantity: ``logit``, the similarity as it is.
        target: What a caller named; only the similarity itself can be explained.
        against: What it is compared with; there is nothing.

    Raises:
        InputError: Something else is named.

    >>> similarity_target("cosine", "logit").description()
    'cosine'
    """
    if target not in (None, kind):
        raise InputError(
            f"The target {target!r} is not possible: two texts have one similarity, their {kind}.",
            hint="Leave target out, or pass a function of the model's outputs.",
        )
    if against is not None or quantity != "logit":
        raise InputError(
            f"A {kind} has no probability and nothing to be compared with. Got quantity={quantity!r} and "
            f"against={against!r}.",
            hint="Leave quantity and against out.",
        )
    return Target(task=SIMILARITY, indices=(0,), labels=(kind,))
