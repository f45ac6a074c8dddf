"""At which token of a text what passes a module is booked."""

import torch
from jaxtyping import Float
from torch import Tensor


def at_tokens(passed: Tensor, tokens: int, first_logits: int = 0) -> Float[Tensor, " tokens"] | None:
    """Return what passes a module of one text, summed over everything but its tokens.

    Args:
        passed: What passes each entry of the module's input or output, in whatever order of axes.
        tokens: The number of tokens.
        first_logits: The first position whose logits are computed.

    Returns:
        A sum for each token; ``None`` where the module does not work token by token, as after pooling.

    >>> at_tokens(torch.ones(1, 3, 4), 3)
    tensor([4., 4., 4.], dtype=torch.float64)
    >>> at_tokens(torch.ones(1, 4), 3) is None
    True
    """
    *lead, width = passed.shape if passed.ndim else (1,)
    count = 1
    for size in lead:
        count *= size
    if count == tokens:  # (1, tokens, width), (tokens, width), (tokens, 1, width)
        return passed.reshape(tokens, -1).sum(-1, dtype=torch.float64)
    if 0 < first_logits == tokens - count:  # the output head runs on the last positions alone
        result = torch.zeros(tokens, dtype=torch.float64, device=passed.device)
        result[first_logits:] = passed.reshape(count, -1).sum(-1, dtype=torch.float64)
        return result
    if width > tokens and passed.ndim == 3 and not passed[..., tokens:].any():
        return at_tokens(passed[..., :tokens], tokens)  # a causal convolution, padded
    axes = [axis for axis, size in enumerate(lead) if size == tokens]
    if not axes:
        if width != tokens or passed.ndim < 2:
            return None
        return passed.reshape(count, tokens).sum(0, dtype=torch.float64)  # a convolution over the tokens
    axis = axes[-1] if width == tokens else axes[0]  # attention scores: queries stand before keys
    others = [each for each in range(passed.ndim) if each != axis]
    return passed.sum(others, dtype=torch.float64)
