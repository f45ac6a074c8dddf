"""The whole job on the real models: the embedded classifier, and SmolLM2."""

import oracles
import pytest
import torch
from loaded_demos import sentiment, smollm2
from tiny_models import encoded
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, pipeline

from model_understanding import ModelVisualizer, Report
from model_understanding.demo_models import demo_model_folder

TEXTS = (
    "The movie was absolutely fantastic!",
    "A dull, lifeless plot; I would not call it bad acting though.",
    "Loved it 👨‍👩‍👧 — שלום 你好 </script>",
)


def eager(name, auto):
    return auto.from_pretrained(demo_model_folder(name), attn_implementation="eager", dtype="float32").eval()


@pytest.mark.parametrize("text", TEXTS)
def test_sentiment_gradients_are_captums(text):
    visualizer = sentiment()
    inputs = encoded(visualizer, text).inputs
    for method, oracle in (
        ("saliency", lambda *a: oracles.captum_gradients(*a).norm(dim=-1)),
        ("input_x_gradient", oracles.captum_input_x_gradient),
    ):
        expected = oracle(visualizer.model, inputs, lambda logits: logits[0, 1])
        found = visualizer.compute_saliency(text, method=method, target="positive")
        assert oracles.close(found.scores[0], expected)


def test_sentiment_attention_is_that_of_an_eager_load():
    model = eager("demo:sentiment", AutoModelForSequenceClassification)
    for text in TEXTS:
        with torch.no_grad():
            expected = torch.cat(
                model(**encoded(sentiment(), text).inputs, output_attentions=True).attentions
            )
        found = sentiment().compute_attention(text, layer="all", head="all")
        assert oracles.close(found.weights, expected, 5e-6)


def test_sentiment_predicts_what_a_pipeline_predicts_and_takes_one():
    made = pipeline("text-classification", str(demo_model_folder("demo:sentiment")), top_k=None)
    for text in TEXTS:
        scores = {answer["label"]: answer["score"] for answer in made([text])[0]}
        prediction = ModelVisualizer(made).predict(text)
        assert prediction.labels == ("negative", "positive")
        assert oracles.close(prediction.probabilities, [scores[label] for label in prediction.labels])


@pytest.mark.real
def test_smollm2_rows_are_those_of_its_prefixes():
    visualizer = smollm2()
    # In 32 bits this model's gradients, captum's too, lie up to 1e-4 from those in 64 bits.
    exact = AutoModelForCausalLM.from_pretrained(demo_model_folder("demo:smollm2"), dtype="float64").eval()
    found = visualizer.compute_saliency(
        "The capital of France is",
        target="continuation",
        continuation=" Paris.",
        per_token=True,
        method="saliency",
    )
    for row, target in enumerate(found.targets):
        ids = torch.tensor(found.tokens.ids[: target.positions[0] + 1].copy())[None]
        expected = oracles.captum_gradients(
            exact,
            {"input_ids": ids},
            lambda logits, index=target.indices[0]: logits[0, -1].log_softmax(-1)[index],
        )
        assert oracles.close(found.scores[row, : ids.shape[1]], expected.norm(dim=-1), 3e-4)


@pytest.mark.real
def test_smollm2_attention_is_that_of_an_eager_load():
    found = smollm2().compute_attention(
        "The capital of France is", continuation=" Paris.", layer=[0, 15, -1], head="all"
    )
    model = eager("demo:smollm2", AutoModelForCausalLM)
    with torch.no_grad():
        attentions = model(torch.tensor(found.keys.ids.copy())[None], output_attentions=True).attentions
    rows = list(range(4, 4 + len(found.queries)))
    expected = torch.cat([attentions[layer] for layer in (0, 15, 29)])[:, :, rows]
    assert oracles.close(found.weights, expected, 2e-6)
    assert 0 in found.sinks  # its first token soaks up attention


@pytest.mark.real
def test_smollm2_answers_a_chat_and_its_report_comes_back_whole(tmp_path):
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    report = smollm2().analyze(messages, max_new_tokens=8, evaluate=False, show=False)
    assert "Paris" in report.generation.text
    path = report.save(tmp_path / "chat.npz", exact=True)
    restored = Report.load(path)
    assert restored.to_json() == report.to_json()
    own = restored.generation.tokens
    shown = "".join(s for s, special in zip(own.surfaces(), own.special, strict=True) if not special)
    assert shown.startswith("What is the capital of France?")
