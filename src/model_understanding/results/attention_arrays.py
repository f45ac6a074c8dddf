"""Attention tensors from elsewhere as one array (L, H, Q, K)."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError
from model_understanding.tokens import Tokens

_SHAPES = "(Q, K), (H, Q, K), (L, H, Q, K), or one array per layer of shape (H, Q, K) or (1, H, Q, K)"


def attention_of(weights: Any) -> Any:
    """Return the attentions of a model's output, anything else as it is.

    Args:
        weights: What a model or ``generate`` returned, or its attentions.

    Raises:
        InputError: The output has no attention, or that of an encoder and a decoder.
    """
    names = ("encoder_attentions", "decoder_attentions", "cross_attentions")
    several = [name for name in names if getattr(weights, name, None) is not None]
    if several and not hasattr(weights, "shape"):
        raise InputError(
            f"The output has several kinds of attention: {', '.join(several)}.",
            hint=f"Pass one of them, for example output.{several[0]}.",
        )
    if weights is None or (hasattr(weights, "attentions") and weights.attentions is None):
        raise InputError(
            "The output has no attention weights.",
            hint="Call the model with output_attentions=True and attn_implementation='eager', or use "
            "compute_attention instead.",
        )
    return getattr(weights, "attentions", weights)


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
    is_sequence = isinstance(weights, tuple | list) and bool(weights)
    per_layer = is_sequence and hasattr(weights[0], "shape")
    if is_sequence and any(layer is None for layer in weights):
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
    if not _is_filled(weights) or not _is_filled(weights[0]):
        return False
    layer = weights[0][0]
    return layer.ndim in (3, 4) if hasattr(layer, "shape") else _depth(layer) == 4


def _is_filled(values: Any) -> bool:
    return isinstance(values, tuple | list) and bool(values)


def _depth(values: Any) -> int:
    """Return how deep lists are nested."""
    return 1 + _depth(values[0]) if _is_filled(values) else 0


def joined_steps(weights: Any) -> tuple[Float[np.ndarray, "layers heads queries keys"], bool]:
    """Return the weights of ``generate`` as those of one forward pass: a row for each token that was read.

    Args:
        weights: For each step a tuple with ``(1, H, Q, K)`` per layer: first those of the prompt, then one
            row for each token that was written, except the last. All steps of cross-attention have the
            encoder's keys.

    Returns:
        The weights, and whether they are causal; cross-attention is not.

    Raises:
        InputError: The steps do not follow each other, or hold several texts.
    """
    steps = [as_weights(step) for step in weights]
    shapes = [step.shape for step in steps]
    if len(steps) > 1 and {shape[2] for shape in shapes} == {1} and len({*shapes}) == 1:
        return np.concatenate(steps, axis=2), False
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
    return joined, True


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
        pieces = [] if isinstance(tokens, str) else list(tokens)
        if isinstance(tokens, str) or not all(isinstance(piece, str) for piece in pieces):
            other = next((type(piece).__name__ for piece in pieces if not isinstance(piece, str)), "")
            given = f"{type(tokens).__name__}{f' of {other}' if other else ''}"
            raise InputError(
                f"{name} must be Tokens or one string per token. Got {given}.",
                hint="Pass for example tokenizer.convert_ids_to_tokens(ids).",
            )
        tokens = Tokens.from_pieces([str(piece) for piece in pieces])
    if len(tokens) != count:
        noun = name if count != 1 else {"queries": "query", "keys": "key"}[name]
        raise InputError(
            f"The weights have {count} {noun}, but {len(tokens)} tokens were passed.",
            hint="Pass all tokens that the model saw, including special tokens, in the order of the weights.",
        )
    return tokens


def are_causal(weights: Float[np.ndarray, "layers heads queries keys"]) -> bool:
    """Return whether weights have the form of a causal mask: 0 after each query, and only there."""
    queries, keys = weights.shape[2:]
    if not weights.size or not 1 < queries <= keys:
        return False
    is_used = (weights != 0).any(axis=(0, 1))
    return np.array_equal(is_used, np.tril(np.ones((queries, keys), dtype=bool), keys - queries))


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
