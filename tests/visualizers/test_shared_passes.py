"""A report measures each variant of a text once, and reads its attention in one forward pass."""

import numpy as np
import pytest
import tiny_models
from oracles import close
from tiny_models import PROBE, encoded, visualizer_of

from model_understanding.attention.capture.record import recorded_once
from model_understanding.attention.read import attention_for_report
from model_understanding.model.metering import counting
from model_understanding.perturbation.token_removal import ModelTokenRemoval
from model_understanding.visualizers.heads import head_scores_for_report

LANGUAGE_MODELS = ("llama", "gpt2", "mamba")
WITHOUT_MASK = ("llama-classifier", "gpt2-classifier")  # explained by removals, as language models are
TOKENS = 4


@pytest.fixture
def variants(monkeypatch):
    """Every variant that runs: what replaces the removed tokens, and which tokens these are."""
    ran = []
    original = ModelTokenRemoval._run

    def run(self, removed):
        ran.extend((self.replacement if row.any() else "", row.tobytes()) for row in removed)
        return original(self, removed)

    monkeypatch.setattr(ModelTokenRemoval, "_run", run)
    return ran


@pytest.mark.parametrize("name", [*LANGUAGE_MODELS, *WITHOUT_MASK])
def test_method_and_verdict_run_no_variant_twice(name, variants):
    visualizer = visualizer_of(name)
    given = {"max_new_tokens": TOKENS} if name in LANGUAGE_MODELS else {}
    report = visualizer.analyze(PROBE, attention=(), show=False, **given)
    explained = report.attributions[0]
    assert explained.method == "guided_ablation"
    assert len(variants) == len(set(variants))
    together = len(variants)

    variants.clear()
    if name in LANGUAGE_MODELS:
        ids = report.generation.tokens.ids[report.generation.prompt_length :].tolist()
        given = {"continuation": ids, "target": "continuation", "per_token": True}
    alone = visualizer.compute_saliency(PROBE, **given)
    assessment = visualizer.evaluate(explained)
    assert np.array_equal(alone.scores, explained.scores)
    assert together <= len(variants) - 3  # the text, of either replacement, and removals of single tokens
    assert [evaluation.metric for evaluation in assessment.evaluations] == [
        evaluation.metric for evaluation in report.evaluations
    ]
    for one, other in zip(report.evaluations, assessment.evaluations, strict=True):
        assert one.verdict == other.verdict
        assert one.value is None or close(one.value, other.value, 1e-4)


@pytest.mark.parametrize("name", ["bert", "roberta", "llama", "gpt2"])
def test_attention_and_heads_of_a_report_share_one_pass(name):
    visualizer = visualizer_of(name)
    model, encoding = visualizer.runner.model, encoded(visualizer, PROBE)
    (attribution,) = [visualizer.compute_saliency(PROBE, method="saliency")]

    def read():
        with counting() as counter:
            maps = attention_for_report(model, encoding, None)
        with counting() as more:
            heads = head_scores_for_report(visualizer.runner, encoding, attribution)
        return counter.forwards, more.forwards, maps, heads

    read()  # measures what is measured once
    alone, alone_heads, maps, heads = read()
    with recorded_once(model, encoding):
        shared, shared_heads, same_maps, same_heads = read()
    assert alone == 4  # the last layer, all heads, rollout, value_weighted
    assert (shared, shared_heads) == (1, alone_heads - 1)
    assert [one.map for one in maps] == [one.map for one in same_maps]
    for one, other in zip(maps, same_maps, strict=True):
        assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(heads.scores, same_heads.scores)


@pytest.mark.parametrize("name", ["llama", "gpt2", "mamba"])
def test_lens_and_generation_record_share_one_pass(name):
    visualizer = visualizer_of(name)
    given = {"method": "saliency", "attention": (), "evaluate": False, "show": False}
    visualizer.analyze(PROBE, " and so on", **given)  # measures what is measured once
    with counting() as counter:
        report = visualizer.analyze(PROBE, " and so on", **given)
    with counting() as without:
        scores = visualizer.analyze(PROBE, " and so on", scores_only=True, **given)
    heads_and_attention = 0 if name == "mamba" else 1
    assert counter.forwards - without.forwards == heads_and_attention
    alone = visualizer.generate(PROBE, continuation=" and so on")
    lens = visualizer.compute_logit_lens(PROBE, continuation=" and so on")
    assert np.array_equal(report.generation.probabilities, alone.probabilities)
    assert np.array_equal(scores.generation.probabilities, alone.probabilities)
    for field in ("top_ids", "top_probabilities", "entropies", "divergences", "next_ranks"):
        assert np.array_equal(getattr(report.lens, field), getattr(lens, field))


def test_another_text_is_read_in_a_pass_of_its_own():
    visualizer = visualizer_of("bert")
    model, encoding = visualizer.runner.model, encoded(visualizer, PROBE)
    other = encoded(visualizer, f"Not this: {PROBE}")
    (expected,) = attention_for_report(model, other, ())[:1]
    with recorded_once(model, encoding):
        attention_for_report(model, encoding, ())
        (found,) = attention_for_report(model, other, ())[:1]
    assert np.array_equal(found.weights, expected.weights)


def test_layers_that_cannot_be_taken_apart_are_read_one_by_one(monkeypatch):
    visualizer = visualizer_of("bert", model=tiny_models.fresh("bert"))
    model, encoding = visualizer.runner.model, encoded(visualizer, PROBE)
    expected = attention_for_report(model, encoding, None)

    def refuse(self, parts):
        raise self.refusal(parts.of_values.layer, "planted")

    monkeypatch.setattr("model_understanding.attention.capture.record.Recorder.read_parts", refuse)
    with recorded_once(model, encoding):
        found = attention_for_report(model, encoding, None)
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.weights, other.weights)
