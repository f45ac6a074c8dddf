"""A baseline given as numbers, kept so that the method which holds it can be compared and recorded."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError


class TensorBaseline:
    """A baseline given as numbers; equal to another of the same shape and numbers.

    Args:
        values: Floats of shape ``(T, D)``, ``(1, D)`` or ``(D,)``, for each token or for all alike; a numpy
            array or a torch tensor. They are copied and kept as 32-bit floats.

    Raises:
        InputError: They are no floats, not finite, or of another number of axes.

    >>> TensorBaseline(np.zeros(3)) == TensorBaseline(torch.zeros(3))
    True
    """

    __slots__ = ("_digest", "values")

    def __init__(self, values: np.ndarray | Tensor) -> None:
        is_tensor = isinstance(values, Tensor)
        is_float = values.is_floating_point() if is_tensor else values.dtype.kind == "f"
        shape = tuple(values.shape)
        if not is_float or len(shape) not in (1, 2) or 0 in shape:
            kind = str(values.dtype).removeprefix("torch.")
            raise InputError(
                "A baseline's tensor must hold floats, of shape (tokens, width), (1, width) or (width,). "
                f"Got {kind} of shape {shape}.",
                hint="Pass embeddings, or baseline='id:NUMBER' for the embedding of an id.",
            )
        with np.errstate(over="ignore"):  # what overflows is refused just below
            given = values.detach().cpu().float().numpy() if is_tensor else values
            numbers = np.array(given, dtype=np.float32)
        if not np.isfinite(numbers).all():
            raise InputError(
                f"The baseline's tensor of shape {shape} holds numbers that are not finite as 32-bit floats.",
                hint="Pass finite numbers.",
            )
        numbers.flags.writeable = False
        self.values: Float[np.ndarray, "*tokens width"] = numbers
        self._digest = hashlib.sha256(numbers.astype("<f4").tobytes()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorBaseline) and (self.values.shape, self._digest) == (
            other.values.shape,
            other._digest,
        )

    def __hash__(self) -> int:
        return hash((self.values.shape, self._digest))

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.values.shape))
        return f"tensor({shape} float32 sha256:{self._digest[:16]})"

    def fitted(
        self, own: Float[Tensor, "batch tokens width"], lengths: Sequence[int]
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the numbers as embeddings of each token of texts, 0 where they are padded.

        Args:
            own: The texts' own embeddings.
            lengths: How many tokens each text has, without padding.

        Raises:
            InputError: The shape fits another width, or another number of tokens.
        """
        numbers = torch.tensor(np.atleast_2d(self.values), device=own.device)
        (rows, given_width), (_, tokens, width) = numbers.shape, own.shape
        for length in lengths:
            if given_width != width or rows not in (1, length):
                raise InputError(
                    f"The baseline's tensor has shape {self.values.shape}, the explained text {length} "
                    f"tokens of width {width}.",
                    hint=f"Pass shape ({length}, {width}), or ({width},) for all tokens alike.",
                )
        if rows > 1:
            numbers = torch.nn.functional.pad(numbers, (0, 0, 0, tokens - rows))
        return numbers.expand_as(own)
