"""Attention tensors from elsewhere as one array (L, H, Q, K)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError
from model_understanding.tokens import Tokens

_SHAPES = "(Q, K), (H, Q, K), (L, H, Q, K), or one array per layer of shape (H, Q, K) or (1, H, Q, K)"


def as_weights(weights: Any) -> Float[np.ndarray, "layers heads queries keys"]:
    """Return attention weights as an array with four axes.

    Args:
        weights: A numpy array, a torch tensor on any device, nested lists, or a tuple or list with one of
            these per layer, as ``output_attentions`` returns it.

    Returns:
        32-bit floats.

    Raises:
        InputError: The weights have another shape, hold several texts, or are not numbers.
    """
    per_layer = isinstance(weights, tuple | list) and bool(weights) and hasattr(weights[0], "shape")
    if per_layer and any(not hasattr(layer, "shape") for layer in weights):
        raise InputError(
            "Some layers have no attention weights: the model did not return them.",
            hint="Load the model with attn_implementation='eager', or use compute_attention instead.",
        )
    if per_layer and len({np.shape(layer) for layer in weights}) > 1:
        shapes = ", ".join(dict.fromkeys(str(tuple(np.shape(layer))) for layer in weights))
        raise InputError(
            f"The layers have weights of different shapes: {shapes}.",
            hint="Pass one text and one stack of layers (encoder, decoder or cross-attention).",
        )
    array = np.stack([_as_floats(layer) for layer in weights]) if per_layer else _as_floats(weights)
    if array.ndim == 5 and array.shape[1] == 1:  # layers of (1, H, Q, K)
        array = array[:, 0]
    if array.ndim == 5:
        raise InputError(
            f"The weights are of {array.shape[1]} texts: shape {_shape(array)}.",
            hint="Pass the weights of one text, for example tuple(layer[0] for layer in attentions).",
        )
    if not 2 <= array.ndim <= 4:
        raise InputError(
            f"Attention weights must have shape {_SHAPES}. Got {_shape(array)}.",
            hint="Pass the attention of one text.",
        )
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def is_of_steps(weights: Any) -> bool:
    """Return whether weights are those of ``generate``: for each step a tuple with an array per layer."""
    return (
        isinstance(weights, tuple | list)
        and bool(weights)
        and isinstance(weights[0], tuple | list)
        and bool(weights[0])
        and len(np.shape(weights[0][0]) if hasattr(weights[0][0], "shape") else ()) in (3, 4)
    )


def joined_steps(weights: Any) -> Float[np.ndarray, "layers heads queries keys"]:
    """Return the weights of ``generate`` as those of one causal forward pass: a row for each token it read.

    Args:
        weights: For each step a tuple with ``(1, H, Q, K)`` per layer: first those of the prompt, then one
            row for each token that was written, except the last.

    Raises:
        InputError: The steps do not follow each other, or hold several texts.
    """
    steps = [as_weights(step) for step in weights]
    shapes = [step.shape for step in steps]
    ends = np.cumsum([shape[2] for shape in shapes])
    if any(shape[3] != end or shape[:2] != shapes[0][:2] for shape, end in zip(shapes, ends, strict=True)):
        found = ", ".join(str(tuple(shape)) for shape in shapes[:4])
        raise InputError(
            "The steps of a generation must attend to all tokens before them: layers × heads × new tokens × "
            f"all tokens so far. Got {found}.",
            hint="Pass the attention of one forward pass over the whole text, or use compute_attention.",
        )
    joined = np.zeros((*shapes[0][:2], int(ends[-1]), int(ends[-1])), dtype=np.float32)
    for step, end in zip(steps, ends, strict=True):
        joined[:, :, end - step.shape[2] : end, :end] = step
    return joined


def as_tokens(tokens: Tokens | Sequence[str], count: int, name: str) -> Tokens:
    """Return tokens, built from strings if needed.

    Args:
        tokens: Tokens, or one string per token.
        count: Number of tokens that the weights have.
        name: ``queries`` or ``keys``, for the message.

    Returns:
        The tokens.

    Raises:
        InputError: The tokens are not strings, or their number does not match the weights.
    """
    if not isinstance(tokens, Tokens):
        if isinstance(tokens, str) or not all(isinstance(piece, str) for piece in tokens):
            raise InputError(
                f"{name} must be Tokens or one string per token. Got {type(tokens).__name__}.",
                hint="Pass for example tokenizer.convert_ids_to_tokens(ids).",
            )
        tokens = Tokens.from_pieces(tokens)
    if len(tokens) != count:
        raise InputError(
            f"The weights have {count} {name}, but {len(tokens)} tokens were passed.",
            hint="Pass all tokens that the model saw, including special tokens, in the order of the weights.",
        )
    return tokens


def as_mask(
    mask: Any | Literal["causal"] | None, queries: int, keys: int
) -> Bool[np.ndarray, "queries keys"]:
    """Return the mask of cells that can be attended to.

    Args:
        mask: The mask, ``"causal"``, or ``None`` for all cells.
        queries: Number of queries.
        keys: Number of keys; if there are more keys than queries, a causal mask aligns the last query with
            the last key.

    Returns:
        The mask.

    Raises:
        InputError: The mask is unknown or has another shape, or a causal mask has more queries than keys.
    """
    if mask is None:
        return np.ones((queries, keys), dtype=bool)
    if isinstance(mask, str):
        if mask != "causal":
            raise InputError(
                f"Unknown mask {mask!r}. Allowed: 'causal', an array, None.",
                hint="Omit mask to allow every cell.",
            )
        if queries > keys:
            raise InputError(
                f"A causal mask needs no fewer keys than queries. Got {queries} queries and {keys} keys.",
                hint="Pass the mask as an array.",
            )
        return np.tril(np.ones((queries, keys), dtype=bool), keys - queries)
    array = _as_floats(mask) != 0
    if array.shape != (queries, keys):
        raise InputError(
            f"The mask has shape {_shape(array)}; the weights of a head have shape ({queries}, {keys}).",
            hint="Pass an array that is True where a query can attend to a key.",
        )
    return array


def _as_floats(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):  # a torch tensor, without importing torch; numpy has no bfloat16
        values = values.detach().cpu()
        values = values.float().numpy() if values.is_floating_point() else values.numpy()
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The weights cannot be converted to an array of numbers: {str(error).rstrip('.')}.",
            hint=f"Pass an array, a tensor or nested lists of shape {_SHAPES}.",
        ) from error


def _shape(array: np.ndarray) -> str:
    return f"({', '.join(map(str, array.shape))}{',' if array.ndim == 1 else ''})"
