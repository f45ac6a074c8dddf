"""Measure whether a language model is causal, rather than believe its class's name."""

import torch

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.embeddings import swapped_embeddings
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model, measured_once
from model_understanding.model.offloading import watched_gradients
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_LENGTH = 6
_LEAK = 0.1  # of how much the last logits move: in BERT and XLNet the others move as much


@measured_once
def is_causal(model: Model) -> bool:
    """Return whether no logit depends on a later token; measured once for a model.

    The gradient of all logits but the last with respect to the last embedding is exactly 0 in a causal
    model: its attention to later tokens is masked, not merely small. (BERT and XLNet load as language
    models and are not causal.) Where no gradient passes, another last token is put in its place.

    Args:
        model: A language model.

    Returns:
        Whether the model is causal.
    """
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(_LENGTH, device=model.device)[None] * 7 % max(vocabulary - 1, 1) + 1
    ids = ids.clamp(max=vocabulary - 1)
    tokens = Tokens.from_pieces([str(i) for i in range(_LENGTH)])
    encoding = Encoding((tokens,), {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    try:
        with guarded(model.module, gradients=True), watched_gradients(model.module):
            return _ignores_later_embeddings(model, encoding)
    except UnsupportedModelError:  # quantized kernels without a derivative
        return _ignores_later_ids(model, encoding)


def _ignores_later_embeddings(model: Model, encoding: Encoding) -> bool:
    with swapped_embeddings(model.module, encoding.ids) as swap:
        logits = model.forward(encoding).logits
    # A weighted sum: plain sums of a softmax's inputs can cancel.
    weights = torch.linspace(-1, 1, logits.shape[-1], device=logits.device, dtype=logits.dtype)
    assert swap.leaf is not None
    (gradient,) = torch.autograd.grad((logits[:, :-1] * weights).sum(), swap.leaf)
    sizes = gradient[0].float().abs().amax(dim=-1)
    return bool(sizes[-1] <= 1e-9 * sizes.max())


def _ignores_later_ids(model: Model, encoding: Encoding) -> bool:
    """Return whether another last token leaves the logits before it about as they are.

    About: kernels that choose a number's scale by the largest value of the whole text let a little through.
    """
    other = encoding.ids.clone()
    other[:, -1] = other[:, 0]
    changed = Encoding(encoding.tokens, {**encoding.inputs, "input_ids": other})
    with guarded(model.module, gradients=False):
        apart = model.forward(encoding).logits.float() - model.forward(changed).logits.float()
    sizes = apart[0].abs().amax(dim=-1)
    return bool(sizes[:-1].max() <= _LEAK * sizes[-1])
