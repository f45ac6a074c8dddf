"""Multiple choice of every architecture against plain torch and captum, and alone = batched."""

import numpy as np
import oracles
import pytest
import tiny_choices
import tiny_qa
import torch
from captum.attr import LayerGradientXActivation
from tiny_choices import CHOICES, INPUT, QUESTION, inputs_of, visualizer_of

from model_understanding import InputError, Report


def logit_of(name, choice, **changed):
    with torch.no_grad():
        return float(tiny_choices.build(name)(**{**inputs_of(name, QUESTION, choice), **changed}).logits)


@pytest.mark.parametrize("name", tiny_choices.NAMES)
def test_values_are_the_models_own_logits(name):
    answer = visualizer_of(name).predict(INPUT)
    logits = np.array([logit_of(name, choice) for choice in CHOICES])
    assert oracles.close(answer.values, logits)
    assert answer.probabilities == pytest.approx(np.exp(logits) / np.exp(logits).sum(), abs=1e-5)
    assert answer.label == CHOICES[int(logits.argmax())]
    assert answer.names == CHOICES
    assert answer.tokens.texts == (QUESTION, answer.label)
    if tiny_qa.tokenizer_of(name).padding_side == "right":  # all choices in one call, as in training
        batch = tiny_qa.tokenizer_of(name)([QUESTION] * 3, list(CHOICES), padding=True, return_tensors="pt")
        accepted = inputs_of(name, QUESTION, CHOICES[0])
        with torch.no_grad():
            together = tiny_choices.build(name)(**{key: batch[key][None] for key in accepted}).logits[0]
        assert oracles.close(answer.values, together, 2e-5)


@pytest.mark.parametrize("name", tiny_choices.NAMES)
def test_each_choice_has_captums_gradient(name):
    report = visualizer_of(name).analyze(INPUT, method="saliency", evaluate=False, attention=(), show=False)
    model = tiny_choices.build(name)
    assert [found.targets[0].labels[0] for found in report.attributions] == [
        CHOICES[index] for index in report.answer.ranking
    ]
    for found in report.attributions:
        _, choice = found.tokens.texts
        inputs = inputs_of(name, QUESTION, choice)
        others = {key: values for key, values in inputs.items() if key != "input_ids"}

        def forward(input_ids, others=others):
            return model(input_ids=input_ids, **others).logits.reshape(1)

        layer = LayerGradientXActivation(forward, model.get_input_embeddings(), multiply_by_inputs=False)
        expected = layer.attribute(inputs["input_ids"]).detach()
        expected = expected[0] if expected.shape[0] == 1 else expected[:, 0]  # XLNet: (T, B, D)
        assert oracles.close(found.scores[0], expected.norm(dim=-1), 2e-5)
        assert found.tokens.ids.tolist() == inputs["input_ids"][0, 0].tolist()


@pytest.mark.parametrize("name", tiny_choices.NAMES)
def test_removal_is_the_mask_in_the_same_place(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(INPUT, method="leave_one_out", target=CHOICES[1])
    ids = inputs_of(name, QUESTION, CHOICES[1])["input_ids"]
    for position in np.flatnonzero(~found.tokens.special)[::4]:
        changed = ids.clone()
        changed[0, 0, position] = visualizer.tokenizer.mask_token_id
        drop = logit_of(name, CHOICES[1]) - logit_of(name, CHOICES[1], input_ids=changed)
        assert found.scores[0, position] == pytest.approx(drop, abs=2e-5)


@pytest.mark.parametrize("name", tiny_choices.NAMES)
def test_alone_equals_batched(name):
    visualizer = visualizer_of(name)
    inputs = [INPUT, ("A dull plot", ["is bad.", "is good."]), INPUT]
    for given, answer in zip(inputs, visualizer.predict(inputs), strict=True):
        assert oracles.close(answer.values, visualizer.predict(given).values, 2e-5)
    reports = visualizer.analyze(inputs, method="saliency", scores_only=True, show=False)
    for given, report in zip(inputs, reports, strict=True):
        alone = visualizer.analyze(given, method="saliency", scores_only=True, show=False)
        assert len(report.attributions) == len(given[1])
        for found, expected in zip(report.attributions, alone.attributions, strict=True):
            assert found.targets == expected.targets
            assert oracles.close(found.scores, expected.scores, 1e-4)  # ModernBERT: tiny, of large outputs


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2", "xlnet"])
def test_a_report_has_every_map_and_the_verdict_on_the_first(name):
    report = visualizer_of(name).analyze(INPUT, method="input_x_gradient", show=False)
    assert len(report.attributions) == 3
    assert report.evaluations[0].target == report.attributions[0].targets[0].description()
    assert report.attention[0].keys.texts == report.attributions[0].tokens.texts
    loaded = Report.from_json(report.to_json())
    assert loaded.answer.names == CHOICES
    assert [found.tokens.texts for found in loaded.attributions] == [
        (QUESTION, CHOICES[index]) for index in report.answer.ranking
    ]


def test_a_choice_is_named_by_its_text_or_index():
    visualizer = visualizer_of("bert")
    by_text = visualizer.compute_saliency(INPUT, target="BY THE SEA 🙂", method="saliency")
    assert by_text.tokens.texts == (QUESTION, CHOICES[1])
    for name in (1, -2, "1"):
        found = visualizer.compute_saliency(INPUT, target=name, method="saliency")
        assert found.tokens.texts == by_text.tokens.texts
    report = visualizer.analyze(INPUT, target=[2, 0], method="saliency", evaluate=False, show=False)
    assert [found.tokens.texts[1] for found in report.attributions] == [CHOICES[2], CHOICES[0]]
    assert visualizer.evaluate(by_text).verdict
    assert visualizer.evaluate(INPUT, target=1).verdict


def test_of_many_choices_the_best_have_maps():
    visualizer = visualizer_of("bert")
    choices = [f"a {letter}" for letter in "abcdefghijkl"]
    options = {"method": "saliency", "scores_only": True, "show": False}
    report = visualizer.analyze((QUESTION, choices), **options)
    named = [found.tokens.texts[1] for found in report.attributions]
    assert named == [choices[index] for index in report.answer.ranking[:10]]
    assert len(visualizer.analyze((QUESTION, choices), target="all", **options).attributions) == 12


def test_an_estimate_of_a_report_counts_every_map():
    visualizer = visualizer_of("bert")
    one = visualizer.estimate_saliency((QUESTION, [CHOICES[0]] * 2), method="saliency")
    both = visualizer.estimate_analysis((QUESTION, [CHOICES[0]] * 2), method="saliency")
    assert both.backward_positions == 2 * one.backward_positions


def test_forms_of_an_input():
    visualizer = visualizer_of("bert")
    expected = pytest.approx(visualizer.predict(INPUT).values.tolist(), abs=1e-5)
    for given in ((QUESTION, list(CHOICES)), {"question": QUESTION, "choices": CHOICES}):
        assert visualizer.predict(given).values.tolist() == expected
    assert [each.values.tolist() for each in visualizer.predict([INPUT, INPUT])] == [expected, expected]
    assert visualizer.predict((QUESTION, "far away.")).probabilities.tolist() == [1.0]


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("The king", {}, "The input is no question with choices"),
        (("The king", []), {}, "must be one text or more"),
        (("The king", [3]), {}, "must be one text or more"),
        ({"question": "Who?"}, {}, "has no choices"),
        (INPUT, {"target": "on the moon"}, "'on the moon' is none of the choices: 'far away.'"),
        (INPUT, {"target": 3}, "There is no choice 3: the input has 3"),
        (INPUT, {"target": []}, "None of the choices"),
        (INPUT, {"against": 1}, "each of the choices by itself"),
        (INPUT, {"quantity": "prob"}, "depends on all of them"),
        (("A", ["b", "b"]), {"target": "b"}, "Pass the index: 0 or 1"),
    ],
)
def test_what_cannot_be_explained_is_refused(given, options, message):
    with pytest.raises(InputError, match=message):
        visualizer_of("bert").compute_saliency(given, **options)
