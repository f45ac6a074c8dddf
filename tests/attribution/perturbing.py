"""What the tests of perturbation methods share: a linear model, counts of what a model ran, brute force."""

import itertools
import math
from contextlib import contextmanager

import numpy as np
import tiny_tokenizers
import torch
from transformers import BertConfig, BertPreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from model_understanding import ModelVisualizer
from model_understanding.perturbation.token_removal import ModelTokenRemoval


class LinearClassifier(BertPreTrainedModel):
    """Logits that are a sum over positions: what a token adds depends on no other."""

    config_class = BertConfig

    def __init__(self, config):
        super().__init__(config)
        self.table = torch.nn.Embedding(config.vocab_size, 8)
        self.classifier = torch.nn.Linear(8, config.num_labels)
        self.post_init()

    def get_input_embeddings(self):
        return self.table

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, return_dict=True):
        places = 1 + torch.arange(input_ids.shape[1], device=input_ids.device) / 3
        mask = 1 if attention_mask is None else attention_mask[..., None]
        hidden = (self.table(input_ids) * places[:, None] * mask).sum(1)
        return SequenceClassifierOutput(logits=self.classifier(hidden))


def linear_visualizer():
    """Return a visualizer of a linear model."""
    torch.manual_seed(3)
    tokenizer = tiny_tokenizers.wordpiece()
    model = LinearClassifier(BertConfig(vocab_size=len(tokenizer), num_labels=3)).eval()
    torch.nn.init.normal_(model.table.weight)
    torch.nn.init.normal_(model.classifier.weight)
    return ModelVisualizer(model=model, tokenizer=tokenizer)


def linear_scores(visualizer, text, substitute):
    """Return what each token adds over a substitute's embedding, ``(classes, tokens)``; special ones 0."""
    tokenizer, model = visualizer.tokenizer, visualizer.model
    encoded = tokenizer(text, return_special_tokens_mask=True)
    with torch.no_grad():
        added = model.table(torch.tensor(encoded["input_ids"])) - substitute
        places = 1 + torch.arange(len(added))[:, None] / 3
        scores = (added * places) @ model.classifier.weight.T
    scores[torch.tensor(encoded["special_tokens_mask"]).bool()] = 0
    return scores.T.numpy()


def mask_embedding(visualizer):
    """Return the embedding of the mask token."""
    return visualizer.model.table.weight.detach()[visualizer.tokenizer.mask_token_id]


@contextmanager
def counted(model):
    """Count forwards, the positions they ran, and their rows."""
    counts = {"forwards": 0, "positions": 0, "rows": []}

    def count(_, arguments, keywords, outputs):
        ids = keywords["input_ids"]
        counts["forwards"] += 1
        counts["positions"] += ids.numel()
        counts["rows"] += ids.tolist()

    handle = model.register_forward_hook(count, with_kwargs=True)
    try:
        yield counts
    finally:
        handle.remove()


def brute_force_shapley(runner, encoding, targets, replacement="default"):
    """Return Shapley values of the tokens by their definition, ``(targets, tokens)``."""
    removal = ModelTokenRemoval(runner, encoding, targets, replacement, reuse=False)
    players = np.flatnonzero(removal.removable)
    count, length = len(players), removal.removable.size

    def value(present):
        removed = removal.removable.copy()
        removed[list(present)] = False
        return removal.values(removed[None])[0]

    found = np.zeros((len(targets), length))
    for player in players:
        others = [other for other in players if other != player]
        for size in range(count):
            weight = 1 / count / math.comb(count - 1, size)
            for present in itertools.combinations(others, size):
                found[:, player] += weight * (value((*present, player)) - value(present))
    return found
