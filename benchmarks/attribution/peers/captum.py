"""captum 0.9: gradients and paths of layers, and its wrapper for language models."""

from collections.abc import Callable
from typing import Any

import torch
from captum.attr import (
    FeatureAblation,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    LLMGradientAttribution,
    Saliency,
    TextTokenInput,
)

POINTS_AT_ONCE = 25
VARIANTS_AT_ONCE = 16


def baseline_ids(problem: Any, ids: torch.Tensor) -> torch.Tensor:
    """Return the mask token everywhere but at the special tokens."""
    found = torch.full_like(ids, problem.mask_id)
    found[:, 0], found[:, -1] = ids[:, 0], ids[:, -1]
    return found


def classifier(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Gradients and paths of a class, by the embedding layer; batches of texts are padded by hand."""
    model, table = problem.model, problem.model.get_input_embeddings()

    def logit(ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return model(input_ids=ids, attention_mask=mask).logits[:, problem.index]

    gradient = LayerGradientXActivation(logit, table, multiply_by_inputs=False)
    path = LayerIntegratedGradients(logit, table)
    if problem.work in ("class_path", "many_paths"):
        return lambda: [
            path.attribute(
                ids, baseline_ids(problem, ids), n_steps=problem.nodes, internal_batch_size=POINTS_AT_ONCE
            )
            for ids in problem.texts
        ], lambda found: {"signed": [rows[0].sum(-1).tolist() for rows in found]}
    if problem.work == "class_gradient":
        return lambda: gradient.attribute(problem.texts[0]), lambda found: {
            "norm": found.norm(dim=-1).tolist()
        }

    def batches() -> list[Any]:
        order = sorted(range(len(problem.texts)), key=lambda i: problem.texts[i].shape[1])
        found: list[Any] = [None] * len(order)
        for start in range(0, len(order), problem.batch):
            part = order[start : start + problem.batch]
            ids = torch.nn.utils.rnn.pad_sequence([problem.texts[i][0] for i in part], batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence(
                [torch.ones_like(problem.texts[i][0]) for i in part], batch_first=True
            )
            norms = gradient.attribute(ids, additional_forward_args=(mask,)).norm(dim=-1)
            for row, i in enumerate(part):
                found[i] = norms[row, : problem.texts[i].shape[1]]
        return found

    return batches, lambda found: {"norm": [row.tolist() for row in found]}


def occlusion(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Feature ablation of ids, as many variants at once as the floor has."""

    def log_probability(ids: torch.Tensor) -> torch.Tensor:
        logits = problem.model(input_ids=ids, logits_to_keep=1, use_cache=False).logits
        return logits[:, -1].log_softmax(-1)[:, problem.index]

    ablation, ids = FeatureAblation(log_probability), problem.texts[0]

    def run() -> Any:
        with torch.no_grad():
            return ablation.attribute(ids, baselines=problem.mask_id, perturbations_per_eval=VARIANTS_AT_ONCE)

    return run, lambda found: {"signed": found.tolist()}


def seq2seq(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Gradients of each output token with respect to both embeddings, one call each."""
    model, ids = problem.model, problem.texts[0]
    table, answer = model.get_input_embeddings(), ids[0, problem.prompt :]

    def log_probability(source: torch.Tensor, output: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        outputs = model(inputs_embeds=source, decoder_inputs_embeds=output, use_cache=False)
        return outputs.logits[:, -1].log_softmax(-1)[:, token]

    saliency = Saliency(log_probability)

    def run() -> Any:
        source = table(ids[:, : problem.prompt]).detach()
        output = table(torch.cat([answer.new_zeros(1), answer[:-1]])[None]).detach()
        return [
            saliency.attribute(
                (source, output[:, : step + 1]), abs=False, additional_forward_args=(answer[step],)
            )[0]
            for step in range(len(answer))
        ]

    return run, lambda found: {"norm": [rows[0].norm(dim=-1).tolist() for rows in found]}


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return captum's way of a task."""
    if problem.kind == "classifier":
        return classifier(problem)
    if problem.kind == "seq2seq":
        return seq2seq(problem)
    if problem.work == "occlusion":
        return occlusion(problem)
    layer = problem.model.get_input_embeddings()
    method: Any = LayerIntegratedGradients if problem.work == "token_paths" else LayerGradientXActivation
    wrapper = LLMGradientAttribution(method(problem.model, layer), problem.tokenizer)
    ids = problem.texts[0][0]
    # The wrapper takes the prompt as text; the answer goes in as ids, so that it is not tokenized again.
    prompt = TextTokenInput(
        problem.tokenizer.decode(ids[: problem.prompt]), problem.tokenizer, baselines=problem.mask_id
    )
    options = {"n_steps": problem.nodes} if problem.work == "token_paths" else {}
    kind = "signed" if problem.work == "token_paths" else "product"

    def read(found: Any) -> dict[str, Any]:
        whole = problem.work.startswith("span")
        return {kind: [found.seq_attr.tolist()] if whole else found.token_attr.tolist()}

    return lambda: wrapper.attribute(prompt, target=ids[problem.prompt :], **options), read
