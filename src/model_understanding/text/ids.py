"""Token ids that are given in place of a text."""

from typing import Any

import numpy as np

from model_understanding.checks import is_whole
from model_understanding.errors import InputError


def ids_in(value: Any, what: str) -> list[int] | None:
    """Return token ids; ``None`` for a value that holds none, as a text or messages.

    Args:
        value: A list, a tuple, an array or a tensor of whole numbers; a tokenizer's ``[ids]`` of one text
            counts too if it is an array or a tensor.
        what: ``prompt``, ``continuation`` or ``answer``, for the message.

    Raises:
        InputError: An array of whole numbers has several rows or none; an id is negative.

    >>> ids_in([1, 450, 7483], "prompt"), ids_in("The capital", "prompt")
    ([1, 450, 7483], None)
    """
    if isinstance(value, list | tuple):
        if not value or not all(is_whole(token) for token in value):
            return None
        ids = [int(token) for token in value]
    elif "int" in str(getattr(value, "dtype", "")) and hasattr(value, "tolist"):
        array = np.asarray(value.tolist())
        array = array[0] if array.ndim == 2 and len(array) == 1 else array
        if array.ndim != 1 or not array.size:
            raise InputError(
                f"The token ids of the {what} must be one row. Got the shape {tuple(np.shape(value))}.",
                hint="Pass the ids of one text, or a list with those of each.",
            )
        ids = array.tolist()
    else:
        return None
    if min(ids) < 0:
        raise InputError(
            f"The token ids of the {what} must be at least 0. Got {min(ids)}.",
            hint="Pass for example tokenizer(text)['input_ids'].",
        )
    return ids
