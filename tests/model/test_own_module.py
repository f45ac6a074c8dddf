"""Modules of the user's own are explained, or refused with what forward must take and return."""

from collections import namedtuple

import numpy as np
import pytest
import tiny_models
import torch
import transformers
from torch import nn

from model_understanding import GenerativeModelVisualizer, InputError, ModelVisualizer

TEXT = "The film was wonderful, but a dull plot is bad."
Named = namedtuple("Named", "loss logits")


class Classifier(nn.Module):
    """A head around an encoder, as tutorials write it; kinds differ in what forward takes and returns."""

    classes = 3

    def __init__(self, name="bert"):
        super().__init__()
        self.encoder = tiny_models.fresh(name).base_model
        torch.manual_seed(2)
        self.out = nn.Linear(32, self.classes)

    def answer(self, input_ids, attention_mask=None, token_type_ids=None):
        states = self.encoder(input_ids, attention_mask, token_type_ids).last_hidden_state
        return self.out(states[:, 0])


class ReturnsTensor(Classifier):
    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        return self.answer(input_ids, attention_mask, token_type_ids)


class ReturnsTuple(Classifier):
    def forward(self, input_ids, attention_mask=None, labels=None):
        logits = self.answer(input_ids, attention_mask)
        return logits.sum(), logits, logits.new_zeros(len(logits), 32)


class ReturnsDict(Classifier):
    def forward(self, input_ids, attention_mask):
        logits = self.answer(input_ids, attention_mask)
        return {"logits": logits, "probabilities": logits.softmax(-1)}


class ReturnsNamed(Classifier):
    def forward(self, input_ids, attention_mask):
        return Named(None, self.answer(input_ids, attention_mask))


class OtherNames(Classifier):
    def forward(self, ids, mask, segment_ids):
        return self.answer(ids, mask, segment_ids)


class FirstArgument(Classifier):
    def forward(self, x):
        return self.answer(x)


class TakesAnything(Classifier):
    def forward(self, *arguments, **keywords):
        return self.answer(*arguments, **keywords)


class TakesKeywords(Classifier):
    def forward(self, **batch):
        return self.answer(batch["input_ids"], batch["attention_mask"])


class OtherClasses(ReturnsTensor):
    classes = 5


class OwnConfig(ReturnsTensor):
    def __init__(self):
        super().__init__()
        self.config = {"hidden": 32}


class FromPretrained(transformers.BertPreTrainedModel):
    def __init__(self):
        model = tiny_models.fresh("bert")
        super().__init__(model.config)
        self.bert, self.out = model.bert, nn.Linear(32, 3)

    answer = Classifier.answer
    encoder = property(lambda self: self.bert)

    def forward(self, input_ids=None, attention_mask=None, **others):
        return (self.answer(input_ids, attention_mask),)


KINDS = [
    *(ReturnsTensor, ReturnsTuple, ReturnsDict, ReturnsNamed, OtherNames, FirstArgument, TakesAnything),
    *(TakesKeywords, OtherClasses, OwnConfig, FromPretrained),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_whose_logits_can_be_found_is_explained(kind):
    module, tokenizer = kind().eval(), tiny_models.tokenizer_of("bert")
    ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]
    kept = []

    def keep(_, arguments, output):
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    handle = module.encoder.embeddings.word_embeddings.register_forward_hook(keep)
    logits = module.answer(ids)[0]
    handle.remove()
    gradient = torch.autograd.grad(logits[1], kept[0])[0][0]
    visualizer = ModelVisualizer(model=module, tokenizer=tokenizer)
    assert visualizer.model is module
    prediction = visualizer.predict(TEXT)
    np.testing.assert_allclose(prediction.logits, logits.detach(), rtol=1e-4)
    assert len(prediction.labels) == module.out.out_features
    attribution = visualizer.compute_saliency(TEXT, method="saliency", target=1)
    np.testing.assert_allclose(attribution.scores[0], gradient.norm(dim=-1), rtol=1e-4)
    layers, heads = 3, 4
    weights = visualizer.compute_attention(TEXT, layer="all", head="all").weights
    assert weights.shape == (layers, heads, ids.shape[1], ids.shape[1])
    value = visualizer.compute_saliency(TEXT, method="saliency", target=lambda outputs: found(outputs)[0, 1])
    np.testing.assert_allclose(value.scores, attribution.scores, rtol=1e-4)


def found(outputs):
    """Return the logits in what a module returned: a custom target gets just that."""
    if isinstance(outputs, tuple):
        return next(part for part in outputs if part is not None and part.ndim == 2)
    return outputs["logits"] if isinstance(outputs, dict) else outputs


class Clamped(ReturnsTensor):
    def forward(self, input_ids, attention_mask):
        return self.answer(input_ids, attention_mask).softmax(-1).clamp(1e-6, 1)


class Softmax(Classifier):
    def forward(self, input_ids, attention_mask):
        return self.answer(input_ids, attention_mask).softmax(-1)


class Sigmoid(Classifier):
    def __init__(self):
        super().__init__()
        self.activation = nn.Sigmoid()

    def forward(self, input_ids, attention_mask):
        return self.activation(self.answer(input_ids, attention_mask))


class NeedsLabels(Classifier):
    def forward(self, input_ids, attention_mask, labels):
        return self.answer(input_ids, attention_mask)


class TakesBatch(Classifier):
    def forward(self, batch):
        return self.answer(**batch)


class PositionsOnly(Classifier):
    def forward(self, *inputs):
        return self.answer(*inputs)


class ReturnsStates(Classifier):
    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids, attention_mask).last_hidden_state


class ReturnsTwo(Classifier):
    def forward(self, input_ids, attention_mask):
        logits = self.answer(input_ids, attention_mask)
        return logits, 2 * logits


class HidesTheRest(Classifier):
    def forward(self, ids, mask):
        return self.answer(ids, 1 - mask)


REFUSED = {
    Softmax: "Softmax returns probabilities: the last step of its forward is softmax.",
    Clamped: "Clamped returns probabilities: they sum to 1.",
    Sigmoid: "Sigmoid returns probabilities: the last step of its forward is sigmoid.",
    NeedsLabels: "NeedsLabels.forward requires labels, which the tokenizer does not give.",
    TakesBatch: "TakesBatch could not be run with input_ids: TypeError: ",
    PositionsOnly: "PositionsOnly.forward takes no token ids by name.",
    ReturnsStates: "ReturnsStates returned no logits for 2 texts of 11 tokens: found (2, 11, 32), expected",
    ReturnsTwo: "ReturnsTwo returned several tensors that could be its logits for 2 texts",
    HidesTheRest: "The mask that HidesTheRest.forward takes does not hide tokens where it is 0.",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_module_without_logits_is_refused_with_what_forward_must_take_and_return(kind):
    with pytest.raises(InputError) as caught:
        ModelVisualizer(model=kind().eval(), tokenizer=tiny_models.tokenizer_of("bert"))
    assert caught.value.message.startswith(REFUSED[kind])
    assert "BlackBoxVisualizer" in caught.value.hint
    if "probabilities" not in REFUSED[kind]:
        assert caught.value.hint.startswith(
            "Let forward take input_ids and attention_mask, and return logits of shape (texts, classes): "
        )


class Writer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = tiny_models.fresh("llama")

    def forward(self, idx, targets=None):
        return self.inner(idx).logits, None


class LastOnly(Writer):
    def forward(self, idx, targets=None):
        return self.inner(idx).logits[:, -1:], None


class Subclass(transformers.LlamaForCausalLM):
    def forward(self, input_ids=None, attention_mask=None, **options):
        return super().forward(input_ids, attention_mask).logits


def subclass():
    model = tiny_models.fresh("llama")
    own = Subclass(model.config)
    own.load_state_dict(model.state_dict())
    return own


@pytest.mark.parametrize("make", [Writer, subclass])
def test_a_language_model_without_a_usual_generate_writes_and_is_explained(make):
    visualizer = GenerativeModelVisualizer(model=make().eval(), tokenizer=tiny_models.tokenizer_of("llama"))
    plain, text = tiny_models.visualizer_of("llama"), "Once upon a time"
    written, same = (each.generate(text, max_new_tokens=4).tokens.ids for each in (visualizer, plain))
    np.testing.assert_array_equal(written, same)
    sampled = [visualizer.generate(text, max_new_tokens=4, seed=1, top_k=1).tokens.ids for _ in range(2)]
    np.testing.assert_array_equal(sampled, [same, same])
    for method in ("saliency", "leave_one_out"):
        scores, expected = (
            each.compute_saliency(text, method=method, target="next").scores for each in (visualizer, plain)
        )
        np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)


def test_logits_of_the_last_position_alone_are_refused():
    with pytest.raises(InputError, match=r"found \(2, 1, 330\), expected \(texts, tokens, vocabulary\)"):
        GenerativeModelVisualizer(model=LastOnly().eval(), tokenizer=tiny_models.tokenizer_of("llama"))


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2", "gpt2-classifier"])
def test_a_model_that_returns_tuples_has_the_numbers_of_one_that_does_not(name):
    model = tiny_models.fresh(name, return_dict=False)
    visualizer, plain = tiny_models.visualizer_of(name, model=model), tiny_models.visualizer_of(name)
    for each, other in zip(*(numbers_of(one) for one in (visualizer, plain)), strict=True):
        np.testing.assert_array_equal(each, other)
    assert model.config.return_dict is False


def numbers_of(visualizer):
    scores = visualizer.compute_saliency(TEXT, method="saliency").scores
    lens = visualizer.compute_logit_lens(TEXT).top_probabilities
    if isinstance(visualizer, ModelVisualizer):
        return scores, lens, visualizer.predict(TEXT).logits
    return scores, lens, visualizer.generate(TEXT, max_new_tokens=2).tokens.ids


class DropsOut(ReturnsTensor):
    def forward(self, input_ids, attention_mask):
        states = self.encoder(input_ids, attention_mask).last_hidden_state[:, 0]
        return self.out(nn.functional.dropout(states, 0.2))


class Centered(ReturnsTensor):
    def forward(self, input_ids, attention_mask):
        logits = self.answer(input_ids, attention_mask)
        return logits - logits.mean(dim=0, keepdim=True) / 2


@pytest.mark.parametrize("kind", [DropsOut, Centered])
def test_logits_that_change_from_run_to_run_or_with_the_batch_are_refused(kind):
    with pytest.raises(InputError) as caught:
        ModelVisualizer(model=kind().eval(), tokenizer=tiny_models.tokenizer_of("bert"))
    assert caught.value.message == (
        f"{kind.__name__} gives other logits for the same text when it runs once more beside another text."
    )
    assert "BlackBoxVisualizer" in caught.value.hint
