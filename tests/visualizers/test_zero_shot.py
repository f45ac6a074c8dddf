"""Labels by hypothesis: transformers' own probabilities, and a map for each label."""

import numpy as np
import oracles
import pytest
import tiny_models
import torch
import transformers

from model_understanding import InputError, Report, UnsupportedModelError, ZeroShotClassificationVisualizer

TEXT = "The film was wonderful and far away."
LABELS = ["a king", "dull", "the sea 🙂"]
NAMED = {"contradiction": 0, "neutral": 1, "entailment": 2}
FIRST = {"ENTAILMENT": 0, "neutral": 1, "no": 2}
UNNAMED = {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


def model_of(name="bert", label2id=None):
    model = tiny_models.fresh(name)
    model.config.label2id = label2id or NAMED
    model.config.id2label = {index: label for label, index in model.config.label2id.items()}
    return model


def visualizer_of(name="bert", label2id=None, **options):
    return ZeroShotClassificationVisualizer(
        model=model_of(name, label2id), tokenizer=tiny_models.tokenizer_of(name), **options
    )


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("label2id", [NAMED, FIRST, UNNAMED], ids=["last", "first", "unnamed"])
@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "modernbert", "llama-classifier"])
def test_probabilities_are_the_pipelines(name, label2id, multi_label):
    visualizer = visualizer_of(name, label2id, multi_label=multi_label)
    pipeline = transformers.pipeline(
        "zero-shot-classification", model=visualizer.model, tokenizer=visualizer.tokenizer
    )
    for labels in (LABELS, LABELS[:1]):
        answer = visualizer.predict((TEXT, labels))
        expected = pipeline(TEXT, candidate_labels=labels, multi_label=multi_label)
        assert dict(zip(answer.names, answer.probabilities, strict=True)) == pytest.approx(
            dict(zip(expected["labels"], expected["scores"], strict=True)), abs=1e-6
        )
        assert answer.multi_label == (multi_label or len(labels) == 1)


def test_the_template_is_the_pipelines():
    visualizer = visualizer_of(hypothesis_template="It is {}, not bad", candidate_labels="a king, dull")
    pipeline = transformers.pipeline(
        "zero-shot-classification", model=visualizer.model, tokenizer=visualizer.tokenizer
    )
    expected = pipeline(TEXT, candidate_labels="a king, dull", hypothesis_template="It is {}, not bad")
    answer = visualizer.predict(TEXT)
    assert dict(zip(answer.names, answer.probabilities, strict=True)) == pytest.approx(
        dict(zip(expected["labels"], expected["scores"], strict=True)), abs=1e-6
    )
    assert answer.tokens.texts == (TEXT, f"It is {answer.label}, not bad")


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2"])
def test_each_label_has_captums_gradient(name, multi_label):
    visualizer = visualizer_of(name, multi_label=multi_label)
    report = visualizer.analyze((TEXT, LABELS), method="saliency", evaluate=False, attention=(), show=False)
    assert [found.targets[0].name for found in report.attributions] == [
        LABELS[index] for index in report.answer.ranking
    ]
    for found, index in zip(report.attributions, report.answer.ranking, strict=True):
        inputs = dict(visualizer.tokenizer(TEXT, f"This example is {LABELS[index]}.", return_tensors="pt"))
        if name == "deberta-v2":
            inputs.pop("token_type_ids", None)
        expected = oracles.captum_gradients(
            visualizer.model, inputs, lambda logits: logits[0, 2] - (logits[0, 0] if multi_label else 0)
        )
        assert oracles.close(found.scores[0], expected.norm(dim=-1), 2e-5)
        with torch.no_grad():
            logits = visualizer.model(**inputs).logits[0]
        value = float(logits[2] - logits[0]) if multi_label else float(logits[2])
        assert found.outputs[0] == pytest.approx(value, abs=1e-5)
        assert report.answer.values[index] == pytest.approx(value, abs=1e-5)
        assert set(found.tokens.segments.tolist()) == {-1, 0, 1}


def test_texts_alone_equal_texts_together():
    visualizer = visualizer_of(candidate_labels=LABELS)
    texts = [TEXT, "A dull plot 👨‍👩‍👧", ("She sells sea shells.", ["the sea"]), "שלום 你好"]
    for text, answer in zip(texts, visualizer.predict(texts), strict=True):
        assert oracles.close(answer.values, visualizer.predict(text).values)
    found = visualizer.compute_saliency(texts, method="input_x_gradient")
    for text, each in zip(texts, found, strict=True):
        alone = visualizer.compute_saliency(text, method="input_x_gradient")
        assert each.targets == alone.targets
        assert oracles.close(each.scores, alone.scores)


def test_a_report_is_judged_saved_and_loaded():
    visualizer = visualizer_of(candidate_labels=LABELS)
    report = visualizer.analyze(TEXT, method="input_x_gradient", show=False)
    assert report.evaluations[0].verdict
    loaded = Report.from_json(report.to_json())
    assert np.array_equal(loaded.answer.values, report.answer.values)
    chosen = visualizer.compute_saliency(TEXT, target="dull")
    assert chosen.tokens.texts == (TEXT, "This example is dull.")
    assert visualizer.evaluate(chosen).verdict


def test_the_lens_reads_the_classes_of_the_model():
    visualizer = visualizer_of(candidate_labels=LABELS)
    lens = visualizer.compute_logit_lens(TEXT)
    assert set(lens.labels) == set(NAMED)
    assert lens.tokens.texts == visualizer.predict(TEXT).tokens.texts


def test_a_model_that_names_no_entailment_has_a_warning():
    visualizer = visualizer_of(label2id=UNNAMED, candidate_labels=LABELS)
    assert (visualizer.entailment, visualizer.contradiction) == (2, 0)
    cautions = visualizer.compute_saliency(TEXT, method="saliency").provenance.cautions
    assert any("'LABEL_2' is taken for it" in caution for caution in cautions)


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({"hypothesis_template": "It is good."}, TEXT, "no place for a label"),
        ({"hypothesis_template": "It is {} and {}."}, TEXT, "no place for a label"),
        ({"hypothesis_template": "It is {label}."}, TEXT, "no place for a label"),
        ({}, TEXT, "The labels for .* are not given"),
        ({}, (TEXT, []), "must be one text or more"),
        ({}, (TEXT, None), "The labels must be one text or more. Got None"),
        ({}, (TEXT, ["a king", ""]), r"One of the labels is empty: labels\[1\]"),
        ({"candidate_labels": LABELS}, 3, "The input is no text with labels"),
        ({"candidate_labels": LABELS}, "", "The text is empty"),
    ],
)
def test_what_cannot_be_read_is_refused(options, given, message):
    with pytest.raises(InputError, match=message):
        visualizer_of(**options).predict(given)


def test_a_regression_has_no_entailment():
    with pytest.raises(UnsupportedModelError, match="single class"):
        ZeroShotClassificationVisualizer(
            model=tiny_models.fresh("bert", num_labels=1), tokenizer=tiny_models.tokenizer_of("bert")
        )


def of_two_classes(**options):
    model = tiny_models.fresh("bert")
    model.config.label2id = {"entailment": 0, "not_entailment": 1}
    model.config.id2label = {0: "entailment", 1: "not_entailment"}
    model.classifier = torch.nn.Linear(model.config.hidden_size, 2)
    return ZeroShotClassificationVisualizer(
        model=model.eval(), tokenizer=tiny_models.tokenizer_of("bert"), **options
    )


@pytest.mark.parametrize(("options", "labels"), [({"multi_label": True}, LABELS), ({}, LABELS[:1])])
@pytest.mark.parametrize("quantity", ["prob", "log_prob"])
def test_the_probability_of_a_label_by_itself_is_explained(options, labels, quantity):
    visualizer = of_two_classes(**options)
    found = visualizer.compute_saliency((TEXT, labels), target=0, quantity=quantity, method="saliency")
    inputs = dict(visualizer.tokenizer(TEXT, f"This example is {labels[0]}.", return_tensors="pt"))
    probability = visualizer.predict((TEXT, labels)).probabilities[0]
    expected = probability if quantity == "prob" else np.log(probability)
    assert found.outputs[0] == pytest.approx(expected, abs=1e-6)
    link = torch.nn.functional.logsigmoid if quantity == "log_prob" else torch.sigmoid
    gradients = oracles.captum_gradients(visualizer.model, inputs, lambda each: link(each[0, 0] - each[0, 1]))
    assert oracles.close(found.scores[0], gradients.norm(dim=-1), 2e-5)
    report = visualizer.analyze(
        (TEXT, labels), quantity=quantity, method="saliency", attention=(), evaluate=False, show=False
    )
    assert len(report.attributions) == len(labels)


@pytest.mark.parametrize(
    ("build", "labels", "message"),
    [
        (of_two_classes, LABELS, "the probability of a label depends on all of them"),
        (visualizer_of, LABELS, "the probability of a label depends on all of them"),
        (visualizer_of, LABELS[:1], "entailment − contradiction, .* are a softmax over 3 classes"),
    ],
)
def test_why_a_probability_is_not_explained(build, labels, message):
    with pytest.raises(InputError, match=message):
        build().compute_saliency((TEXT, labels), quantity="prob")


def test_of_three_classes_the_probability_is_no_output():
    with pytest.raises(InputError, match="is a sigmoid of entailment − contradiction, which is no output"):
        visualizer_of(multi_label=True).compute_saliency((TEXT, LABELS), quantity="log_prob")
