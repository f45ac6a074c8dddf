"""Measure whether a language model is causal, instead of trusting the name of its class."""

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.embeddings import replaced_embeddings
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model, measured_once
from model_understanding.model.offloading import watched_gradients
from model_understanding.model.precision import precise
from model_understanding.model.probes import unchanged_modules
from model_understanding.targets.names import QUESTION_ANSWERING
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_LENGTH = 6
_TOLERANCE = 0.1  # relative to the change of the last logits: in BERT and XLNet earlier ones change as much


@measured_once
def is_causal(model: Model) -> bool:
    """Return whether no logit depends on a later token; measured once per model.

    In a causal model the gradient of all logits but the last with respect to the last embedding is exactly
    0, because attention to later tokens is masked, not merely small. (BERT and XLNet load as language
    models and are not causal.) Where gradients are not available, the last token is replaced instead.

    Args:
        model: A language model, or another with logits of each token.

    Returns:
        Whether the model is causal.
    """
    vocabulary = model.common_ids
    if model.reads_two_sequences:
        vocabulary = min(vocabulary, model.class_count(_LENGTH))
    ids = torch.arange(_LENGTH, device=model.device)[None] * 7 % max(vocabulary - 1, 1) + 1
    ids = ids.clamp(max=vocabulary - 1)
    tokens = Tokens.from_pieces([str(i) for i in range(_LENGTH)])
    encoding = Encoding(
        (tokens,),
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        source_length=_LENGTH // 2 if model.reads_two_sequences else None,
    )
    try:
        with (
            guarded(model.module, gradients=True),
            unchanged_modules(model.module),
            watched_gradients(model.module),
        ):
            return _ignores_later_embeddings(model, encoding)
    except UnsupportedModelError:  # quantized kernels without a derivative
        return _ignores_later_ids(model, encoding)


def _ignores_later_embeddings(model: Model, encoding: Encoding) -> bool:
    with replaced_embeddings(model, encoding.ids, source_length=encoding.source_length) as hook:
        outputs = model.forward(encoding)
    logits = _by_token(model, model.logits_of(outputs, encoding, 0))
    # A weighted sum, because plain sums of a softmax's inputs can cancel.
    weights = torch.linspace(-1, 1, logits.shape[-1], device=logits.device, dtype=logits.dtype)
    assert hook.leaf is not None
    (gradient,) = torch.autograd.grad((logits[:, :-1] * weights).sum(), hook.leaf)
    sizes = gradient[0].abs().amax(dim=-1)
    return bool(sizes[-1] <= 1e-9 * sizes.max())


def _ignores_later_ids(model: Model, encoding: Encoding) -> bool:
    """Return whether replacing the last token leaves the logits before it almost unchanged.

    Almost, because quantized kernels that scale by the largest value of the whole text leak a little.
    """
    other = encoding.ids.clone()
    other[:, -1] = other[:, 0]
    changed = encoding.with_ids(other)
    with guarded(model.module, gradients=False), unchanged_modules(model.module):
        logits, others = (
            _by_token(model, precise(model.logits_in(model.forward(each)))) for each in (encoding, changed)
        )
    sizes = (logits - others)[0].abs().amax(dim=-1)
    return bool(sizes[:-1].max() <= _TOLERANCE * sizes[-1])


def _by_token(
    model: Model, logits: Float[Tensor, "batch positions classes"]
) -> Float[Tensor, "batch tokens logits"]:
    """Return the logits of each token; those of question answering have two rows over the tokens."""
    return logits.transpose(1, 2) if model.task == QUESTION_ANSWERING else logits
