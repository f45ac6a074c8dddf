"""lxt 2.1: AttnLRP by patched classes, on transformers 4 and with stand-ins for what it imports and lacks."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
import transformers


def stand_in_for_missing() -> None:
    """Put empty modules and names where lxt imports what is not there and not needed here."""
    vision = ModuleType("torchvision.models.vision_transformer")
    vision.nn = torch.nn  # pyright: ignore[reportAttributeAccessIssue]
    models = ModuleType("torchvision.models")
    models.vision_transformer = vision  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules |= {
        "torchvision": ModuleType("torchvision"),
        "torchvision.models": models,
        "torchvision.models.vision_transformer": vision,
    }


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return lxt's way: embedding · gradient of the patched model."""
    # The model is loaded already: its classes are patched in place, and a class that lxt replaces (BERT's)
    # is replaced before the model is made again from the same folder.
    stand_in_for_missing()
    from lxt.efficient import monkey_patch

    classifier = problem.kind == "classifier"
    if classifier:
        from transformers.models.bert import modeling_bert as module

        kind = "BertForSequenceClassification"
    else:
        from transformers.models.gpt2 import modeling_gpt2 as module

        kind = "GPT2LMHeadModel"
    monkey_patch(module)
    model = getattr(module, kind).from_pretrained(problem.model_folder, dtype=getattr(torch, problem.dtype))
    model.eval().requires_grad_(False).to(problem.device)
    problem.in_memory(model)
    problem.model = None
    ids, table = problem.texts[0], model.get_input_embeddings()

    def run() -> Any:
        leaf = table(ids).detach().requires_grad_()
        if classifier:
            value = model(inputs_embeds=leaf).logits[0, problem.index]
        else:
            logits = model(inputs_embeds=leaf, use_cache=False, logits_to_keep=1).logits
            value = logits[0, -1].log_softmax(-1)[problem.index]
        return leaf.detach() * torch.autograd.grad(value, leaf)[0]

    assert transformers.__version__.startswith("4."), "lxt 2.1 needs transformers 4"
    return run, lambda found: {"other": found.sum(-1).tolist()}
