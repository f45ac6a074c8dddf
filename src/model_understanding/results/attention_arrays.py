"""A user's own attention tensors as one array (L, H, Q, K)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError
from model_understanding.tokens import Tokens

_SHAPES = "(Q, K), (H, Q, K), (L, H, Q, K), or a layer each of (H, Q, K) or (1, H, Q, K)"


def weights_of(weights: Any) -> Float[np.ndarray, "layers heads queries keys"]:
    """Return weights as an array of four axes.

    Args:
        weights: A numpy array, a torch tensor on any device, nested lists, or a tuple or list with one of
            these for each layer, as ``output_attentions`` returns it.

    Returns:
        32-bit floats.

    Raises:
        InputError: They have another shape, hold several texts, or are no numbers.
    """
    per_layer = isinstance(weights, tuple | list) and bool(weights) and hasattr(weights[0], "shape")
    if per_layer and any(not hasattr(layer, "shape") for layer in weights):
        raise InputError(
            "Some layers have no weights: the model did not return them.",
            hint="Load it with attn_implementation='eager', or use compute_attention, which needs no reload.",
        )
    if per_layer and len({np.shape(layer) for layer in weights}) > 1:
        shapes = ", ".join(dict.fromkeys(str(tuple(np.shape(layer))) for layer in weights))
        raise InputError(
            f"The layers' weights have different shapes: {shapes}.",
            hint="Pass one text and the layers of one stack (encoder, decoder or cross-attention).",
        )
    array = np.stack([_numbers(layer) for layer in weights]) if per_layer else _numbers(weights)
    if array.ndim == 5 and array.shape[1] == 1:  # layers of (1, H, Q, K)
        array = array[:, 0]
    if array.ndim == 5:
        raise InputError(
            f"The weights are of {array.shape[1]} texts: {_shape(array)}.",
            hint="Pass those of one text, as tuple(layer[0] for layer in attentions).",
        )
    if not 2 <= array.ndim <= 4:
        raise InputError(
            f"Weights have 2, 3 or 4 axes: {_SHAPES}. Got {array.ndim}: {_shape(array)}.",
            hint="Pass the attention of one text.",
        )
    return array.reshape((1,) * (4 - array.ndim) + array.shape)


def tokens_of(given: Tokens | Sequence[str], count: int, name: str) -> Tokens:
    """Return tokens of a user's strings.

    Args:
        given: Tokens, or one string for each.
        count: How many the weights have.
        name: ``queries`` or ``keys``.

    Returns:
        The tokens.

    Raises:
        InputError: They are not strings, or not as many as the weights have.
    """
    if not isinstance(given, Tokens):
        if isinstance(given, str) or not all(isinstance(piece, str) for piece in given):
            raise InputError(
                f"{name} must be Tokens or one string for each token. Got {type(given).__name__}.",
                hint="Pass for example tokenizer.convert_ids_to_tokens(ids).",
            )
        given = Tokens.from_pieces(given)
    if len(given) != count:
        raise InputError(
            f"The weights have {count} {name}, but {len(given)} tokens were given.",
            hint="Pass the tokens that the model saw, special ones included, in the order of the weights.",
        )
    return given


def mask_of(
    mask: Any | Literal["causal"] | None, queries: int, keys: int
) -> Bool[np.ndarray, "queries keys"]:
    """Return which cells may be attended to.

    Args:
        mask: The mask, ``"causal"``, or ``None`` for all cells.
        queries: How many queries there are.
        keys: How many keys; with more keys than queries a causal mask ends at the last key of both.

    Returns:
        The mask.

    Raises:
        InputError: It has another shape, or there are more queries than keys in a causal one.
    """
    if mask is None:
        return np.ones((queries, keys), dtype=bool)
    if isinstance(mask, str):
        if mask != "causal":
            raise InputError(
                f"mask {mask!r} is unknown. Allowed: 'causal', an array, None.", hint="Leave it out."
            )
        if queries > keys:
            raise InputError(
                f"A causal mask needs as many keys as queries. Got {queries} queries and {keys} keys.",
                hint="Pass the mask as an array.",
            )
        return np.tril(np.ones((queries, keys), dtype=bool), keys - queries)
    array = _numbers(mask) != 0
    if array.shape != (queries, keys):
        raise InputError(
            f"The mask has shape {_shape(array)}, the weights of a head have {queries} × {keys}.",
            hint="Pass True where a query may look at a key.",
        )
    return array


def _numbers(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):  # a torch tensor, without importing torch; numpy knows no bfloat16
        values = values.detach().cpu()
        values = values.float().numpy() if values.is_floating_point() else values.numpy()
    try:
        return np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The weights are no array of numbers: {str(error).rstrip('.')}.",
            hint=f"Pass an array, a tensor or nested lists of shape {_SHAPES}.",
        ) from error


def _shape(array: np.ndarray) -> str:
    return f"({', '.join(map(str, array.shape))}{',' if array.ndim == 1 else ''})"
