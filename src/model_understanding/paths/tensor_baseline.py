"""A baseline given as an array, which can be hashed, compared and recorded."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError


class TensorBaseline:
    """A baseline given as an array; baselines with the same shape and numbers are equal.

    Args:
        values: A numpy array or torch tensor of floats, of shape ``(T, D)`` for each token, or ``(1, D)`` or
            ``(D,)`` for all tokens. The values are copied as 32-bit floats.

    Raises:
        InputError: The values are not floats, not finite, or have another shape.

    >>> TensorBaseline(np.zeros(3)) == TensorBaseline(torch.zeros(3))
    True
    """

    __slots__ = ("_digest", "values")

    def __init__(self, values: np.ndarray | Tensor) -> None:
        is_tensor = isinstance(values, Tensor)
        is_float = values.is_floating_point() if is_tensor else values.dtype.kind == "f"
        shape = tuple(values.shape)
        if not is_float or len(shape) not in (1, 2) or 0 in shape:
            dtype = str(values.dtype).removeprefix("torch.")
            raise InputError(
                "A baseline's array must contain floats and have shape (tokens, width), (1, width) or "
                f"(width,). Got {dtype} of shape {shape}.",
                hint="Pass embeddings; for the embedding of a token, pass baseline='id:NUMBER'.",
            )
        with np.errstate(over="ignore"):  # checked below
            array = values.detach().cpu().float().numpy() if is_tensor else values
            numbers = np.array(array, dtype=np.float32)
        if not np.isfinite(numbers).all():
            raise InputError(
                f"The baseline's array of shape {shape} has values that are not finite as 32-bit floats.",
                hint="Pass finite values.",
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

    def expanded(
        self, embeddings: Float[Tensor, "batch tokens width"], lengths: Sequence[int]
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the values as embeddings of every token of a batch of texts, 0 at padding.

        Args:
            embeddings: The texts' embeddings.
            lengths: Number of tokens of each text, without padding.

        Raises:
            InputError: The shape fits another width, or another number of tokens.
        """
        values = torch.tensor(np.atleast_2d(self.values), device=embeddings.device)
        (rows, baseline_width), (_, tokens, width) = values.shape, embeddings.shape
        for length in lengths:
            if baseline_width != width or rows not in (1, length):
                raise InputError(
                    f"The baseline's array has shape {self.values.shape}, but the explained text has "
                    f"{length} tokens of width {width}.",
                    hint=f"Pass shape ({length}, {width}), or ({width},) for the same values at all tokens.",
                )
        if rows > 1:
            values = torch.nn.functional.pad(values, (0, 0, 0, tokens - rows))
        return values.expand_as(embeddings)
