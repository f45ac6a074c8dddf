"""Language models: every generated token against a loop of prefixes, and what generation keeps."""

import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, encoded, visualizer_of
from transformers import GenerationConfig

from model_understanding import GenerativeModelVisualizer, InputError, UnsupportedModelError

STEPS = 5


def prefix_gradients(visualizer, tokens, position, index):
    """Return captum's gradient of one token's log-probability, from a forward over just its prefix."""
    ids = torch.tensor(tokens.ids[: position + 1].copy())[None]
    return oracles.captum_gradients(
        visualizer.model, {"input_ids": ids}, lambda logits: logits[0, -1].log_softmax(-1)[index]
    )


@pytest.mark.parametrize("name", tiny_models.LANGUAGE_MODELS)
def test_each_generated_token_is_explained_by_its_own_prefix(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(
        PROBE, target="continuation", per_token=True, max_new_tokens=STEPS, method="saliency"
    )
    for row, target in enumerate(found.targets):
        (position,), (index,) = target.positions, target.indices
        expected = prefix_gradients(visualizer, found.tokens, position, index).norm(dim=-1)
        assert oracles.close(found.scores[row, : position + 1], expected, 5e-5)
        assert found.valid[row, : position + 1].all()
        assert not found.valid[row, position + 1 :].any()
        assert not found.scores[row, position + 1 :].any()


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.LANGUAGE_MODELS))
def test_a_whole_continuation_is_the_sum_of_its_tokens(name):
    visualizer = visualizer_of(name)
    options = {"target": "continuation", "continuation": " a king lived.", "method": "saliency"}
    rows = visualizer.compute_saliency(PROBE, **options, per_token=True)
    whole = visualizer.compute_saliency(PROBE, **options)
    assert oracles.close(whole.outputs[0], rows.outputs.sum())
    encoding = visualizer.runner.model.encode(rows.tokens)
    each = visualizer.runner.gradients(encoding, rows.targets).gradients
    together = visualizer.runner.gradients(encoding, whole.targets).gradients
    assert oracles.close(together[0, 0], each[0].double().sum(0), 5e-5)


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.LANGUAGE_MODELS))
def test_steps_keep_what_the_model_believed(name):
    visualizer = visualizer_of(name)
    found = visualizer.generate(PROBE, max_new_tokens=STEPS)
    assert found.prompt_length == encoded(visualizer, PROBE).ids.shape[1]
    for step, probability in enumerate(found.probabilities):
        ids = torch.tensor(found.tokens.ids[: found.prompt_length + step].copy())[None]
        with torch.no_grad():
            expected = visualizer.model(input_ids=ids).logits[0, -1].double().softmax(-1)
        assert oracles.close(probability, expected[found.tokens.ids[found.prompt_length + step]], 5e-5)
        assert oracles.close(found.entropies[step], -(expected * expected.log()).sum(), 5e-5)
        assert oracles.close(found.top_probabilities[step], expected.topk(5).values, 5e-5)
        assert expected.topk(5).indices.tolist() == found.top_ids[step].tolist()


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral", "gemma3", "mamba", "gpt-oss"])
def test_generation_is_greedy_whatever_the_models_config_says(name):
    model = tiny_models.fresh(name)
    own = GenerationConfig(do_sample=True, temperature=5.0, top_k=3, repetition_penalty=50.0, eos_token_id=2)
    model.generation_config = own
    before = own.to_dict()
    found = visualizer_of(name, model=model).generate(PROBE, max_new_tokens=STEPS)
    ids = found.tokens.ids.tolist()
    for position in range(found.prompt_length, len(ids)):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids[:position]])).logits[0, -1]
        assert int(logits.argmax()) == ids[position]
    assert model.generation_config is own
    assert own.to_dict() == before


def test_sampling_takes_a_seed_and_leaves_the_callers_randomness_alone():
    visualizer = visualizer_of("llama")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one = visualizer.generate(PROBE, max_new_tokens=12, seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert (
        one.tokens.ids.tolist() == visualizer.generate(PROBE, max_new_tokens=12, seed=1).tokens.ids.tolist()
    )
    assert (
        one.tokens.ids.tolist() != visualizer.generate(PROBE, max_new_tokens=12, seed=2).tokens.ids.tolist()
    )


def test_an_end_token_counts_only_when_the_model_wrote_it():
    model = tiny_models.fresh("llama")
    first = visualizer_of("llama", model=model).generate(PROBE, max_new_tokens=3)
    model.generation_config.eos_token_id = int(first.tokens.ids[-2])
    visualizer = visualizer_of("llama", model=model)
    ended = visualizer.generate(PROBE, max_new_tokens=3)
    assert ended.ended
    assert len(ended.tokens) == len(first.tokens) - 1
    assert not visualizer.generate(PROBE, max_new_tokens=1).ended
    given = visualizer.generate(PROBE, continuation=" a king")
    assert given.given
    assert not given.ended
    assert given.text == " a king"


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.LANGUAGE_MODELS))
def test_a_given_continuation_is_tokenized_alone_and_appended(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(
        PROBE, target="continuation", continuation=" a king lived", per_token=True, method="saliency"
    )
    tokenizer = visualizer.tokenizer
    expected = (
        tokenizer(PROBE)["input_ids"] + tokenizer(" a king lived", add_special_tokens=False)["input_ids"]
    )
    assert found.tokens.ids.tolist() == expected
    assert found.tokens.texts == (PROBE, " a king lived")
    assert [target.indices[0] for target in found.targets] == expected[-len(found.targets) :]


def test_generated_emoji_stand_where_they_are_in_the_text():
    visualizer = visualizer_of("gpt2")
    emoji = visualizer.tokenizer("a 👨‍👩‍👧 שלום", add_special_tokens=False)["input_ids"]
    from model_understanding.text.continuation import tokens_of_ids
    from model_understanding.text.tokenization import tokenize

    prompt, _ = tokenize(visualizer.tokenizer, PROBE)
    tokens = tokens_of_ids(visualizer.tokenizer, emoji, prompt)
    assert tokens.texts == ("a 👨‍👩‍👧 שלום",)
    assert len(tokens) == len(emoji)
    units = tokens.fold(tokens.groups("character"))
    assert "👨‍👩‍👧" in "".join(units.surfaces())
    assert any(surface.strip() == "👨‍👩‍👧" for surface in units.surfaces())


def test_chat_messages_go_through_the_template_whose_tokens_are_special():
    visualizer = visualizer_of("gpt2")
    messages = [{"role": "user", "content": "The film was wonderful."}]
    found = visualizer.compute_saliency(messages, target="next", method="saliency")
    expected = visualizer.tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True
    )
    assert found.tokens.ids.tolist() == list(expected["input_ids"])
    own = [s for s, special in zip(found.tokens.surfaces(), found.tokens.special, strict=True) if not special]
    assert "".join(own) == "The film was wonderful."


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.LANGUAGE_MODELS))
def test_a_callable_target_sees_the_models_outputs(name):
    visualizer = visualizer_of(name)
    inputs = {"input_ids": encoded(visualizer, PROBE).ids}

    def margin(outputs):
        return outputs.logits[0, -1, 7] - outputs.logits[0, 3, 9]

    expected = oracles.captum_gradients(
        visualizer.model, inputs, lambda logits: logits[0, -1, 7] - logits[0, 3, 9]
    )
    found = visualizer.compute_saliency(PROBE, target=margin, method="saliency")
    assert oracles.close(found.scores[0], expected.norm(dim=-1), 2e-5)
    assert found.targets[0].description() == "custom target margin"


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_next_token_by_text_id_and_contrast(name):
    visualizer = visualizer_of(name)
    by_text = visualizer.compute_saliency(PROBE, target=" the", against=" of", method="saliency")
    by_id = visualizer.compute_saliency(
        PROBE, target=by_text.targets[0].indices[0], against=by_text.targets[0].against[0], method="saliency"
    )
    assert by_text.targets[0].description() == "log-probability of the − of"
    assert (by_text.scores == by_id.scores).all()
    likeliest = visualizer.compute_saliency(PROBE, target="next", method="saliency")
    assert likeliest.targets[0].indices[0] == visualizer.generate(PROBE, max_new_tokens=1).top_ids[0, 0]


MISUSES = {
    "one token has no loss": (
        ("a",), {},
        "A one-token prompt has no loss: the model does not predict its first token. "
        "Pass a longer prompt, or target='next'.",
    ),
    "per_token needs a continuation": (
        (PROBE,), {"per_token": True},
        "per_token needs target='continuation'. Got target='loss'. "
        "Pass target='continuation'.",
    ),
    "a contrast needs next": (
        (PROBE,), {"against": " the"},
        "against needs target='next', 'continuation' or a token. Got target='loss'. Pass target='next'. "
        "To explain the token 'loss', pass its id or ['loss'] as target.",
    ),
    "unknown quantity": (
        (PROBE,), {"target": "next", "quantity": "odds"},
        "Unknown quantity 'odds'. Allowed: logit, log_prob, prob. Pass quantity='logit'.",
    ),
    "no room": (
        ("a" * 96,), {"target": "continuation"},
        "The prompt has 96 tokens, which leaves no room for a continuation: the model's maximum is 96. "
        "Pass a shorter prompt.",
    ),
    "no tokens": (
        (PROBE,), {"target": "continuation", "max_new_tokens": 0},
        "max_new_tokens must be a whole number, 1 or more. Got 0. Pass max_new_tokens=1.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_says_what_was_given_and_what_to_do(misuse):
    arguments, options, message = MISUSES[misuse]
    with pytest.raises(InputError) as caught:
        visualizer_of("gpt2").compute_saliency(*arguments, **options)
    assert str(caught.value) == message


def test_xlnet_as_a_language_model_is_refused():
    from transformers import XLNetConfig, XLNetLMHeadModel

    tokenizer = tiny_models.tokenizer_of("xlnet")
    model = XLNetLMHeadModel(
        XLNetConfig(vocab_size=len(tokenizer), d_model=32, n_layer=1, n_head=4, d_inner=32)
    )
    with pytest.raises(UnsupportedModelError, match="XLNet predicts permuted positions"):
        GenerativeModelVisualizer(model=model, tokenizer=tokenizer)


def test_a_language_model_that_is_not_causal_shows_no_steps():
    with pytest.raises(UnsupportedModelError, match="BertLMHeadModel is not causal"):
        visualizer_of("bert-as-language-model").compute_attention(PROBE)
