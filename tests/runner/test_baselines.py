"""Baselines: the right row of the right table, special tokens kept, clear refusals."""

import numpy as np
import pytest
import torch

import tiny_models
from model_understanding import InputError
from model_understanding.runner.baselines import (
    baseline_embeddings,
    checked_baselines,
    mean_embedding,
    movable_tokens,
    ordinary_ids,
    resolved_baseline,
)
from tiny_models import PROBE, TEXTS, encoded, visualizer_of


def table_of(visualizer):
    """Return what the embedding module gives for each id."""
    module = visualizer.model.get_input_embeddings()
    with torch.no_grad():
        return module(torch.arange(module.num_embeddings)[None])[0]


@pytest.mark.parametrize("name", ["bert", "roberta", "albert", "llama", "gemma3", "xlnet"])
@pytest.mark.parametrize("baseline", ["mask", "pad", "mean", "zero", "id:7", "text: sea"])
def test_a_baseline_is_its_row_of_the_table_and_special_tokens_keep_theirs(name, baseline):
    visualizer = visualizer_of(name)
    tokenizer, encoding, table = visualizer.tokenizer, encoded(visualizer, PROBE), table_of(visualizer)
    if baseline == "mask" and tokenizer.mask_token_id is None:
        with pytest.raises(InputError, match="the tokenizer has no mask token"):
            baseline_embeddings(visualizer.runner, encoding, baseline)
        return
    found = baseline_embeddings(visualizer.runner, encoding, baseline)[0]
    special = torch.from_numpy(encoding.tokens[0].special.copy())
    assert special.any()
    assert torch.equal(found[special], table[encoding.ids[0]][special])
    filling = tokenizer(" sea", add_special_tokens=False)["input_ids"]
    count = int((~special).sum())
    expected = {
        "mask": table[tokenizer.mask_token_id or 0].expand(count, -1),
        "pad": table[tokenizer.pad_token_id].expand(count, -1),
        "mean": table.mean(0).expand(count, -1),
        "zero": torch.zeros(count, table.shape[1]),
        "id:7": table[7].expand(count, -1),
        "text: sea": table[(filling * count)[:count]],
    }[baseline]
    assert torch.allclose(found[~special], expected, rtol=1e-5, atol=1e-7)


def test_the_rows_are_what_the_module_gives_not_its_weights():
    visualizer = visualizer_of("gemma3")  # its embedding module scales
    weights = visualizer.model.get_input_embeddings().weight
    scale = visualizer.model.config.hidden_size**0.5
    found = mean_embedding(visualizer.runner)
    assert torch.allclose(found, weights.detach().mean(0) * scale, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(found, weights.detach().mean(0), rtol=1e-1)


def test_the_mean_is_the_same_in_small_chunks(monkeypatch):
    runner = visualizer_of("bert").runner
    whole = mean_embedding(runner)
    monkeypatch.setattr("model_understanding.runner.baselines._IDS_AT_ONCE", 7)
    assert torch.allclose(mean_embedding(runner), whole, rtol=1e-5, atol=1e-7)


def test_default_is_the_mask_else_the_padding_else_the_mean(monkeypatch):
    assert resolved_baseline(visualizer_of("bert").runner, "default") == "mask"
    assert resolved_baseline(visualizer_of("gpt2").runner, "default") == "mean"
    # Llama's padding row was never trained and is zero: a path from there does not converge.
    llama = visualizer_of("llama", model=tiny_models.fresh("llama"))
    pad = llama.tokenizer.pad_token_id
    assert not table_of(llama)[pad].any()
    assert resolved_baseline(llama.runner, "default") == "mean"
    with torch.no_grad():
        llama.model.get_input_embeddings().weight[pad] = 0.1
    assert resolved_baseline(llama.runner, "default") == "pad"
    assert resolved_baseline(llama.runner, "zero") == "zero"


def test_a_baseline_text_is_repeated_over_the_ordinary_tokens_and_may_not_be_longer():
    visualizer = visualizer_of("bert")
    encoding, table = encoded(visualizer, "The film was bad and the plot too"), table_of(visualizer)
    ids = visualizer.tokenizer("sea shore", add_special_tokens=False)["input_ids"]
    found = baseline_embeddings(visualizer.runner, encoding, "text:sea shore")[0]
    places = np.flatnonzero(~encoding.tokens[0].special)
    for number, place in enumerate(places):
        assert torch.equal(found[place], table[ids[number % len(ids)]])
    with pytest.raises(InputError) as caught:
        baseline_embeddings(visualizer.runner, encoding, f"text:{PROBE}")
    longer = len(visualizer.tokenizer(PROBE, add_special_tokens=False)["input_ids"])
    assert str(caught.value) == (
        f"The baseline's text has {longer} tokens, the explained text {len(places)}. "
        "Use a baseline of as many tokens or fewer: a shorter one is repeated."
    )


def test_padding_of_a_batch_is_never_moved():
    visualizer = visualizer_of("bert")
    batch = visualizer.runner.batch([encoded(visualizer, text) for text in TEXTS[:2]])
    lengths = [len(tokens) for tokens in batch.tokens]
    assert lengths[0] > lengths[1]
    assert not movable_tokens(batch)[1, lengths[1] - 1 :].any()  # [SEP] and what follows it
    own = visualizer.runner.embed(batch)
    found = baseline_embeddings(visualizer.runner, batch, "mask")
    assert torch.equal(found[1, lengths[1] :], own[1, lengths[1] :])


def test_ordinary_ids_are_without_the_special_ones():
    runner = visualizer_of("bert").runner
    assert set(range(len(runner.tokenizer))) - set(ordinary_ids(runner).tolist()) == {0, 1, 2, 3, 4}


MISUSES = {
    "no mask token": (
        "gpt2", "mask",
        "The baseline is 'mask', but the tokenizer has no mask token. "
        "Use baseline='mean', or 'default', which takes what there is.",
    ),
    "no padding token": (
        "gpt2", "pad",
        "The baseline is 'pad', but the tokenizer has no pad token. "
        "Use baseline='mean', or 'default', which takes what there is.",
    ),
    "beyond the vocabulary": (
        "gpt2", "id:99999",
        "The baseline 'id:99999' has id 99999, but the model's vocabulary has ROWS tokens. "
        "Use baseline='mean', or an id of the vocabulary.",
    ),
    "no tokens": (
        "bert", "text: ",
        "The baseline's text ' ' has no tokens. Use a text that has, or baseline='mean'.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_says_what_was_given_and_what_to_do(misuse):
    name, baseline, message = MISUSES[misuse]
    visualizer = visualizer_of(name)
    with pytest.raises(InputError) as caught:
        baseline_embeddings(visualizer.runner, encoded(visualizer, PROBE), baseline)
    assert str(caught.value) == message.replace("ROWS", str(visualizer.model.config.vocab_size))


@pytest.mark.parametrize("name", ["masks", "", "mask,,mean", "id:x", "text:"])
def test_an_unknown_baseline_is_refused_at_once(name):
    with pytest.raises(InputError) as caught:
        checked_baselines(name)
    wrong = "" if "," in name else name
    assert str(caught.value) == (
        f"Baseline {wrong!r} is unknown. Allowed: default, mask, pad, mean, zero, id:NUMBER, text:WORDS. "
        "Use baseline='default', or several separated by commas, as 'mask,mean'."
    )
