"""Inputs reach the model inside a wrapper: values and gradients are those of the wrapped model's own call."""

from functools import partial

import numpy as np
import peft
import pytest
import tiny_models
import torch
import untouched
from by_hand import gradients_by_hand
from torch import nn

from model_understanding import GenerativeModelVisualizer, ModelVisualizer
from model_understanding.model.signature import accepted_inputs

pytestmark = [
    # peft asks transformers by the former name.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`"),
    pytest.mark.filterwarnings("ignore:(Token type|Position) ids are not supported"),
]
PAIR = ("The film was wonderful", "but a dull plot is bad.")
CLASSIFIER, LANGUAGE_MODEL = peft.TaskType.SEQ_CLS, peft.TaskType.CAUSAL_LM
BERT = ["query", "value"]


def adapters(task, modules):
    """Return one configuration of each kind of adapter that peft can add to a model."""
    return {
        "lora": peft.LoraConfig(task_type=task, r=4, target_modules=modules, init_lora_weights=False),
        "ia3": peft.IA3Config(
            task_type=task, target_modules=modules, feedforward_modules=[], init_ia3_weights=False
        ),
        "prompt": peft.PromptTuningConfig(task_type=task, num_virtual_tokens=3),
        "prefix": peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=3),
    }


class Passing(nn.Module):
    """A wrapper of the user's own that takes anything."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.config = inner, inner.config

    def forward(self, **inputs):
        return self.inner(**inputs)

    def get_input_embeddings(self):
        return self.inner.get_input_embeddings()

    dtype = property(lambda self: self.inner.dtype)
    device = property(lambda self: self.inner.device)


def adapted(name, task, kind, modules):
    torch.manual_seed(1)
    return peft.get_peft_model(tiny_models.fresh(name), adapters(task, modules)[kind]).eval()


@pytest.mark.parametrize("kind", ["lora", "ia3", "prompt", "prefix", "twice wrapped"])
def test_a_pair_keeps_its_token_types_in_an_adapted_classifier(kind):
    if kind == "twice wrapped":
        model = Passing(Passing(adapted("bert", CLASSIFIER, "lora", BERT)))
    else:
        model = adapted("bert", CLASSIFIER, kind, BERT)
    tokenizer = tiny_models.tokenizer_of("bert")
    inputs = dict(tokenizer(*PAIR, return_tensors="pt"))
    assert inputs["token_type_ids"].any()
    values, _, gradients = gradients_by_hand(model, inputs, lambda logits: [logits[0]])
    visualizer = ModelVisualizer(model=model, tokenizer=tokenizer)
    assert visualizer.predict(PAIR).logits[0] == pytest.approx(float(values[0]), rel=1e-5)
    scores = visualizer.compute_saliency(PAIR, method="saliency", target=0).scores[0]
    np.testing.assert_allclose(scores, gradients[0].norm(dim=-1), rtol=1e-4)


@pytest.mark.parametrize("kind", ["lora", "ia3", "prompt", "prefix"])
def test_an_adapted_language_model_is_explained_and_writes_as_it_does(kind):
    model = adapted("llama", LANGUAGE_MODEL, kind, ["k_proj", "v_proj"])
    tokenizer = tiny_models.tokenizer_of("llama")
    text = "Once upon a time"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    token = 17
    _, _, gradients = gradients_by_hand(
        model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, lambda logits: [logits[-1, token]]
    )
    written = ids
    with torch.no_grad():
        for _ in range(3):
            logits = model(input_ids=written, attention_mask=torch.ones_like(written)).logits
            written = torch.cat([written, logits[:, -1:].argmax(-1)], dim=1)
    before = untouched.snapshot(model)
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=tokenizer)
    attribution = visualizer.compute_saliency(text, method="saliency", target=token, quantity="logit")
    np.testing.assert_allclose(attribution.scores[0], gradients[0].norm(dim=-1), rtol=1e-4)
    assert visualizer.generate(text, max_new_tokens=3).tokens.ids.tolist()[-3:] == written[0, -3:].tolist()
    untouched.assert_same(before, untouched.snapshot(model))


def test_what_a_module_accepts():
    bert = tiny_models.build("bert")
    own = accepted_inputs(bert).keys()
    assert {"input_ids", "attention_mask", "token_type_ids"} <= own
    assert "token_type_ids" not in accepted_inputs(tiny_models.build("llama"))

    class Open(type(bert)):
        def forward(self, *arguments, **keywords):
            return super().forward(*arguments, **keywords)

    class Closed(Passing):
        def forward(self, input_ids):
            return self.inner(input_ids)

    assert accepted_inputs(Open(bert.config)).keys() == own
    assert accepted_inputs(Passing(Passing(bert))).keys() >= own
    assert accepted_inputs(Closed(bert)) == {"input_ids": "input_ids"}
    replaced = tiny_models.fresh("bert")
    replaced.forward = partial(replaced.forward, output_attentions=False)
    assert accepted_inputs(replaced).keys() == own
    replaced.forward = lambda *arguments, call=replaced.forward, **keywords: call(*arguments, **keywords)
    assert accepted_inputs(replaced).keys() >= own
