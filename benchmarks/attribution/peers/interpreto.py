"""Interpreto 0.5: the mean of absolute gradients; what it calls integrated gradients is another thing."""

from collections.abc import Callable
from typing import Any

import torch
from interpreto import Granularity, IntegratedGradients, Saliency
from interpreto.attributions import InferenceModes


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return Interpreto's way of a task."""
    path = problem.work == "class_path"
    # In a batch every text's gradient runs over the whole batch, so one text at a time is its fastest.
    options = {"batch_size": 4 if path else 1, "granularity": Granularity.ALL_TOKENS}
    if path:
        ids = problem.texts[0][0]
        baseline = torch.full_like(ids, problem.mask_id)
        baseline[0], baseline[-1] = ids[0], ids[-1]
        method = IntegratedGradients(
            problem.model,
            problem.tokenizer,
            n_perturbations=problem.nodes,
            baseline=problem.model.get_input_embeddings()(baseline),
            **options,
        )
    else:
        causal = problem.kind == "causal"
        mode = InferenceModes.LOG_SOFTMAX if causal else InferenceModes.LOGITS
        method = Saliency(
            problem.model, problem.tokenizer, inference_mode=mode, input_x_gradient=False, **options
        )
    decode = problem.tokenizer.decode
    if problem.kind == "causal":
        ids = problem.texts[0][0]
        prompt = decode(ids[: problem.prompt])

        def read_tokens(found: Any) -> dict[str, Any]:
            return {"absolute": found[0].attributions[:, : problem.prompt].tolist()}

        return lambda: method.explain(prompt, ids[problem.prompt :].cpu()), read_tokens
    texts = [
        problem.tokenizer(decode(ids[0, 1:-1]), return_tensors="pt", return_offsets_mapping=True)
        for ids in problem.texts
    ]
    targets = torch.full((len(texts),), problem.index)

    def run() -> Any:
        fresh = [type(text)(dict(text), text.encodings) for text in texts]
        return method.explain(fresh, targets)

    def read(found: Any) -> dict[str, Any]:
        kind = "signed" if path else "absolute"
        return {kind: [output.attributions.flatten().tolist() for output in found]}

    return run, read
