"""Each entity of a text has a verdict of its own, by the margin of its label; they share forward passes."""

import numpy as np
import pytest
import tiny_taggers
import torch
from pass_counts import forwards_of
from tiny_models import PROBE as TEXT

from model_understanding import TokenClassificationVisualizer
from model_understanding.evaluation.removals import Removals, measures_of
from model_understanding.evaluation.run import MOST_TESTED
from model_understanding.targets.token_classification import entity_type

IOB = tiny_taggers.IOB


def visualizer_of(name="bert", labels=IOB, **options):
    model, tokenizer = tiny_taggers.build(name, labels), tiny_taggers.tokenizer_of(name)
    return TokenClassificationVisualizer(model=model, tokenizer=tokenizer, **options)


def measured_by_hand(visualizer, ids, entity, others):
    """Return margin and likelihood of an entity for each row of ids, in plain torch."""
    with torch.no_grad():
        logits = visualizer.model(input_ids=ids).logits
    positions, indices = list(entity.tokens), list(entity.indices)
    margin = (logits[:, positions, indices] - logits[:, positions, others]).mean(1)
    likelihood = logits.log_softmax(-1)[:, positions, indices].mean(1)
    return np.stack([margin, likelihood.exp() if len(positions) == 1 else likelihood], axis=1)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_an_entity_is_measured_by_its_margin_over_the_strongest_label_of_another_kind(name):
    visualizer = visualizer_of(name)
    tagging = visualizer.predict(TEXT)
    ids = torch.tensor(tagging.tokens.ids)[None].repeat(len(tagging.tokens), 1)
    content = np.flatnonzero(~tagging.tokens.special)
    ids[content, content] = visualizer.tokenizer.mask_token_id
    attribution = visualizer.compute_saliency(TEXT, method="saliency")
    encoding = visualizer._encode(TEXT)
    lengths = set()
    for entity, target in zip(tagging.entities, attribution.targets, strict=True):
        others = []
        for position, index in zip(entity.tokens, entity.indices, strict=True):
            kinds = np.array([entity_type(label) == entity_type(IOB[index]) for label in IOB])
            others.append(int(np.where(kinds, -np.inf, tagging.logits[position]).argmax()))
        measures = measures_of(visualizer.runner, encoding, target, None)
        name_of_likelihood = "probability" if len(entity.tokens) == 1 else "log-probability"
        assert list(measures) == ["logit margin", name_of_likelihood]
        found = Removals(visualizer.runner, encoding, measures, ["mask"]).values(
            np.eye(len(ids), dtype=bool)[content]
        )
        expected = measured_by_hand(visualizer, ids[content], entity, others)
        np.testing.assert_allclose(found[0], expected, atol=2e-5)
        lengths.add(len(entity.tokens))
    assert len(lengths) > 1


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_entities_together_have_the_verdicts_that_each_has_alone(name):
    visualizer = visualizer_of(name)
    together = visualizer.evaluate(TEXT, method="input_x_gradient")
    assert len(together) == len(visualizer.predict(TEXT).entities)
    assert len({assessment.target for assessment in together}) == len(together)
    for index in range(0, len(together), 3):
        alone = visualizer.evaluate(TEXT, method="input_x_gradient", target=index)
        assert (together[index].target, together[index].verdict) == (alone.target, alone.verdict)
        for one, other in zip(together[index].evaluations, alone.evaluations, strict=True):
            assert one.metric == other.metric
            assert one.value == pytest.approx(other.value, rel=1e-3, abs=1e-4)


def test_a_report_has_a_verdict_for_each_entity_and_all_metrics_of_the_first():
    visualizer = visualizer_of()
    report = visualizer.analyze(TEXT, method="input_x_gradient", show=False)
    targets = [target.description() for target in report.attributions[0].targets]
    verdicts = [evaluation for evaluation in report.evaluations if evaluation.verdict is not None]
    assert [evaluation.target for evaluation in verdicts] == targets
    assert {e.target for e in report.evaluations if e.verdict is None} == {targets[0]}
    assessments = visualizer.evaluate(TEXT, method="input_x_gradient")
    assert [assessment.verdict for assessment in assessments] == [e.verdict for e in verdicts]


def test_verdicts_of_several_entities_share_forward_passes():
    visualizer = visualizer_of("gpt2")
    entities = len(visualizer.predict(TEXT).entities)
    options = {"method": "saliency"}
    visualizer.evaluate(TEXT, **options)
    positions = {
        target: sum(
            rows * tokens
            for rows, tokens in forwards_of(
                visualizer.model, lambda target=target: visualizer.evaluate(TEXT, target=target, **options)
            )
        )
        for target in (0, "all")
    }
    assert entities >= 10
    assert positions["all"] < entities * positions[0] / 2


def test_of_many_entities_the_first_are_tested():
    visualizer = visualizer_of("bert", ("A", "B", "C"), aggregation="none")
    report = visualizer.analyze(TEXT, method="saliency", attention=(), show=False)
    assert len(report.attributions[0].targets) > MOST_TESTED
    assert sum(evaluation.verdict is not None for evaluation in report.evaluations) == MOST_TESTED


def test_a_contrast_is_measured_as_it_is():
    visualizer = visualizer_of()
    (target,) = visualizer.compute_saliency(TEXT, method="saliency", target=0, against="O").targets
    measures = measures_of(visualizer.runner, visualizer._encode(TEXT), target, None)
    assert [measure.against for measure in measures.values()] == [(0,) * len(target.positions)] * 2


def test_a_text_without_entities_has_a_verdict_for_its_candidate():
    model = tiny_taggers.fresh("bert")
    with torch.no_grad():
        model.classifier.bias[0] += 100
    visualizer = TokenClassificationVisualizer(model=model, tokenizer=tiny_taggers.tokenizer_of("bert"))
    report = visualizer.analyze(TEXT, method="saliency", show=False)
    assert report.answer.entities == ()
    (target,) = report.attributions[0].targets
    assert (target.positions, target.indices) == (
        report.answer.candidate.tokens,
        report.answer.candidate.indices,
    )
    assert report.evaluations[0].verdict in ("supported", "weak", "not supported")
    assert report.provenance.cautions == (
        "The text has no entity. The likeliest label of one is explained instead; it is not the model's "
        "answer.",
    )
