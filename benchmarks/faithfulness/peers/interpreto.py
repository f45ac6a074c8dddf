"""Interpreto 0.5: a score of each token for a class, or for each generated token, summed."""

from collections.abc import Callable
from typing import Any

import interpreto
import torch
from interpreto import Granularity
from interpreto.attributions import InferenceModes

CLASSES = {
    "path": "IntegratedGradients",
    "saliency": "Saliency",
    "occlusion": "Occlusion",
    "lime": "Lime",
    "kernel_shap": "KernelShap",
    "smooth_grad": "SmoothGrad",
}


def prepare(problem: Any) -> Callable[[Any], Any]:
    """Return Interpreto's way of a method, at its usual settings."""
    causal = problem.kind == "causal"
    options = {"n_perturbations": problem.nodes} if problem.nodes else {}

    def made(**more: Any) -> Any:
        return getattr(interpreto, CLASSES[problem.method])(
            problem.model,
            problem.tokenizer,
            granularity=Granularity.ALL_TOKENS,
            inference_mode=InferenceModes.LOG_SOFTMAX if causal else InferenceModes.LOGITS,
            **options,
            **more,
        )

    method = made()

    def scores_of(question: Any) -> Any:
        if causal:
            answer = question.ids[0, question.prompt :]
            found = method.explain(question.text, answer)[0]
            ids = torch.cat([problem.tokenizer(question.text, return_tensors="pt").input_ids[0], answer])
            return ids, found.attributions[:, : question.prompt].sum(0)
        own = method
        if problem.method == "path":  # its own baseline is near zero
            masked = torch.full_like(question.ids[0], problem.mask_id)
            masked[0], masked[-1] = question.ids[0, 0], question.ids[0, -1]
            own = made(baseline=problem.model.get_input_embeddings()(masked))
        found = own.explain(question.text, torch.tensor([question.index]))[0]
        return problem.tokenizer(question.text).input_ids, found.attributions.flatten()

    return scores_of
