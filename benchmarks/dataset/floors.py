"""Floors: the least code from texts to answers and scores in memory, in batches sorted by length.

Nothing is checked, and nothing is written. ``fast`` needs the attention weights, so its model is eager.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

NODES = 8  # of each of both paths of integrated gradients


def batches(problem: Any) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Tokenize all texts, and yield padded batches in the order of their lengths."""
    ids = problem.tokenizer(problem.strings)["input_ids"]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    for start in range(0, len(order), problem.batch):
        part = order[start : start + problem.batch]
        longest = len(ids[part[-1]])
        padded = torch.tensor([ids[index] + [0] * (longest - len(ids[index])) for index in part])
        mask = torch.tensor([[1] * len(ids[index]) + [0] * (longest - len(ids[index])) for index in part])
        yield part, padded, mask


def saliency(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """One forward and one backward pass of the predicted class's logit."""
    leaf = model.get_input_embeddings()(ids).detach().requires_grad_()
    logits = model(inputs_embeds=leaf, attention_mask=mask).logits
    return logits.detach(), torch.autograd.grad(logits.amax(-1).sum(), leaf)[0].norm(dim=-1)


def fast(model: Any, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient-weighted attention from the first token, with the weights that eager code returns."""
    leaf = model.get_input_embeddings()(ids).detach().requires_grad_()
    outputs = model(inputs_embeds=leaf, attention_mask=mask, output_attentions=True)
    value = outputs.logits.amax(-1).sum()
    gradients = torch.autograd.grad(value, outputs.attentions)
    row = torch.zeros(*ids.shape)
    row[:, 0] = 1
    start = row
    for weights, gradient in zip(reversed(outputs.attentions), reversed(gradients), strict=True):
        matrix = (weights.detach() * gradient).clamp(min=0).mean(dim=1)
        row = row + (row[:, None] @ matrix)[:, 0]
    return outputs.logits.detach(), row - start


def integrated_gradients(model: Any, ids: Tensor, mask: Tensor, mask_id: int) -> tuple[Tensor, Tensor]:
    """Integrated gradients from the mask token and from the mean embedding, with 8 nodes each."""
    table = model.get_input_embeddings()
    own = table(ids).detach()
    with torch.no_grad():
        logits = model(inputs_embeds=own, attention_mask=mask).logits
    chosen = logits.argmax(-1)
    ends = (ids == 101) | (ids == 102) | (mask == 0)
    places, shares = np.polynomial.legendre.leggauss(NODES)
    total = torch.zeros(ids.shape)
    for baseline in (table.weight[mask_id], table.weight.mean(0)):
        change = torch.where(ends[..., None], torch.zeros_like(own), own - baseline)
        for place, share in zip((places + 1) / 2, shares / 2, strict=True):
            leaf = (own - (1 - place) * change).requires_grad_()
            values = model(inputs_embeds=leaf, attention_mask=mask).logits.gather(1, chosen[:, None]).sum()
            total += share * (torch.autograd.grad(values, leaf)[0] * change).sum(-1) / 2
    return logits, total


def scored(problem: Any, explain: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> list[Any]:
    """Return the probabilities and scores of each text, in the order of the texts."""
    found: list[Any] = [None] * len(problem.strings)
    for part, ids, mask in batches(problem):
        logits, scores = explain(ids, mask)
        probabilities = logits.softmax(-1).numpy()
        for row, index in enumerate(part):
            found[index] = probabilities[row], scores[row, : int(mask[row].sum())].numpy()
    return found


def read(found: Sequence[Any]) -> dict[str, Any]:
    """Return the scores of the first texts."""
    return {"scores": [scores.tolist() for _, scores in found[:20]]}


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return the function to time, and one that converts its result to lists."""
    model = problem.model

    def explain(ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if problem.method == "saliency":
            return saliency(model, ids, mask)
        if problem.method == "fast":
            return fast(model, ids, mask)
        return integrated_gradients(model, ids, mask, problem.tokenizer.mask_token_id)

    return lambda: scored(problem, explain), read
