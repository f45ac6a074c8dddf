"""At which token of a text what passes a module is booked."""

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Tensor

_FEATURES_LAST = ("linear", "norm", "embedding")
"""Kinds of modules whose last axis is never the tokens, however many features it has."""


def at_tokens(
    passed: Tensor, tokens: int, first_logits: int = 0, kind: str = "linear", sizes: Collection[int] = ()
) -> Float[Tensor, " tokens"] | None:
    """Return what passes a module of one text, summed over everything but its tokens.

    Which axis has the tokens follows from the kind of the module: of linear maps, norms and embeddings it
    stands before the features, of convolutions it is the last one. What passes a module after pooling has
    one row. Experts read tokens in the order in which they are routed, which is not known here.

    Args:
        passed: What passes each entry of the module's input or output.
        tokens: The number of tokens.
        first_logits: The first position whose logits are computed.
        kind: The kind of the module, as in ``ModuleChange``.
        sizes: The sizes of its weights' axes.

    Returns:
        A sum for each token; ``None`` where it is not known which axis has the tokens, or none has.

    >>> at_tokens(torch.ones(1, 3, 4), 3)
    tensor([4., 4., 4.], dtype=torch.float64)
    >>> at_tokens(torch.ones(1, 3), 3) is None  # the logits of three classes
    True
    """
    *lead, width = passed.shape if passed.ndim else (1,)
    if kind == "experts":
        return None
    if kind == "convolution":
        is_padded = width > tokens and not passed[..., tokens:].any()  # a causal one
        return _along(passed[..., :tokens], -1) if lead and (width == tokens or is_padded) else None
    if tokens == 1:
        return passed.sum(dtype=torch.float64)[None]
    places = [axis for axis, size in enumerate(lead) if size == tokens]
    if kind not in _FEATURES_LAST and tokens in sizes:
        return None  # an axis of that size may be one of its weights'
    if len(places) == 1 or (places and kind == "embedding" and width != tokens):  # queries before keys
        return _along(passed, places[0])
    count = max(lead, default=0)
    if not places and 0 < first_logits == tokens - count and passed[..., 0].numel() == count:
        result = torch.zeros(tokens, dtype=torch.float64, device=passed.device)
        result[first_logits:] = _along(passed, lead.index(count))  # the output head runs on the last ones
        return result
    if not places and kind not in _FEATURES_LAST and width == tokens and passed.ndim > 2:
        return _along(passed, -1)  # as in state space models, whose channels stand before the tokens
    return None


def _along(passed: Tensor, axis: int) -> Float[Tensor, " tokens"]:
    """Return the sums over all other axes."""
    return passed.movedim(axis, 0).flatten(1).sum(-1, dtype=torch.float64)
