"""What users do with a tagger: one text and many, with and without entities, saved, shown and compared."""

import pickle

import numpy as np
import pytest
import tiny_taggers
import torch
from tiny_models import PROBE as TEXT
from tiny_models import TEXTS
from transformers import pipeline

from model_understanding import (
    Failure,
    InputError,
    Report,
    TokenClassificationVisualizer,
    Words,
    compare,
    load_reports,
    save_reports,
    visualizer,
)

FAST = {"method": "saliency", "evaluate": False, "show": False}


def visualizer_of(name="bert", labels=tiny_taggers.IOB, **options):
    model, tokenizer = tiny_taggers.build(name, labels), tiny_taggers.tokenizer_of(name)
    return TokenClassificationVisualizer(model=model, tokenizer=tokenizer, **options)


def without_entities(name="bert"):
    model = tiny_taggers.fresh(name)
    with torch.no_grad():
        model.classifier.bias[0] += 100
    return TokenClassificationVisualizer(model=model, tokenizer=tiny_taggers.tokenizer_of(name))


def test_a_report_explains_every_entity():
    tagger = visualizer_of()
    report = tagger.analyze(TEXT, **FAST)
    entities = tagger.predict(TEXT).entities
    assert report.answer.entities == entities
    assert [target.positions for target in report.attributions[0].targets] == [e.tokens for e in entities]
    assert report.attributions[0].scores.shape == (len(entities), len(report.tokens))
    assert report.attention
    assert report.heads is not None
    assert report.provenance.task == "token-classification"


def test_a_plain_pipeline_joins_nothing():
    model, tokenizer = tiny_taggers.build("bert"), tiny_taggers.tokenizer_of("bert")
    pipe = pipeline("ner", model=model, tokenizer=tokenizer)
    for tagger in (visualizer(pipe), TokenClassificationVisualizer(model=pipe)):
        assert tagger.aggregation == "none"
        found = [(entity.label, entity.start) for entity in tagger.predict(TEXT).entities]
        assert found == [(entity["entity"], entity["start"]) for entity in pipe(TEXT)]
    assert TokenClassificationVisualizer(model=model, tokenizer=tokenizer).aggregation == "simple"


@pytest.mark.parametrize("text", [*TEXTS, Words(["New", "film", "🎬!", "مرحبا"])])
@pytest.mark.parametrize("name", ["bert", "gpt2", "xlm-roberta"])
def test_a_report_is_saved_loaded_and_shown(name, text, tmp_path):
    report = visualizer_of(name).analyze(text, **FAST)
    for suffix in (".json", ".npz"):
        again = Report.load(report.save(tmp_path / f"report{suffix}"))
        assert again.answer.entities == report.answer.entities
        assert str(again) == str(report)
    assert again.to_html().startswith("<!DOCTYPE html>")
    report.save(tmp_path / "report.png")
    report.save(tmp_path / "report.csv")
    assert all(entity.label in str(report) for entity in report.answer.entities[:3])


def test_the_aggregation_and_labels_of_a_pipeline_are_taken_over():
    pipe = pipeline(
        "token-classification",
        model=tiny_taggers.build("bert"),
        tokenizer=tiny_taggers.tokenizer_of("bert"),
        aggregation_strategy="first",
        ignore_labels=["O", "PER"],
    )
    tagger = TokenClassificationVisualizer(pipe)
    assert (tagger.aggregation, tagger.ignore_labels) == ("first", ("O", "PER"))
    expected = [(entity["entity_group"], entity["start"]) for entity in pipe(TEXT)]
    assert [(entity.label, entity.start) for entity in tagger.predict(TEXT).entities] == expected
    assert TokenClassificationVisualizer(pipe, aggregation="none").predict(TEXT).aggregation == "none"
    assert isinstance(visualizer(pipe), TokenClassificationVisualizer)
    with pytest.raises(InputError, match=r"Unknown aggregation 'mean'\. Allowed: none, simple, first"):
        TokenClassificationVisualizer(pipe, aggregation="mean")


def test_many_texts_have_a_report_each_and_failures_their_place(tmp_path):
    tagger = visualizer_of()
    texts = [TEXTS[0], "", TEXTS[1], "film " * 300, Words(TEXTS[1].split())]
    reports = tagger.analyze(texts, errors="skip", **FAST)
    assert [isinstance(report, Failure) for report in reports] == [False, True, False, True, False]
    for report, text in zip(reports, texts, strict=True):
        if report:
            alone = tagger.analyze(text, **FAST)
            for one, other in zip(report.answer.entities, alone.answer.entities, strict=True):
                assert (one.text, one.label, one.tokens) == (other.text, other.label, other.tokens)
            np.testing.assert_allclose(
                report.attributions[0].scores, alone.attributions[0].scores, rtol=1e-3, atol=1e-5
            )
    done = [report for report in reports if report]
    save_reports(done, tmp_path / "all.html")
    assert len(load_reports(save_reports(done, tmp_path / "all.json"))) == 3
    each = list(tagger.analyze_each(texts, errors="skip", method="saliency", scores_only=True))
    assert [bool(report) for report in each] == [bool(report) for report in reports]


def test_a_text_without_entities_is_explained_by_the_likeliest_label():
    tagger = without_entities()
    report = tagger.analyze(TEXT, **FAST)
    candidate = report.answer.candidate
    assert report.answer.entities == ()
    assert report.attributions[0].targets[0].positions == candidate.tokens
    lines = str(report).split("\n")
    assert lines[0].startswith("no entities")
    assert any(line.endswith("The label that comes closest to one:") for line in lines)
    assert "Warning: The text has no entity." in str(report)
    assert "no entities" in report.to_html()
    reports = tagger.analyze([TEXT, TEXTS[1]], **FAST)
    assert [len(each.attributions[0].targets) for each in reports] == [1, 1]
    # asked for a label that the model did not choose, there is nothing to warn of
    asked = tagger.compute_saliency(TEXT, method="saliency", target=("film", "PER"), against="O")
    assert not asked.provenance.cautions
    assert asked.targets[0].description().startswith("logit of ")


def test_every_entity_can_be_asked_against_a_label_that_some_have():
    tagger = visualizer_of()
    entities = tagger.predict(TEXT).entities
    assert {entity.label for entity in entities} == {"PER", "ORG"}
    found = tagger.compute_saliency(TEXT, method="saliency", against="ORG")
    assert [target.positions for target in found.targets] == [e.tokens for e in entities if e.label == "PER"]
    assert {label for target in found.targets for label in target.against_labels} <= {"B-ORG", "I-ORG"}
    for target in tagger.compute_saliency(TEXT, method="saliency", against="O").targets:
        assert set(target.against_labels) == {"O"}
    organization = next(index for index, entity in enumerate(entities) if entity.label == "ORG")
    with pytest.raises(InputError, match="The target and its contrast are both 'ORG'"):
        tagger.compute_saliency(TEXT, target=organization, against="ORG")


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "modernbert"])
def test_the_lens_gives_each_layer_a_label_for_each_token(name):
    tagger = visualizer_of(name)
    lens = tagger.compute_logit_lens(TEXT)
    tagging = tagger.predict(TEXT)
    names = dict(zip(lens.ids.tolist(), lens.labels, strict=True))
    inside = np.flatnonzero(tagging.tokens.segments >= 0)
    np.testing.assert_array_equal(lens.positions, inside)
    assert [names[index] for index in lens.final_ids] == [tagging.token_labels[p] for p in inside]
    last = lens.top_probabilities[-1, :, 0]
    np.testing.assert_allclose(last, tagging.probabilities[inside].max(axis=1), atol=1e-5)


def test_head_scores_explain_an_entity():
    tagger = visualizer_of()
    found = tagger.score_heads(TEXT, scores="ablation", target=0)
    same = tagger.score_heads(TEXT, scores="ablation")
    np.testing.assert_array_equal(found.scores, same.scores)
    other = tagger.score_heads(TEXT, scores="ablation", target=1)
    assert not np.array_equal(found.scores, other.scores)


def test_two_taggers_are_compared():
    first = visualizer_of("bert").analyze(TEXT, **FAST)
    second = visualizer_of("electra").analyze(TEXT, **FAST)
    comparison = compare(first, second)
    assert str(comparison)
    assert comparison.to_html()
    assert str(compare(first, first))


def test_texts_in_a_form_that_a_tagger_does_not_read_are_refused():
    tagger = visualizer_of()
    with pytest.raises(InputError, match="A tagger reads one text at a time"):
        tagger.predict(("a film", "a plot"))
    with pytest.raises(InputError, match="The text is empty"):
        tagger.analyze("")
    with pytest.raises(InputError, match="Unknown label 'MISC'"):
        tagger.analyze(TEXT, against="MISC")
    with pytest.raises(InputError, match="Unknown quantity"):
        tagger.analyze(TEXT, quantity="loss")


def test_a_tagger_can_be_pickled():
    tagger = visualizer_of(aggregation="max", ignore_labels=["O", "ORG"])
    again = pickle.loads(pickle.dumps(tagger))
    assert (again.aggregation, again.ignore_labels) == ("max", ("O", "ORG"))
    assert again.predict(TEXT).entities == tagger.predict(TEXT).entities


def test_ends_of_entities_that_the_pipeline_does_not_join_are_named():
    report = visualizer_of("bert", ("O", "B-PER", "I-PER", "E-PER", "S-PER")).analyze(TEXT, **FAST)
    assert any("Only labels with B- and I- are joined" in caution for caution in report.provenance.cautions)
    none = visualizer_of("bert", ("O", "B-PER", "I-PER", "E-PER", "S-PER"), aggregation="none")
    assert not none.analyze(TEXT, **FAST).provenance.cautions


def test_costs_are_estimated():
    tagger = visualizer_of()
    estimate = tagger.estimate_saliency(TEXT, method="leave_one_out")
    content = int((~tagger.predict(TEXT).tokens.special).sum())
    assert estimate.positions == (1 + content) * (content + 2)  # of all entities together
    assert tagger.estimate_analysis(TEXT, method="leave_one_out") == estimate
