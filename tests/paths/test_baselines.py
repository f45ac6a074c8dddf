"""Baselines: the right row of the right table, numbers as given, special tokens kept, clear refusals."""

import dataclasses
import hashlib
import pickle

import numpy as np
import pytest
import tiny_models
import torch
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from model_understanding import InputError, IntegratedGradients, SequentialIntegratedGradients
from model_understanding.model.vocabulary import mean_embedding, ordinary_ids
from model_understanding.paths.baselines import (
    baseline_embeddings,
    checked_baselines,
    movable_tokens,
    recorded_baseline,
    resolved_baseline,
)
from model_understanding.paths.tensor_baseline import TensorBaseline
from model_understanding.results import Attribution


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
    found = mean_embedding(visualizer.runner.model)
    assert torch.allclose(found, weights.detach().mean(0) * scale, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(found, weights.detach().mean(0), rtol=1e-1)


def test_the_mean_is_the_same_in_small_chunks():
    runner = visualizer_of("bert").runner
    whole = mean_embedding(runner.model)
    assert torch.allclose(mean_embedding(runner.model, 7), whole, rtol=1e-5, atol=1e-7)


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
        f"The baseline's text has {longer} tokens, more than the explained text, which has {len(places)}. "
        f"Pass a text of at most {len(places)} tokens; a shorter one is repeated."
    )


def test_padding_of_a_batch_is_never_moved():
    visualizer = visualizer_of("bert")
    batch = visualizer.runner.model.batch([encoded(visualizer, text) for text in TEXTS[:2]])
    lengths = [len(tokens) for tokens in batch.tokens]
    assert lengths[0] > lengths[1]
    assert not movable_tokens(visualizer.runner, batch)[
        1, lengths[1] - 1 :
    ].any()  # [SEP] and what follows it
    own = visualizer.runner.embed(batch)
    found = baseline_embeddings(visualizer.runner, batch, "mask")
    assert torch.equal(found[1, lengths[1] :], own[1, lengths[1] :])


def test_ordinary_ids_are_without_the_special_ones():
    runner = visualizer_of("bert").runner
    assert set(range(len(runner.model.tokenizer))) - set(ordinary_ids(runner.model).tolist()) == {
        0,
        1,
        2,
        3,
        4,
    }


def test_at_a_layer_all_but_padding_is_moved_and_a_baseline_is_what_the_model_makes_of_it():
    visualizer = visualizer_of("bert")
    batch = visualizer.runner.model.batch([encoded(visualizer, text) for text in TEXTS[:2]])
    runner, lengths = visualizer.runner.at_layer(1), [len(tokens) for tokens in batch.tokens]
    assert movable_tokens(runner, batch).sum(1).tolist() == lengths
    ids = batch.ids.clone()
    for row, tokens in enumerate(batch.tokens):
        ids[row, : len(tokens)][torch.from_numpy(~tokens.special)] = visualizer.tokenizer.mask_token_id
    masked = type(batch)(batch.tokens, {**batch.inputs, "input_ids": ids})
    found, expected = baseline_embeddings(runner, batch, "mask"), runner.embed(masked)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found, runner.embed(batch), rtol=1e-2)


@pytest.mark.parametrize("given", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("rows", ["one for each token", "one row", "one vector"])
@pytest.mark.parametrize("layer", [None, 1])
def test_a_tensor_stands_where_the_graph_is_cut(given, rows, layer):
    visualizer = visualizer_of("bert")
    encoding, runner = encoded(visualizer, PROBE), visualizer.runner.at_layer(layer)
    numbers = np.random.default_rng(0).standard_normal((encoding.ids.shape[1], 32))
    numbers = {"one row": numbers[:1], "one vector": numbers[0]}.get(rows, numbers)
    (baseline,) = checked_baselines(given(numbers))
    found = baseline_embeddings(runner, encoding, baseline)[0]
    expected = torch.from_numpy(numbers).float().expand_as(found)
    special = torch.from_numpy(encoding.tokens[0].special.copy())
    if layer is None:  # special tokens are the text's own
        expected = torch.where(special[:, None], runner.embed(encoding)[0], expected)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("method", [IntegratedGradients, SequentialIntegratedGradients])
def test_a_named_baseline_and_its_numbers_give_the_same_and_several_are_averaged(method):
    visualizer = visualizer_of("bert")
    rows, mask = table_of(visualizer), visualizer.tokenizer.mask_token_id
    named = visualizer.compute_saliency(PROBE, target=1, method=method(baseline="mask"))
    numbers = visualizer.compute_saliency(PROBE, target=1, method=method(baseline=rows[mask]))
    np.testing.assert_array_equal(numbers.scores, named.scores)
    words = visualizer.compute_saliency(PROBE, target=1, method=method(baseline="text:sea, sea"))
    mixed = method(baseline=["text:sea, sea", rows[mask][None].numpy(), "mask"])
    found = visualizer.compute_saliency(PROBE, target=1, method=mixed)
    expected = (words.scores + 2 * named.scores) / 3
    np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert not np.allclose(words.scores, named.scores, rtol=1e-1)


def test_a_tensor_is_recorded_by_its_shape_and_digest():
    visualizer = visualizer_of("bert")
    numbers = np.linspace(0, 1, 32)  # 64-bit floats; kept as 32-bit ones
    digest = hashlib.sha256(numbers.astype("<f4").tobytes()).hexdigest()[:16]
    name = f"tensor(32 float32 sha256:{digest})"
    assert recorded_baseline(visualizer.runner, torch.from_numpy(numbers)) == name
    assert recorded_baseline(visualizer.runner, "default,mean") == "mask,mean"
    method = IntegratedGradients(baseline=("default", "text:a, b", numbers), tolerance=1)
    found = visualizer.compute_saliency(PROBE, target=1, method=method)
    assert found.parameters["baseline"] == ["mask", "text:a, b", name]
    assert Attribution.from_json(found.to_json()).parameters == found.parameters


def test_methods_with_tensors_are_values():
    numbers = np.linspace(0, 1, 32, dtype=np.float32)
    one, other = (
        IntegratedGradients(baseline=given) for given in (numbers, torch.from_numpy(numbers.copy()))
    )
    assert one == other
    assert hash(one) == hash(other)
    assert one == pickle.loads(pickle.dumps(one)) == dataclasses.replace(one, nodes=20)
    assert one != IntegratedGradients(baseline=numbers[None])
    assert IntegratedGradients(baseline=["mask", numbers]) == IntegratedGradients(baseline=("mask", numbers))
    digest = hashlib.sha256(numbers.tobytes()).hexdigest()[:16]
    assert f"baseline=tensor(32 float32 sha256:{digest})," in repr(one)
    numbers[0] = 5  # the caller's array is theirs
    assert one == other
    with pytest.raises(ValueError, match="read-only"):
        TensorBaseline(numbers).values[0] = 1


FLOATS = "A baseline's array must contain floats and have shape (tokens, width), (1, width) or (width,). "
UNFIT = {
    "whole numbers": (
        np.arange(32),
        f"{FLOATS}Got int64 of shape (32,). "
        "Pass embeddings; for the embedding of a token, pass baseline='id:NUMBER'.",
    ),
    "too many axes": (
        torch.zeros(1, 4, 32),
        f"{FLOATS}Got float32 of shape (1, 4, 32). "
        "Pass embeddings; for the embedding of a token, pass baseline='id:NUMBER'.",
    ),
    "nothing": (
        np.zeros((0, 32)),
        f"{FLOATS}Got float64 of shape (0, 32). "
        "Pass embeddings; for the embedding of a token, pass baseline='id:NUMBER'.",
    ),
    "not a number": (
        torch.full((32,), torch.nan),
        "The baseline's array of shape (32,) has values that are not finite as 32-bit floats. "
        "Pass finite values.",
    ),
    "too large": (
        np.full(32, 1e300),
        "The baseline's array of shape (32,) has values that are not finite as 32-bit floats. "
        "Pass finite values.",
    ),
    "no baseline": (
        [],
        "A baseline must be a name, an array, a tensor, or a list of them. Got []. Pass baseline='default', "
        "or another of default, mask, pad, mean, zero, id:NUMBER, text:WORDS.",
    ),
    "a number": (
        [0.5],
        "A baseline must be a name, an array, a tensor, or a list of them. Got 0.5. Pass baseline='default', "
        "or another of default, mask, pad, mean, zero, id:NUMBER, text:WORDS.",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
@pytest.mark.parametrize("method", [IntegratedGradients, SequentialIntegratedGradients])
def test_what_is_no_baseline_is_refused_when_the_method_is_made(case, method):
    given, message = UNFIT[case]
    with pytest.raises(InputError) as caught:
        method(baseline=given)
    assert str(caught.value) == message


@pytest.mark.parametrize("shape", [(33,), (1, 31), (2, 32), (25, 32)])
def test_a_tensor_of_another_shape_is_refused(shape):
    visualizer = visualizer_of("bert")
    length = encoded(visualizer, PROBE).ids.shape[1]
    with pytest.raises(InputError) as caught:
        visualizer.compute_saliency(PROBE, method=IntegratedGradients(baseline=np.zeros(shape)))
    assert str(caught.value) == (
        f"The baseline's array has shape {shape}, but the explained text has {length} tokens of width 32. "
        f"Pass shape ({length}, 32), or (32,) for the same values at all tokens."
    )


MISUSES = {
    "no mask token": (
        "gpt2", "mask",
        "The baseline is 'mask', but the tokenizer has no mask token. "
        "Pass baseline='mean', or 'default', which works for every tokenizer.",
    ),
    "no padding token": (
        "gpt2", "pad",
        "The baseline is 'pad', but the tokenizer has no pad token. "
        "Pass baseline='mean', or 'default', which works for every tokenizer.",
    ),
    "beyond the vocabulary": (
        "gpt2", "id:99999",
        "The baseline 'id:99999' has id 99999, but the model's vocabulary has ROWS tokens. "
        "Pass baseline='mean', or an id from 0 to LAST.",
    ),
    "no tokens": (
        "bert", "text: ",
        "The baseline's text ' ' has no tokens. Pass a text with at least one word, or baseline='mean'.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("misuse", MISUSES)
def test_misuse_says_what_was_given_and_what_to_do(misuse):
    name, baseline, message = MISUSES[misuse]
    visualizer = visualizer_of(name)
    with pytest.raises(InputError) as caught:
        baseline_embeddings(visualizer.runner, encoded(visualizer, PROBE), baseline)
    size = visualizer.model.config.vocab_size
    assert str(caught.value) == message.replace("ROWS", str(size)).replace("LAST", str(size - 1))


@pytest.mark.parametrize("name", ["masks", "", "mask,,mean", "id:x", "text:"])
def test_an_unknown_baseline_is_refused_at_once(name):
    with pytest.raises(InputError) as caught:
        checked_baselines(name)
    wrong = "" if "," in name else name
    assert str(caught.value) == (
        f"Unknown baseline {wrong!r}. Allowed: default, mask, pad, mean, zero, id:NUMBER, text:WORDS. "
        "Pass baseline='default', or several separated by commas, such as 'mask,mean'."
    )
