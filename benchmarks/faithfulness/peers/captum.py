"""captum 0.9: its wrappers for language models, and paths of a classifier's embedding layer."""

from collections.abc import Callable
from typing import Any

import torch
from captum.attr import (
    FeatureAblation,
    KernelShap,
    LayerIntegratedGradients,
    LLMAttribution,
    LLMGradientAttribution,
    TextTokenInput,
)


def prepare(problem: Any) -> Callable[[Any], Any]:
    """Return captum's way of a method."""
    table = problem.model.get_input_embeddings()
    if problem.kind == "classifier":
        path = LayerIntegratedGradients(
            lambda ids, index: problem.model(input_ids=ids).logits[:, index], table
        )

        def of_class(question: Any) -> Any:
            ids = problem.tokenizer(question.text, return_tensors="pt").input_ids
            baseline = torch.full_like(ids, problem.mask_id)
            baseline[:, 0], baseline[:, -1] = ids[:, 0], ids[:, -1]
            found = path.attribute(
                ids, baseline, additional_forward_args=(question.index,), n_steps=problem.nodes
            )
            return ids[0], found[0].sum(-1)

        return of_class
    options: dict[str, Any] = {}
    if problem.method == "path":
        wrapper: Any = LLMGradientAttribution(
            LayerIntegratedGradients(problem.model, table), problem.tokenizer
        )
        options = {"n_steps": problem.nodes}
    else:
        method = KernelShap if problem.method == "kernel_shap" else FeatureAblation
        wrapper = LLMAttribution(method(problem.model), problem.tokenizer)
        if problem.method != "ablation_as_it_comes":
            options = {"forward_in_tokens": False}
        if problem.method == "kernel_shap":
            options["n_samples"] = problem.nodes

    def of_continuation(question: Any) -> Any:
        text = TextTokenInput(question.text, problem.tokenizer, baselines=problem.pad_id)
        answer = question.ids[0, question.prompt :]
        found = wrapper.attribute(text, target=answer, **options)
        return torch.cat([text.inp_tensor[0], answer]), found.seq_attr

    return of_continuation
