"""Folders of sentence-transformers' cross-encoders: activation and prompts, of any version."""

import json

import numpy as np
import pytest
import tiny_models

from model_understanding import LoadingError, RerankerVisualizer
from model_understanding.text.tokenization import tokenize

PAIR = ("Where did the king live?", ["The film was dull.", "A king lived far away."])


def folder_with(tmp_path, settings=None, **config):
    model = tiny_models.fresh("bert", num_labels=1)
    for key, value in config.items():
        setattr(model.config, key, value)
    model.save_pretrained(tmp_path)
    tiny_models.tokenizer_of("bert").save_pretrained(tmp_path)
    if settings is not None:
        (tmp_path / "config_sentence_transformers.json").write_text(
            settings if isinstance(settings, str) else json.dumps(settings)
        )
    return RerankerVisualizer(str(tmp_path), device="cpu")


def logits(visualizer):
    found = []
    for document in PAIR[1]:
        encoding = visualizer.runner.model.encode(*tokenize(visualizer.tokenizer, PAIR[0], document))
        found.append(float(visualizer.model(**encoding.inputs).logits[0, 0].detach()))
    return found


@pytest.mark.parametrize(
    ("settings", "config", "activation"),
    [
        (None, {}, "sigmoid"),
        (
            {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity"},
            {},
            "identity",
        ),
        (None, {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "identity"),
        (None, {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "identity"),
        (
            {"activation_fn": "torch.nn.modules.activation.Tanh"},  # the newest place counts
            {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
            "tanh",
        ),
        ({"activation_fn": None, "prompts": {}}, {}, "sigmoid"),
    ],
)
def test_the_activation_is_read_from_every_versions_place(tmp_path, settings, config, activation):
    visualizer = folder_with(tmp_path, settings, **config)
    assert visualizer.activation == activation
    choices = visualizer.rank(*PAIR)
    expected = np.array(logits(visualizer))
    expected = np.tanh(expected) if activation == "tanh" else expected
    np.testing.assert_allclose(choices.values, expected, rtol=1e-4, atol=1e-6)
    assert (choices.probabilities is not None) == (activation == "sigmoid")


def test_a_default_prompt_is_said_and_not_put_before_the_query(tmp_path):
    prompts = {"prompts": {"query": "Query: ", "none": ""}, "default_prompt_name": "query"}
    visualizer = folder_with(tmp_path, prompts)
    found = visualizer.compute_saliency(PAIR, method="saliency")
    assert found.provenance.cautions == (
        "The checkpoint puts a prompt before each query, which is not done here: 'Query: '. Write it into "
        "the query.",
    )
    assert found.tokens.texts[0] == PAIR[0]
    none = folder_with(tmp_path, {**prompts, "default_prompt_name": None})
    assert none.compute_saliency(PAIR, method="saliency").provenance.cautions == ()


def test_settings_that_are_no_json_are_refused(tmp_path):
    with pytest.raises(LoadingError, match=r"config_sentence_transformers.json of .* is not valid JSON"):
        folder_with(tmp_path, "{")


def test_a_demo_model_ranks_too():
    choices = RerankerVisualizer("demo:sentiment").rank("The film:", ["Dull.", "Wonderful!"])
    assert choices.ranking == (1, 0)  # its second class is called positive
