"""Inseq 0.7: the scores of each generated token, summed over what was generated."""

from collections.abc import Callable
from typing import Any

import inseq
import torch

# What its attribution methods are called there, where it is not their name here.
CALLED = {"path": "integrated_gradients"}


def log_probability(args: Any) -> Any:
    """Return the target's log-probability; Inseq's own default, the probability, does not add up."""
    logits = args.attribution_model.output2logits(args.forward_output)
    target = args.target_ids.reshape(logits.shape[0], 1)
    return logits.log_softmax(-1).gather(-1, target).squeeze(-1)


inseq.register_step_function(log_probability, "log_probability")


def prepare(problem: Any) -> Callable[[Any], Any]:
    """Return Inseq's way of a method."""
    method = CALLED.get(problem.method, problem.method)
    model = inseq.load_model(problem.model, method, tokenizer=problem.tokenizer, device=problem.device)
    options = {"n_steps": problem.nodes} if problem.method == "path" else {}
    if problem.method not in ("attention", "value_zeroing", "reagent"):  # these ask for no value
        options["attributed_fn"] = "log_probability"

    def scores_of(question: Any) -> Any:
        whole = problem.tokenizer.decode(question.ids[0])
        found = model.attribute(question.text, whole, show_progress=False, **options).sequence_attributions[0]
        ids = [token.id for token in found.target]
        # (tokens, steps) and then the width of the embeddings, or layers and heads
        scores = found.target_attributions[: question.prompt].float()
        if problem.method in ("path", "input_x_gradient"):
            scores = scores.sum(-1)  # signed; its own default is the norm of this product
        elif problem.method == "saliency":
            scores = scores.norm(dim=-1)
        elif scores.ndim > 2:
            scores = scores.flatten(2).mean(-1)
        return ids, torch.nan_to_num(scores).sum(1)

    return scores_of
