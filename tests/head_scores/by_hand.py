"""Head scores by loops over a truly eager model's weights, and ablation by a hook on one module."""

import contextlib

import numpy as np
import oracles
import pandas
import tiny_models
import torch

from model_understanding.results.attention_sinks import find_sinks

PROJECTIONS = {
    "bert": lambda model: [layer.attention.output.dense for layer in model.bert.encoder.layer],
    "deberta-v2": lambda model: [layer.attention.output.dense for layer in model.deberta.encoder.layer],
    "modernbert": lambda model: [layer.attn.Wo for layer in model.model.layers],
    "llama-classifier": lambda model: [layer.self_attn.o_proj for layer in model.model.layers],
    "gpt2": lambda model: [layer.attn.c_proj for layer in model.transformer.h],
    "llama": lambda model: [layer.self_attn.o_proj for layer in model.model.layers],
    "qwen3": lambda model: [layer.self_attn.o_proj for layer in model.model.layers],
    "gemma3": lambda model: [layer.self_attn.o_proj for layer in model.model.layers],
    "gpt-neox": lambda model: [layer.attention.dense for layer in model.gpt_neox.layers],
    "bloom": lambda model: [layer.self_attention.dense for layer in model.transformer.h],
    "falcon": lambda model: [layer.self_attention.dense for layer in model.transformer.h],
}


def weights_of(name, inputs):
    """Return weights ``(L, H, n, n)`` and which cells some head of each layer may look at."""
    weights = oracles.eager_attention(name, inputs).double().numpy()
    return weights, (weights > 0).any(axis=1)


def by_loops(name, inputs, read):
    """Return the mean over the rows with a choice of what is read from each, head by head."""
    weights, allowed = weights_of(name, inputs)
    layers, heads, tokens, _ = weights.shape
    found = np.zeros((layers, heads))
    for layer in range(layers):
        rows = [q for q in range(tokens) if allowed[layer, q].sum() > 1]
        for head in range(heads):
            found[layer, head] = np.mean([read(weights[layer, head, q], q) for q in rows])
    return found


def entropy(row, _):
    shares = row[row > 0] / row.sum()
    return -sum(share * np.log(share) for share in shares)


def distance(row, query):
    return sum(weight * abs(query - key) for key, weight in enumerate(row)) / row.sum()


def previous_token(name, inputs):
    weights, _ = weights_of(name, inputs)
    return np.mean([weights[:, :, query, query - 1] for query in range(1, weights.shape[2])], axis=0)


def sinks_of(name, inputs):
    weights, allowed = weights_of(name, inputs)
    return {sink for layer in range(3) for sink in find_sinks(weights[layer].mean(0), allowed[layer])}


def induction_in_text(name, inputs, special):
    weights, _ = weights_of(name, inputs)
    ids = inputs["input_ids"][0].tolist()
    found = []
    for query, token in enumerate(ids):
        if special[query]:
            continue
        earlier = [place for place in range(query) if ids[place] == token and not special[place]]
        keys = [place + 1 for place in earlier if place + 1 < query]
        if keys:
            found.append(weights[:, :, query, keys].sum(-1))
    return np.mean(found, axis=0)


def agreement(name, inputs, attribution, rows):
    weights, _ = weights_of(name, inputs)
    keys = np.flatnonzero(attribution.valid[0] & ~attribution.tokens.special)
    important = np.abs(attribution.scores[0])[keys]
    looked = weights[:, :, rows].mean(axis=2)[:, :, keys]
    ranks = pandas.Series(important).rank()
    return np.array([[pandas.Series(head).rank().corr(ranks) for head in layer] for layer in looked])


@contextlib.contextmanager
def without_head(name, model, layer, head, uses_mean=False):
    """Put one head's part of the output projection's input to zero, or to its mean over the tokens."""

    def change(_, arguments):
        (given,) = arguments
        width = given.shape[-1] // 4
        part = slice(head * width, (head + 1) * width)
        changed = given.clone()
        changed[..., part] = given[..., part].mean(dim=-2, keepdim=True) if uses_mean else 0
        return (changed,)

    handle = PROJECTIONS[name](model)[layer].register_forward_pre_hook(change)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def ablation(name, inputs, read, uses_mean=False):
    """Return ``read(logits)`` minus the same without each head, one forward each."""
    model = tiny_models.build(name)
    before = read(model(**inputs).logits[0].double())
    found = np.zeros((3, 4))
    for layer in range(3):
        for head in range(4):
            with without_head(name, model, layer, head, uses_mean):
                found[layer, head] = before - read(model(**inputs).logits[0].double())
    return found
