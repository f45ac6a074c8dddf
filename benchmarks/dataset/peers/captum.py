"""captum 0.9: gradients and paths of the embedding layer, in the floor's padded batches."""

from collections.abc import Callable
from typing import Any

import torch
from captum.attr import LayerGradientXActivation, LayerIntegratedGradients

NODES = 16  # in place of 8 on each of two paths: captum has one


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return captum's way; it has no gradient-weighted attention."""
    model, tokenizer = problem.model, problem.tokenizer
    table = model.get_input_embeddings()

    def logit(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return model(input_ids=ids, attention_mask=mask).logits

    gradient = LayerGradientXActivation(logit, table, multiply_by_inputs=False)
    path = LayerIntegratedGradients(logit, table)

    def run() -> Any:
        ids = tokenizer(problem.strings)["input_ids"]
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        found: list[Any] = [None] * len(ids)
        for start in range(0, len(order), problem.batch):
            part = order[start : start + problem.batch]
            batch = tokenizer([problem.strings[index] for index in part], padding=True, return_tensors="pt")
            given, mask = batch["input_ids"], batch["attention_mask"]
            with torch.no_grad():
                logits = logit(given, mask)
            target = logits.argmax(-1)
            if problem.method == "saliency":
                scores = gradient.attribute(given, target=target, additional_forward_args=(mask,)).norm(
                    dim=-1
                )
            else:
                ends = (given == 101) | (given == 102) | (mask == 0)
                baseline = torch.where(ends, given, tokenizer.mask_token_id)
                scores = path.attribute(
                    given,
                    baseline,
                    target=target,
                    additional_forward_args=(mask,),
                    n_steps=NODES,
                    internal_batch_size=problem.batch,
                ).sum(-1)
            for row, index in enumerate(part):
                found[index] = logits[row].softmax(-1), scores[row, : len(ids[index])]
        return found

    return run, lambda found: {"scores": [scores.tolist() for _, scores in found[:20]]}
