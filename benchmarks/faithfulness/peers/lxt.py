"""lxt 2.1: AttnLRP and CP-LRP by patched classes, on transformers 4."""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig


def prepare(problem: Any) -> Callable[[Any], Any]:
    """Return lxt's way: embedding · gradient of the patched model."""
    timed = Path(problem.timed_file)
    specification = importlib.util.spec_from_file_location("timed", timed)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.stand_in_for_missing()
    from lxt.efficient import monkey_patch

    classifier = problem.kind == "classifier"
    name = "bert" if classifier else "llama"
    modeling = importlib.import_module(f"transformers.models.{name}.modeling_{name}")
    if problem.method == "cp_lrp":
        monkey_patch(modeling, importlib.import_module(f"lxt.efficient.models.{name}").cp_LRP)
    else:
        monkey_patch(modeling)
    kind = "BertForSequenceClassification" if classifier else "LlamaForCausalLM"
    config = AutoConfig.from_pretrained(problem.model_folder)
    if not classifier:  # transformers 4 does not know where version 5 keeps it, and takes 10,000
        config.rope_theta = config.rope_parameters["rope_theta"]
    model = getattr(modeling, kind).from_pretrained(problem.model_folder, config=config, dtype=torch.float32)
    model.eval().requires_grad_(False)
    problem.model = model
    table = model.get_input_embeddings()

    def scores_of(question: Any) -> Any:
        ids = question.ids
        leaf = table(ids).detach().requires_grad_()
        if classifier:
            value = model(inputs_embeds=leaf).logits[0, question.index]
        else:
            logits = model(inputs_embeds=leaf, use_cache=False).logits[0, question.prompt - 1 : -1]
            answer = ids[0, question.prompt :]
            value = logits.log_softmax(-1).gather(-1, answer[:, None]).sum()
        scores = leaf.detach() * torch.autograd.grad(value, leaf)[0]
        return ids[0], scores[0].sum(-1)

    return scores_of
