"""Floors: the least code for each task, without checks or records."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

VARIANTS_AT_ONCE = 16  # variants of an occluded prompt in one batch
TEXTS_AT_ONCE = 32  # texts of similar length that are embedded in one batch


def embeddings_of(model: Any, ids: Tensor) -> Tensor:
    """Return the embedding table's output as a leaf."""
    return model.get_input_embeddings()(ids).detach().requires_grad_()


def forward_from(model: Any, leaf: Tensor, **options: Any) -> Tensor:
    """Return the logits of embeddings; the caller has frozen the parameters."""
    return model(inputs_embeds=leaf, **options).logits


def class_gradient(model: Any, ids: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """One forward and one backward pass."""
    leaf = embeddings_of(model, ids)
    logits = forward_from(model, leaf)
    return torch.autograd.grad(logits[:, index].sum(), leaf)[0], leaf.detach()


def entity_gradients(model: Any, ids: Tensor, entities: list[list[int]], index: int) -> tuple[Tensor, Tensor]:
    """One forward and one backward pass for each entity: the mean logit of its tokens."""
    leaf = embeddings_of(model, ids)
    values = (forward_from(model, leaf)[0, entity, index].mean() for entity in entities)
    return torch.cat([torch.autograd.grad(value, leaf)[0] for value in values]), leaf.detach()


def pair_cosines(model: Any, tokenizer: Any, pairs: list[tuple[str, str]]) -> Tensor:
    """The cosine of mean-pooled hidden states of each pair: each text once, in batches of similar length."""
    texts = sorted(dict.fromkeys(text for pair in pairs for text in pair), key=len)
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            batch = texts[start : start + TEXTS_AT_ONCE]
            inputs = tokenizer(batch, padding=True, return_tensors="pt").to(model.device)
            inputs.pop("token_type_ids", None)
            mask = inputs["attention_mask"][..., None].float()
            means = (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
            found |= zip(batch, torch.nn.functional.normalize(means, dim=1), strict=True)
    return torch.stack([found[first] @ found[second] for first, second in pairs])


def path_points(own: Tensor, baseline: Tensor, nodes: int, at_once: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield points of the straight line at Gauss–Legendre nodes, with their weights."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    alphas = torch.tensor((places + 1) / 2, dtype=own.dtype, device=own.device)
    shares = torch.tensor(weights / 2, dtype=own.dtype, device=own.device)
    for alpha, share in zip(alphas.split(at_once), shares.split(at_once), strict=True):
        yield (baseline + alpha[:, None, None] * (own - baseline)).requires_grad_(), share


def class_path(
    model: Any, ids: Tensor, baseline: Tensor, index: int, nodes: int, *, probability: bool = False
) -> Tensor:
    """Integrated gradients of one class's logit or probability, all nodes in one batch."""
    own = embeddings_of(model, ids).detach()
    total = torch.zeros_like(own)
    for points, shares in path_points(own, baseline, nodes, nodes):
        logits = forward_from(model, points)
        values = (logits.softmax(-1) if probability else logits)[:, index]
        gradients = torch.autograd.grad(values.sum(), points)[0]
        total += (shares[:, None, None] * gradients).sum(0, keepdim=True)
    return ((own - baseline) * total).sum(-1)


def log_probabilities(model: Any, leaf: Tensor, answer: Tensor) -> Tensor:
    """Return the log-probability of each token of an answer, ``(batch, steps)``."""
    logits = forward_from(model, leaf, logits_to_keep=len(answer), use_cache=False)
    return logits.float().log_softmax(-1)[:, range(len(answer)), answer]


def token_gradients(model: Any, leaf: Tensor, answer: Tensor) -> Tensor:
    """One forward pass, then one backward pass for each token of the answer."""
    values = log_probabilities(model, leaf, answer).sum(0)
    last = len(answer) - 1
    return torch.stack(
        [torch.autograd.grad(value, leaf, retain_graph=step < last)[0] for step, value in enumerate(values)]
    )


def output_gradients(model: Any, source: Tensor, answer: Tensor) -> Tensor:
    """One forward pass of an encoder–decoder, then one backward pass for each token of its output."""
    start = answer.new_zeros(1)
    first, second = (embeddings_of(model, ids) for ids in (source, torch.cat([start, answer[:-1]])[None]))
    logits = model(inputs_embeds=first, decoder_inputs_embeds=second, use_cache=False).logits[0]
    values = logits.float().log_softmax(-1)[range(len(answer)), answer]
    last = len(answer) - 1
    gradients = [
        torch.autograd.grad(value, (first, second), retain_graph=step < last)
        for step, value in enumerate(values)
    ]
    return torch.stack([of_source for of_source, _ in gradients])


def token_paths(model: Any, ids: Tensor, baseline: Tensor, prompt: int, nodes: int) -> Tensor:
    """``token_gradients`` at each node of the path from the baseline."""
    own = embeddings_of(model, ids[:, :-1]).detach()
    total = torch.zeros(())
    for points, share in path_points(own, baseline, nodes, 1):
        total = total + share * token_gradients(model, points, ids[0, prompt:])[:, 0]
    return ((own - baseline) * total).sum(-1)


def span_gradient(model: Any, leaf: Tensor, answer: Tensor) -> Tensor:
    """One forward and one backward pass of the continuation's log-probability."""
    return torch.autograd.grad(log_probabilities(model, leaf, answer).sum(), leaf)[0]


def span_path(model: Any, ids: Tensor, baseline: Tensor, prompt: int, nodes: int, at_once: int) -> Tensor:
    """Integrated gradients of the continuation's log-probability, some nodes in one batch."""
    own = embeddings_of(model, ids[:, :-1]).detach()
    total = torch.zeros_like(own)
    for points, shares in path_points(own, baseline, nodes, at_once):
        gradients = span_gradient(model, points, ids[0, prompt:])
        total += (shares[:, None, None] * gradients).sum(0, keepdim=True)
    return ((own - baseline) * total).sum(-1)


def sorted_batches(model: Any, texts: list[Tensor], index: int, size: int) -> list[Tensor]:
    """Gradients of many texts, in padded batches sorted by length."""
    order = sorted(range(len(texts)), key=lambda i: texts[i].shape[1])
    found: list[Tensor] = [torch.empty(0)] * len(texts)
    for start in range(0, len(order), size):
        part = order[start : start + size]
        longest = max(texts[i].shape[1] for i in part)
        ids = torch.zeros(len(part), longest, dtype=torch.long, device=texts[0].device)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(part):
            ids[row, : texts[i].shape[1]] = texts[i][0]
            mask[row, : texts[i].shape[1]] = 1
        leaf = embeddings_of(model, ids)
        logits = forward_from(model, leaf, attention_mask=mask)
        gradients = torch.autograd.grad(logits[:, index].sum(), leaf)[0]
        for row, i in enumerate(part):
            found[i] = gradients[row, : texts[i].shape[1]]
    return found


def occlusion(model: Any, ids: Tensor, mask_id: int, answer: int) -> Tensor:
    """Recompute the whole prompt without each of its tokens."""
    length = ids.shape[1]
    variants = ids.repeat(length + 1, 1)
    variants[torch.arange(length), torch.arange(length)] = mask_id
    with torch.no_grad():
        values = torch.cat(
            [
                model(input_ids=part, logits_to_keep=1, use_cache=False)
                .logits[:, -1]
                .float()
                .log_softmax(-1)[:, answer]
                for part in variants.split(VARIANTS_AT_ONCE)
            ]
        )
    return values[-1] - values[:-1]


def pairs_of(problem: Any) -> list[tuple[str, str]]:
    """Return each two texts in a row as a pair, as strings."""
    texts = [problem.tokenizer.decode(ids, skip_special_tokens=True) for ids in problem.ids]
    return list(zip(texts[::2], texts[1::2], strict=True))


def baseline_of(problem: Any, ids: Tensor) -> Tensor:
    """Return the mask token's embedding everywhere except at the text's special tokens."""
    special = torch.zeros_like(ids, dtype=torch.bool)
    if problem.kind != "causal":
        special[:, 0] = special[:, -1] = True
    return problem.model.get_input_embeddings()(torch.where(special, ids, problem.mask_id)).detach()


def change_of(problem: Any, ids: Tensor) -> float:
    """Return the change of a class's logit from the baseline to the text."""
    with torch.no_grad():
        ends = torch.cat([problem.model.get_input_embeddings()(ids), baseline_of(problem, ids)])
        own, without = forward_from(problem.model, ends)[:, problem.index]
    return float(own - without)


def class_paths(problem: Any, *, probability: bool = False) -> list[Tensor]:
    """Return integrated gradients of each text."""
    return [
        class_path(
            problem.model,
            text,
            baseline_of(problem, text),
            problem.index,
            problem.nodes,
            probability=probability,
        )
        for text in problem.texts
    ]


def summaries(gradients: Tensor, leaf: Tensor) -> dict[str, Any]:
    """Return the scores that packages derive from the same gradients, ``(targets, tokens)`` each."""
    return {
        "norm": gradients.norm(dim=-1).tolist(),
        "absolute": gradients.abs().sum(-1).tolist(),
        "product": (gradients * leaf).sum(-1).tolist(),
    }


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return the function to time, and one that converts its result to lists."""
    model, ids = problem.model, problem.texts[0]
    answer = ids[0, problem.prompt :]

    def signed(scores: Any) -> dict[str, Any]:
        return {"signed": scores.tolist()}

    def leaf() -> Tensor:
        return embeddings_of(model, ids[:, :-1])

    if problem.work == "pair_cosines":
        pairs = pairs_of(problem)
        return (
            lambda: pair_cosines(model, problem.tokenizer, pairs),
            lambda found: {"signed": [found.tolist()]},
        )
    if problem.work == "class_gradient":
        return lambda: class_gradient(model, ids, problem.index), lambda found: summaries(*found)
    if problem.work == "entity_gradients":
        return (
            lambda: entity_gradients(model, ids, problem.entities, problem.index),
            lambda found: summaries(*found),
        )
    if problem.work in ("class_path", "many_paths"):
        return lambda: class_paths(problem), lambda found: {
            "signed": [scores[0].tolist() for scores in found],
            "probability": [scores[0].tolist() for scores in class_paths(problem, probability=True)],
            "changes": [change_of(problem, text) for text in problem.texts],
        }
    if problem.work == "token_gradients":
        return (
            lambda: token_gradients(model, leaf(), answer),
            lambda found: summaries(found[:, 0, : problem.prompt], leaf()[:, : problem.prompt]),
        )
    if problem.work == "output_gradients":
        source = ids[:, : problem.prompt]
        return (
            lambda: output_gradients(model, source, answer),
            lambda found: summaries(found[:, 0], embeddings_of(model, source)),
        )
    if problem.work == "token_paths":
        return (
            lambda: token_paths(model, ids, baseline_of(problem, ids[:, :-1]), problem.prompt, problem.nodes),
            lambda found: signed(found[:, : problem.prompt]),
        )
    if problem.work == "span_gradient":
        return (
            lambda: span_gradient(model, leaf(), answer),
            lambda found: summaries(found[:, : problem.prompt], leaf()[:, : problem.prompt]),
        )
    if problem.work == "span_path":
        return (
            lambda: span_path(
                model, ids, baseline_of(problem, ids[:, :-1]), problem.prompt, problem.nodes, problem.nodes
            ),
            lambda found: signed(found[:, : problem.prompt]),
        )
    if problem.work == "next_token_gradient":
        return (
            lambda: token_gradients(model, embeddings_of(model, ids), torch.tensor([problem.index])),
            lambda found: summaries(found[:, 0], embeddings_of(model, ids)),
        )
    if problem.work == "many_gradients":
        return (
            lambda: sorted_batches(model, problem.texts, problem.index, problem.batch),
            lambda found: {
                "norm": [gradients.norm(dim=-1).tolist() for gradients in found],
                "absolute": [gradients.abs().sum(-1).tolist() for gradients in found],
            },
        )
    if problem.work == "occlusion":
        return lambda: occlusion(model, ids, problem.mask_id, problem.index), lambda found: {
            "signed": [found.tolist()]
        }
    raise ValueError(f"no floor for {problem.work}")
