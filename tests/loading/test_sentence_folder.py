"""Folders as sentence-transformers saves them, in older and newer forms, read without it."""

import json

import numpy as np
import pytest
import tiny_models
import tiny_similarity
import torch
from safetensors.torch import save_file
from tiny_similarity import PAIR, cosine, embedding_by_hand, save_dense, save_folder

from model_understanding import (
    InputError,
    LoadingError,
    SimilarityVisualizer,
    UnsafeModelError,
    visualizer,
)

from .checkpoints import refusal

NEW = "sentence_transformers.sentence_transformer.modules.pooling"


def _by_hand(text: str, pooling="mean", name: str = "bert") -> torch.Tensor:
    return embedding_by_hand(tiny_similarity.encoder(name), tiny_models.tokenizer_of(name), text, pooling)


def _pooling(**config):
    return ("Pooling", "1_Pooling", config)


@pytest.mark.parametrize(
    ("config", "modes"),
    [
        ({"word_embedding_dimension": 32, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, ("max", "mean")),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean_sqrt_len_tokens"),
        ({"pooling_mode_weightedmean_tokens": True}, "weightedmean"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"embedding_dimension": 32, "pooling_mode": "max"}, "max"),
        (
            {"embedding_dimension": 32, "pooling_mode": ["mean", "cls"], "include_prompt": True},
            ("mean", "cls"),
        ),
        ({"word_embedding_dimension": 32}, "mean"),
    ],
)
def test_older_and_newer_poolings_are_read(config, modes, tmp_path):
    encoder = SimilarityVisualizer(str(save_folder(tmp_path, modules=[_pooling(**config)])))
    np.testing.assert_allclose(encoder.embed(PAIR[0]), _by_hand(PAIR[0], modes), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "prefix", ["sentence_transformers.models", NEW, "sentence_transformers.base.modules"]
)
def test_modules_are_known_by_their_class_in_every_version(prefix, tmp_path):
    folder = save_folder(tmp_path, prefix=prefix)
    assert type(visualizer(str(folder))) is SimilarityVisualizer
    expected = cosine(*map(_by_hand, PAIR))
    assert float(visualizer(str(folder)).predict(PAIR)) == pytest.approx(expected, abs=2e-6)


def test_the_transformer_may_be_in_a_folder_of_its_own(tmp_path):
    encoder = SimilarityVisualizer(str(save_folder(tmp_path, transformer="0_Transformer")))
    assert float(encoder.predict(PAIR)) == pytest.approx(cosine(*map(_by_hand, PAIR)), abs=2e-6)
    assert encoder.runner.model.longest_input == 64


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        (None, torch.tanh),
        ("torch.nn.modules.linear.Identity", lambda values: values),
        ("torch.nn.modules.activation.ReLU", torch.relu),
    ],
)
def test_dense_and_normalize_follow_the_pooling(activation, function, tmp_path):
    modules = [_pooling(pooling_mode="mean"), ("Dense", "2_Dense", {}), ("Normalize", "3_Normalize", None)]
    modules[1][2].update({} if activation is None else {"activation_function": activation})
    save_folder(tmp_path, modules=modules)
    weights = save_dense(tmp_path / "2_Dense")
    encoder = SimilarityVisualizer(str(tmp_path))
    rows = [function(weights["linear.weight"] @ _by_hand(text) + weights["linear.bias"]) for text in PAIR]
    np.testing.assert_allclose(encoder.embed(PAIR[1]), rows[1] / rows[1].norm(), rtol=1e-5, atol=1e-6)
    assert float(encoder.predict(PAIR)) == pytest.approx(cosine(*rows), abs=2e-6)
    architecture = encoder.predict(PAIR), encoder.runner.model.loaded.provenance.architecture
    assert architecture[1] == "BertModel, mean pooling, dense 8, normalized"


def test_a_dense_layer_may_add_what_it_reads(tmp_path):
    config = {"use_residual": True, "activation_function": "torch.nn.modules.linear.Identity"}
    save_folder(tmp_path, modules=[_pooling(pooling_mode="mean"), ("Dense", "2_Dense", config)])
    weights = save_dense(tmp_path / "2_Dense", outputs=32)
    own = _by_hand(PAIR[0])
    expected = weights["linear.weight"] @ own + weights["linear.bias"] + own
    np.testing.assert_allclose(SimilarityVisualizer(str(tmp_path)).embed(PAIR[0]), expected, rtol=1e-4)


def test_a_layer_norm_follows_the_pooling(tmp_path):
    save_folder(
        tmp_path, modules=[_pooling(pooling_mode="mean"), ("LayerNorm", "2_LayerNorm", {"dimension": 32})]
    )
    weights = {"norm.weight": torch.linspace(0.5, 2, 32), "norm.bias": torch.linspace(-1, 1, 32)}
    save_file(weights, tmp_path / "2_LayerNorm" / "model.safetensors")
    own = _by_hand(PAIR[0])
    scaled = (own - own.mean()) / (own.var(unbiased=False) + 1e-5).sqrt()
    expected = scaled * weights["norm.weight"] + weights["norm.bias"]
    np.testing.assert_allclose(SimilarityVisualizer(str(tmp_path)).embed(PAIR[0]), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("dot", lambda a, b: a @ b),
        ("euclidean", lambda a, b: -(a - b).norm()),
        ("manhattan", lambda a, b: -(a - b).abs().sum()),
    ],
)
def test_the_similarity_is_that_of_the_folder(kind, expected, tmp_path):
    folder = str(save_folder(tmp_path, settings={"similarity_fn_name": kind}))
    encoder = SimilarityVisualizer(folder)
    value = float(expected(*map(_by_hand, PAIR)))
    assert float(encoder.predict(PAIR)) == pytest.approx(value, rel=1e-5)
    assert encoder.predict(PAIR).labels == (kind,)
    assert SimilarityVisualizer(folder, similarity="cosine").predict(PAIR).labels == ("cosine",)


def test_prompts_are_read_before_texts_and_stay_in_place(tmp_path):
    settings = {"prompts": {"query": "the king ", "document": ""}, "default_prompt_name": "query"}
    encoder = SimilarityVisualizer(str(save_folder(tmp_path, settings=settings)))
    prompted = [_by_hand(f"the king {text}") for text in PAIR]
    assert float(encoder.predict(PAIR)) == pytest.approx(cosine(*prompted), abs=2e-6)
    attribution = encoder.compute_saliency(PAIR, method="leave_one_out")
    labels = attribution.tokens.labels()
    first = [labels[place] for place in np.flatnonzero(attribution.tokens.special)]
    assert "king" in "".join(first)
    assert not attribution.scores[0, attribution.tokens.special].any()
    plain = SimilarityVisualizer(str(tmp_path), prompts=(None, None))
    assert float(plain.predict(PAIR)) == pytest.approx(cosine(*map(_by_hand, PAIR)), abs=2e-6)
    assert encoder.evaluate(attribution).verdict in ("supported", "weak", "not supported", None)
    assert "no prompt 'title'" in refusal(
        InputError, str(tmp_path), visualizer=SimilarityVisualizer, prompts=("title", None)
    )


def test_a_ranking_reads_query_and_documents_after_their_own_prompts(tmp_path):
    settings = {"prompts": {"query": "the king ", "passage": "a film "}}
    encoder = SimilarityVisualizer(str(save_folder(tmp_path, settings=settings)))
    query, document = _by_hand(f"the king {PAIR[0]}"), _by_hand(f"a film {PAIR[1]}")
    assert encoder.rank(PAIR[0], [PAIR[1]]).values[0] == pytest.approx(cosine(query, document), abs=2e-6)
    assert float(encoder.predict(PAIR)) == pytest.approx(cosine(*map(_by_hand, PAIR)), abs=2e-6)


def test_a_prompt_may_be_left_out_of_the_pooling(tmp_path):
    settings = {"prompts": {"query": "the king "}, "default_prompt_name": "query"}
    config = {"pooling_mode": "mean", "include_prompt": False}
    encoder = SimilarityVisualizer(
        str(save_folder(tmp_path, modules=[_pooling(**config)], settings=settings))
    )
    model, tokenizer = tiny_similarity.encoder("bert"), tiny_models.tokenizer_of("bert")
    inputs = tokenizer("the king far away", return_tensors="pt")
    count = len(tokenizer("the king ")["input_ids"]) - 1
    with torch.no_grad():
        states = model(**inputs).last_hidden_state[0]
    np.testing.assert_allclose(encoder.embed("far away"), states[count:].mean(dim=0), atol=1e-5)


def test_texts_are_lowercased_where_the_folder_says_so(tmp_path):
    folder = save_folder(tmp_path, "roberta", limits={"max_seq_length": 64, "do_lower_case": True})
    encoder = SimilarityVisualizer(str(folder))
    np.testing.assert_allclose(encoder.embed("The KING"), _by_hand("the king", name="roberta"), atol=1e-5)
    assert encoder.compute_saliency(("The KING", "a film"), method="saliency").tokens.texts[0] == "The KING"


def test_a_limit_of_the_folder_holds(tmp_path):
    encoder = SimilarityVisualizer(str(save_folder(tmp_path, limits={"max_seq_length": 8})))
    with pytest.raises(InputError, match="at most 8"):
        encoder.predict(("a film a film a film a film a film", "a film"))


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ([{"type": "my_package.Encoder", "path": ""}], UnsafeModelError, "own code: my_package.Encoder"),
        ([{"type": "sentence_transformers.models.CNN", "path": ""}], InputError, "CNN"),
        ([{"type": "sentence_transformers.models.Pooling", "path": ""}], InputError, "consists of Pooling"),
        ({"not": "a list"}, LoadingError, "not a list"),
        (None, LoadingError, "not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_refused(change, kind, message, tmp_path):
    folder = save_folder(tmp_path)
    (folder / "modules.json").write_text("[" if change is None else json.dumps(change))
    assert message in refusal(kind, str(folder), visualizer=SimilarityVisualizer)


def test_modules_outside_the_folder_are_refused(tmp_path):
    folder = save_folder(tmp_path)
    entries = json.loads((folder / "modules.json").read_text())
    entries[1]["path"] = "../1_Pooling"
    (folder / "modules.json").write_text(json.dumps(entries))
    assert "outside its own folder" in refusal(UnsafeModelError, str(folder), visualizer=SimilarityVisualizer)


def test_pickled_weights_are_refused_unless_allowed(tmp_path):
    folder = save_folder(tmp_path, modules=[_pooling(pooling_mode="mean"), ("Dense", "2_Dense", {})])
    weights = save_dense(folder / "2_Dense")
    (folder / "2_Dense" / "model.safetensors").unlink()
    torch.save(weights, folder / "2_Dense" / "pytorch_model.bin")
    message = refusal(UnsafeModelError, str(folder), visualizer=SimilarityVisualizer)
    assert "2_Dense/pytorch_model.bin" in message
    assert "allow_pickle=True" in message
    encoder = SimilarityVisualizer(str(folder), allow_pickle=True)
    expected = torch.tanh(weights["linear.weight"] @ _by_hand(PAIR[0]) + weights["linear.bias"])
    np.testing.assert_allclose(encoder.embed(PAIR[0]), expected, rtol=1e-4, atol=1e-5)


def test_a_plain_encoder_needs_a_pooling_that_is_named(tmp_path):
    tiny_similarity.encoder("bert").save_pretrained(tmp_path)
    tiny_models.tokenizer_of("bert").save_pretrained(tmp_path)
    assert "pooling='mean'" in refusal(InputError, str(tmp_path), visualizer=SimilarityVisualizer)
    encoder = visualizer(str(tmp_path), pooling="mean")
    assert float(encoder.predict(PAIR)) == pytest.approx(cosine(*map(_by_hand, PAIR)), abs=2e-6)
    assert "Unknown pooling 'median'" in refusal(
        InputError, str(tmp_path), visualizer=SimilarityVisualizer, pooling="median"
    )


def test_a_model_with_a_head_gives_the_part_below_it(tmp_path):
    tiny_models.build("bert").save_pretrained(tmp_path)
    tiny_models.tokenizer_of("bert").save_pretrained(tmp_path)
    of_folder = SimilarityVisualizer(str(tmp_path), pooling="mean")
    of_module = SimilarityVisualizer(
        model=tiny_models.build("bert"), tokenizer=tiny_models.tokenizer_of("bert"), pooling="mean"
    )
    expected = cosine(*map(_by_hand, PAIR))
    for encoder in (of_folder, of_module):
        assert float(encoder.predict(PAIR)) == pytest.approx(expected, abs=2e-6)
        assert not encoder.predict(PAIR).tokens.unknown.all()
    assert of_folder.runner.model.loaded.provenance.cautions == ()
