"""Whether a model leaves out what its attention mask hides, so that hidden tokens are as good as removed."""

from dataclasses import replace

import torch

from model_understanding.model.guard import guarded
from model_understanding.model.model import Model, measured_once
from model_understanding.model.probes import probe_texts, unchanged_modules
from model_understanding.model.vocabulary import vocabulary_size
from model_understanding.targets.names import FEATURE_EXTRACTION, SIMILARITY
from model_understanding.text.tokenization import tokenize

_TOLERANCE = 1e-4  # of the largest output
_EMBEDS_TEXTS = frozenset({SIMILARITY, FEATURE_EXTRACTION})


@measured_once
def hides_by_default(model: Model) -> bool:
    """Return whether removed tokens are hidden by the attention mask where nothing else is asked for.

    Sentence encoders pool what the mask leaves, so a text with a hidden word is nearly a text without it. A
    mask token is none of the words that they were trained on: it moves an embedding as far as any word. What
    is left of a text must have a token, so the tokenizer must add some; and hidden tokens must not matter.

    Args:
        model: The model.
    """
    if model.task not in _EMBEDS_TEXTS or "attention_mask" not in model.accepted:
        return False
    tokens, _ = tokenize(model.tokenizer, "a")
    return bool(tokens.special.any()) and _ignores_hidden(model)


def _ignores_hidden(model: Model) -> bool:
    """Return whether other ids at hidden positions leave a short text's outputs unchanged."""
    text = probe_texts(model)[0]
    ids, hidden = text.ids, torch.zeros_like(text.ids, dtype=torch.bool)
    hidden[:, ids.shape[1] // 3 : ids.shape[1] // 2] = True
    if text.source_length is not None:
        hidden[:, -2] = True
    masked = replace(text, inputs={**text.inputs, "attention_mask": (~hidden).long()})
    others = torch.where(hidden, ids.flip(1) % vocabulary_size(model), ids)
    with guarded(model.module, gradients=False), unchanged_modules(model.module):
        outputs, changed = (
            model.logits_of(model.forward(each), each, 0).float()
            for each in (masked, masked.with_ids(others))
        )
    return bool((outputs - changed).abs().max() <= _TOLERANCE * outputs.abs().max())
