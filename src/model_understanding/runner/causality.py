"""Measure whether a language model is causal, rather than believe its class's name."""

from typing import TYPE_CHECKING

import torch

from model_understanding.runner.embedding_hook import swapped_embeddings
from model_understanding.runner.encoding import Encoding
from model_understanding.runner.state import guarded
from model_understanding.tokens import Tokens

if TYPE_CHECKING:
    from model_understanding.runner.runner import Runner

_LENGTH = 6


def is_causal(runner: "Runner") -> bool:
    """Return whether no logit depends on a later token.

    The gradient of all logits but the last with respect to the last embedding is exactly 0 in a causal
    model: its attention to later tokens is masked, not merely small. (BERT and XLNet load as language
    models and are not causal.)

    Args:
        runner: The runner of a language model.

    Returns:
        Whether the model is causal.
    """
    vocabulary = runner.config.get_text_config().vocab_size
    ids = torch.arange(_LENGTH, device=runner.device)[None] * 7 % max(vocabulary - 1, 1) + 1
    ids = ids.clamp(max=vocabulary - 1)
    tokens = Tokens.from_pieces([str(i) for i in range(_LENGTH)])
    encoding = Encoding((tokens,), {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    with guarded(runner.model, gradients=True):
        with swapped_embeddings(runner.model, ids) as swap:
            logits = runner.forward(encoding).logits
        # A weighted sum: plain sums of a softmax's inputs can cancel.
        weights = torch.linspace(-1, 1, logits.shape[-1], device=logits.device, dtype=logits.dtype)
        assert swap.leaf is not None
        (gradient,) = torch.autograd.grad((logits[:, :-1] * weights).sum(), swap.leaf)
    sizes = gradient[0].float().abs().amax(dim=-1)
    return bool(sizes[-1] <= 1e-9 * sizes.max())
