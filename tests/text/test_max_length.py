"""How long a text may be, and what happens one token beyond."""

import pytest
import tiny_models

from model_understanding import InputError
from model_understanding.text.max_length import check_length, longest_input

LIMITS = {
    "bert": 96,
    "roberta": 96,  # 98 rows: the first two belong to the padding
    "xlm-roberta": 96,
    "mpnet": 96,
    "gpt2": 96,
    "gpt2-classifier": 96,
    "opt": 96,  # its table has two rows more
    "llama": 96,
    "modernbert": 96,
    "bloom": None,
    "mamba": None,
    "xlnet": None,
}


@pytest.mark.parametrize(("name", "limit"), LIMITS.items())
def test_the_limit_is_the_models(name, limit):
    model = tiny_models.build(name)
    assert longest_input(model, model.config, tiny_models.tokenizer_of(name)) == limit


@pytest.mark.parametrize("name", [name for name, limit in LIMITS.items() if limit])
def test_the_longest_text_runs_and_one_token_more_is_refused(name):
    visualizer, limit = tiny_models.visualizer_of(name), LIMITS[name]
    added = len(visualizer.tokenizer("a")["input_ids"]) - 1
    explain = visualizer.compute_saliency
    text = "." * (limit - added)
    runs = len(visualizer.tokenizer(text)["input_ids"])
    assert runs == limit
    assert explain(text).scores.shape == (1, limit)
    with pytest.raises(InputError) as caught:
        explain(text + ".")
    assert str(caught.value) == (
        f"The text has {limit + 1} tokens; {type(visualizer.model).__name__} accepts at most {limit}. "
        "Pass a shorter text: texts are never truncated silently."
    )


@pytest.mark.parametrize("name", ["bloom", "mamba", "xlnet"])
def test_a_model_without_a_limit_takes_more(name):
    visualizer = tiny_models.visualizer_of(name)
    text = "." * 150
    assert tiny_models.encoded(visualizer, text).ids.shape[1] >= 150
    assert visualizer.compute_saliency(text, method="saliency").scores.shape[1] >= 150


def test_the_tokenizers_limit_counts_where_the_model_has_none():
    model, tokenizer = tiny_models.build("mamba"), tiny_models.BY_NAME["mamba"].tokenizer.__wrapped__()
    tokenizer.model_max_length = 20
    limit = longest_input(model, model.config, tokenizer)
    check_length("MambaForCausalLM", limit, 20)
    with pytest.raises(InputError) as caught:
        check_length("MambaForCausalLM", limit, 21)
    assert str(caught.value) == (
        "The text has 21 tokens; MambaForCausalLM accepts at most 20. "
        "Pass a shorter text: texts are never truncated silently."
    )


def test_generation_stops_at_the_last_position():
    visualizer = tiny_models.visualizer_of("llama")
    prompt = "." * 90
    assert tiny_models.encoded(visualizer, prompt).ids.shape[1] == 91
    assert len(visualizer.generate(prompt, max_new_tokens=32).tokens) <= 96
    with pytest.raises(InputError) as caught:
        visualizer.generate("." * 95)
    assert str(caught.value) == (
        "The prompt has 96 tokens, which leaves no room for a continuation: the model's maximum is 96. "
        "Pass a shorter prompt."
    )
