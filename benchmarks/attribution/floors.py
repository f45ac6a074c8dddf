"""Hand-written minima: what each task costs at least, without checks, guards or records."""

from typing import Any

import torch
from torch import Tensor


def embeddings_of(model: Any, ids: Tensor) -> Tensor:
    """Return the embedding table's output as a leaf."""
    return model.get_input_embeddings()(ids).detach().requires_grad_()


def forward_from(model: Any, leaf: Tensor, **options: Any) -> Tensor:
    """Return logits from embeddings, parameters frozen by the caller."""
    return model(inputs_embeds=leaf, **options).logits


def class_gradient(model: Any, ids: Tensor, index: int) -> Tensor:
    """One forward, one backward."""
    leaf = embeddings_of(model, ids)
    logits = forward_from(model, leaf)
    return torch.autograd.grad(logits[:, index].sum(), leaf)[0].norm(dim=-1)


def class_path(model: Any, ids: Tensor, baseline: Tensor, index: int, nodes: int, chunk: int) -> Tensor:
    """Integrated gradients at midpoints, nodes in chunks."""
    own = embeddings_of(model, ids).detach()
    alphas = (torch.arange(nodes) + 0.5) / nodes
    total = torch.zeros_like(own)
    for part in alphas.split(chunk):
        points = (baseline + part[:, None, None] * (own - baseline)).requires_grad_()
        logits = forward_from(model, points)
        total += torch.autograd.grad(logits[:, index].sum(), points)[0].sum(0, keepdim=True)
    return ((own - baseline) * total / nodes).sum(-1)


def token_rows(model: Any, ids: Tensor, prompt: int) -> Tensor:
    """One forward over all, then a loop of one backward for each generated token."""
    leaf = embeddings_of(model, ids[:, :-1])
    steps = ids.shape[1] - prompt
    logs = forward_from(model, leaf, logits_to_keep=steps, use_cache=False)[0].log_softmax(-1)
    rows = []
    for step in range(steps):
        value = logs[step, ids[0, prompt + step]]
        rows.append(torch.autograd.grad(value, leaf, retain_graph=step < steps - 1)[0].norm(dim=-1))
    return torch.cat(rows)


def span_gradient(model: Any, ids: Tensor, prompt: int) -> Tensor:
    """One forward, one backward of the continuation's log-probability."""
    leaf = embeddings_of(model, ids[:, :-1])
    steps = ids.shape[1] - prompt
    logs = forward_from(model, leaf, logits_to_keep=steps, use_cache=False)[0].log_softmax(-1)
    value = logs.gather(1, ids[0, prompt:, None]).sum()
    return torch.autograd.grad(value, leaf)[0].norm(dim=-1)


def sorted_batches(model: Any, texts: list[Tensor], index: int, size: int = 32) -> list[Tensor]:
    """Saliency of many texts: sorted by length, padded batches."""
    order = sorted(range(len(texts)), key=lambda i: texts[i].shape[1])
    found: list[Tensor] = [torch.empty(0)] * len(texts)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        longest = max(texts[i].shape[1] for i in part)
        ids = torch.zeros(len(part), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(part):
            ids[row, : texts[i].shape[1]] = texts[i][0]
            mask[row, : texts[i].shape[1]] = 1
        leaf = embeddings_of(model, ids)
        logits = forward_from(model, leaf, attention_mask=mask)
        norms = torch.autograd.grad(logits[:, index].sum(), leaf)[0].norm(dim=-1)
        for row, i in enumerate(part):
            found[i] = norms[row, : texts[i].shape[1]]
    return found
