"""What is generated is what the explained forward passes give, whatever way transformers generates."""

import pytest
import tiny_tokenizers
import torch
import transformers
from length_dependent import longrope, model_of, ntk, with_capacity

from model_understanding import GenerativeModelVisualizer

TOKENIZER = tiny_tokenizers.gpt2_like()
PROMPT = "The king was in the land far away."
LENGTH = len(TOKENIZER(PROMPT)["input_ids"])


def of_class(name, **settings):
    return model_of(name, is_decoder=settings.pop("is_decoder", True), **settings)


def without_generate():
    model = model_of("Llama")
    model.prepare_inputs_for_generation = None
    return model


MODELS = {
    "RoBERTa, positions from padding": lambda: of_class("Roberta"),
    "XLM-R": lambda: of_class("XLMRoberta"),
    "BERT, not causal": lambda: of_class("Bert", is_decoder=False),
    "longrope, crossed while generating": lambda: longrope(LENGTH + 2, "Llama"),
    "experts of limited capacity": with_capacity,
    "a model that transformers cannot generate with": without_generate,
    "plain": lambda: model_of("Llama"),
}


def by_hand(model, ids, count):
    """Plain torch: the likeliest token after each prefix."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[-count:]


@pytest.mark.parametrize("name", MODELS)
def test_each_generated_token_is_the_likeliest_of_its_own_forward_pass(name):
    model = MODELS[name]()
    model.generation_config = transformers.GenerationConfig(eos_token_id=None)
    expected = by_hand(model, TOKENIZER(PROMPT)["input_ids"], 5)
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=TOKENIZER)
    record = visualizer.generate(PROMPT, max_new_tokens=5)
    assert record.tokens.ids[LENGTH:].tolist() == expected == record.top_ids[:, 0].tolist()
    assert record.cautions == ()
    sampled = visualizer.generate(PROMPT, max_new_tokens=5, seed=3)
    assert (
        sampled.tokens.ids.tolist()
        == visualizer.generate(PROMPT, max_new_tokens=5, seed=3).tokens.ids.tolist()
    )
    almost = visualizer.generate(PROMPT, max_new_tokens=5, seed=3, top_k=1)
    assert almost.tokens.ids[LENGTH:].tolist() == expected


def test_both_ways_sample_alike():
    visualizer = GenerativeModelVisualizer(model=model_of("Llama"), tokenizer=TOKENIZER)
    options = {"max_new_tokens": 6, "seed": 5, "temperature": 0.7, "top_p": 0.9, "top_k": 50}
    expected = visualizer.generate(PROMPT, **options).tokens.ids.tolist()
    visualizer.runner.model.measured = {
        key: False if "_cache_agrees" in str(key) else value
        for key, value in visualizer.runner.model.measured.items()
    }
    assert visualizer.generate(PROMPT, **options).tokens.ids.tolist() == expected


def test_a_step_that_rounds_to_another_token_is_named(monkeypatch):
    from model_understanding.model import generation

    visualizer = GenerativeModelVisualizer(model=model_of("Llama"), tokenizer=TOKENIZER)
    right = generation._by_transformers

    def other_at_step_2(*arguments):
        ids = right(*arguments)
        return [*ids[:2], ids[2] + 1, *ids[3:]]

    monkeypatch.setattr(generation, "_by_transformers", other_at_step_2)
    (caution,) = visualizer.generate(PROMPT, max_new_tokens=3).cautions
    assert caution.startswith("At step 2 (counted from 0) the generated token is not the most probable one")
    report = visualizer.analyze(PROMPT, max_new_tokens=3, show=False, evaluate=False, attention=())
    assert caution in report.provenance.cautions


def test_frequencies_that_transformers_keeps_are_the_models_before_and_after():
    model = ntk(16)
    rotary = model.model.rotary_emb
    text = torch.arange(1, 12)[None]
    before = model(text).logits
    frequencies = rotary.inv_freq.clone()
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=TOKENIZER)
    visualizer.compute_saliency("The king", target="next", method="saliency")
    assert torch.equal(rotary.inv_freq, frequencies)
    assert torch.equal(model(text).logits, before)
