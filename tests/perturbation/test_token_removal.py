"""Variants of a text with tokens removed: in place, once each, and special tokens never."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
from tiny_models import PROBE, encoded, visualizer_of

from attribution.perturbing import counted
from model_understanding import InputError, UnsupportedModelError
from model_understanding.model import memory
from model_understanding.model.causality import is_causal
from model_understanding.perturbation.token_removal import ModelTokenRemoval, leave_one_out_scores
from model_understanding.perturbation.units import units_of
from model_understanding.results import Target

CLASSES = [Target(task="sequence-classification", indices=(i,)) for i in range(3)]


def next_token(position, token=9):
    return Target(task="causal-lm", positions=(position,), indices=(token,), quantity="log_prob")


def random_variants(encoding, count=6, seed=0):
    content = ~encoding.tokens[0].special
    return (np.random.default_rng(seed).random((count, content.size)) < 0.4) & content


@pytest.mark.parametrize("name", tiny_models.each(tiny_models.CLASSIFIERS))
def test_a_mask_in_the_ids_is_its_embedding_in_the_model(name):
    """The two ways tokens are replaced agree: ids, and what the embedding table gives."""
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    removed = random_variants(encoding)
    if visualizer.tokenizer.mask_token_id is None:
        with pytest.raises(InputError, match="needs a mask token"):
            ModelTokenRemoval(visualizer.runner, encoding, CLASSES, "mask")
        return
    found = ModelTokenRemoval(visualizer.runner, encoding, CLASSES, "mask").values(removed)
    by_embedding = ModelTokenRemoval(visualizer.runner, encoding, CLASSES, "mean")
    table = visualizer.model.get_input_embeddings()
    with torch.no_grad():
        mask = table(torch.tensor([[visualizer.tokenizer.mask_token_id]]))[0, 0]
    by_embedding._replacement_embedding = mask
    assert oracles.close(found, by_embedding.values(removed))
    for row, variant in zip(found, removed, strict=True):
        ids = encoding.ids.clone()
        ids[0, torch.from_numpy(variant)] = visualizer.tokenizer.mask_token_id
        with torch.no_grad():
            expected = visualizer.model(**{**encoding.inputs, "input_ids": ids}).logits[0]
        assert oracles.close(row, expected)


@pytest.mark.parametrize("name", ["roberta", "llama-classifier"])
def test_padding_moves_no_position_and_no_place_that_is_read(name):
    """As an id it would: RoBERTa counts positions, and Llama looks for the end, by the padding id."""
    visualizer = visualizer_of(name)
    encoding = encoded(visualizer, PROBE)
    removed = ~encoding.tokens[0].special[None] & (np.arange(encoding.ids.shape[1]) >= 4)
    found = ModelTokenRemoval(visualizer.runner, encoding, CLASSES, "pad").values(removed)
    row = visualizer.model.get_input_embeddings().weight[visualizer.tokenizer.pad_token_id].detach()
    embeddings = visualizer.runner.embed(encoding).clone()
    embeddings[0, torch.from_numpy(removed[0])] = row
    assert oracles.close(found, visualizer.runner.values(encoding, CLASSES, embeddings=embeddings))
    ids = encoding.ids.masked_fill(torch.from_numpy(removed), visualizer.tokenizer.pad_token_id)
    with torch.no_grad():
        naive = visualizer.model(**{**encoding.inputs, "input_ids": ids}).logits
    assert not oracles.close(found, naive, 1e-2)


def test_the_mean_is_that_of_what_the_table_gives():
    visualizer = visualizer_of("gemma2")  # its table scales
    encoding = encoded(visualizer, PROBE)
    removal = ModelTokenRemoval(visualizer.runner, encoding, [next_token(4)], "mean")
    removal.values(random_variants(encoding))
    table = visualizer.model.get_input_embeddings()
    with torch.no_grad():
        rows = torch.stack([table(torch.tensor([i]))[0] for i in range(table.num_embeddings)])
    assert oracles.close(removal._replacement_embedding, rows.mean(0))


@pytest.mark.parametrize(
    ("name", "expected"), [("bert", "mask"), ("llama-classifier", "pad"), ("gpt2-classifier", "mean")]
)
def test_the_default_is_what_the_tokenizer_has(name, expected):
    visualizer = visualizer_of(name)
    assert ModelTokenRemoval(visualizer.runner, encoded(visualizer, PROBE), CLASSES).replacement == expected


def test_hidden_tokens_change_nothing_any_more():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    removed = random_variants(encoding)
    found = ModelTokenRemoval(visualizer.runner, encoding, CLASSES, "attention").values(removed)
    for row, variant in zip(found, removed, strict=True):
        inputs = {**encoding.inputs, "attention_mask": torch.from_numpy(~variant).long()[None]}
        with torch.no_grad():
            assert oracles.close(row, visualizer.model(**inputs).logits[0])


def test_attention_is_refused_where_hidden_tokens_are_still_seen():
    llama = visualizer_of("llama-classifier")
    with pytest.raises(UnsupportedModelError, match="depends on tokens that the attention mask hides"):
        ModelTokenRemoval(llama.runner, encoded(llama, PROBE), CLASSES, "attention")
    gpt2 = visualizer_of("gpt2-classifier")
    with pytest.raises(InputError, match="needs a special token that stays visible"):
        ModelTokenRemoval(gpt2.runner, encoded(gpt2, PROBE), CLASSES, "attention")
    language_model = visualizer_of("llama")
    with pytest.raises(InputError, match="works for classifiers only"):
        ModelTokenRemoval(language_model.runner, encoded(language_model, PROBE), [next_token(3)], "attention")


def test_special_tokens_are_never_removed():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    removed = np.ones((1, encoding.ids.shape[1]), dtype=bool)
    with pytest.raises(InputError, match="Special and template tokens cannot be removed"):
        ModelTokenRemoval(visualizer.runner, encoding, CLASSES).values(removed)


def test_an_unknown_replacement_is_refused():
    visualizer = visualizer_of("bert")
    with pytest.raises(InputError) as caught:
        ModelTokenRemoval(visualizer.runner, encoded(visualizer, PROBE), CLASSES, "zero")
    assert str(caught.value).startswith(
        "Unknown replacement 'zero'. Allowed: default, mask, pad, mean, attention."
    )


def test_each_variant_runs_once_and_positions_stay(monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    length = encoding.ids.shape[1]
    monkeypatch.setattr(memory, "POSITIONS_AT_ONCE", 2 * length)
    removed = random_variants(encoding, 3)
    removal = ModelTokenRemoval(visualizer.runner, encoding, CLASSES)
    with counted(visualizer.model) as counts:
        found = removal.values(np.concatenate([removed, removed[::-1], removed[:1]]))
        again = removal.values(removed)
    assert (counts["forwards"], counts["positions"], removal.runs) == (2, 3 * length, 3)
    assert np.array_equal(found[:3], again)
    assert np.array_equal(found[3:6], again[::-1])
    for ids, variant in zip(counts["rows"], removed, strict=True):
        assert np.array_equal(np.array(ids) != encoding.tokens[0].ids, variant)


def test_variants_that_differ_only_after_the_target_are_one():
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    assert is_causal(visualizer.runner.model)
    removed = np.zeros((3, encoding.ids.shape[1]), dtype=bool)
    removed[0, 2] = removed[1, [2, 8]] = removed[2, [2, 9]] = True
    removal = ModelTokenRemoval(visualizer.runner, encoding, [next_token(6)])
    found = removal.values(removed)
    assert removal.runs == 1
    assert (found == found[0]).all()
    # Where another target does look, the first still sees no difference, to the last bit.
    found = ModelTokenRemoval(visualizer.runner, encoding, [next_token(6), next_token(12)]).values(removed)
    assert (found[:, 0] == found[0, 0]).all()
    assert len(set(found[:, 1])) == 3


def test_a_custom_target_is_asked_of_each_variant():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    removed = random_variants(encoding)
    expected = ModelTokenRemoval(visualizer.runner, encoding, CLASSES).values(removed)
    found = ModelTokenRemoval(visualizer.runner, encoding, lambda outputs: outputs.logits[0, 1]).values(
        removed
    )
    assert oracles.close(found[:, 0], expected[:, 1])


def test_units_share_their_score_among_the_tokens_a_target_can_see():
    visualizer = visualizer_of("llama")
    encoding = encoded(visualizer, PROBE)
    tokens = encoding.tokens[0]
    units = units_of(tokens, "sentence")
    assert len(units) == 1
    assert 0 not in units[0]  # the token at the beginning is special
    removal = ModelTokenRemoval(visualizer.runner, encoding, [next_token(6)])
    scores, outputs = leave_one_out_scores(removal, units)
    assert np.count_nonzero(scores) == 6
    removed = removal.removable[None]
    assert oracles.close(scores.sum(), outputs[0] - removal.values(removed)[0, 0], 1e-9)


def test_windows_cover_every_token():
    tokens = encoded(visualizer_of("bert"), PROBE).tokens[0]
    content = np.flatnonzero(~tokens.special)
    units = units_of(tokens, "window", window=5, stride=3)
    assert {position for unit in units for position in unit} == set(content)
    assert all(len(unit) == 5 for unit in units)
    assert units_of(tokens, "window", window=99) == (tuple(content),)
