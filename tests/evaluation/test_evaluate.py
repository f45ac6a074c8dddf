"""Evaluations distinguish right scores from random ones, and count the variants they run."""

import itertools
from contextlib import nullcontext
from dataclasses import replace

import loaded_demos
import numpy as np
import pytest
import torch
from tiny_models import CLASSIFIERS, LANGUAGE_MODELS, PROBE, each, visualizer_of

from model_understanding import Assessment, GenerativeModelVisualizer
from model_understanding.attribution.kernel_shap import KernelShap
from model_understanding.errors import InputError, StoppedError
from model_understanding.evaluation import run
from model_understanding.evaluation import verdict as verdict_module
from model_understanding.evaluation.ranked_text import removal_counts
from model_understanding.evaluation.removal_correlations import LeaveOneOutTau
from model_understanding.evaluation.removal_curves import Comprehensiveness
from model_understanding.evaluation.verdict import (
    SUPPORTED,
    permutation_z_score,
    support_threshold,
    token_effects,
    verdict_and_reasons,
)
from model_understanding.model.metering import PassCounter, counted_by
from model_understanding.registry import METRICS
from model_understanding.show.terminal.verdicts import DEFAULT_METRICS
from model_understanding.statistics import rank_correlation

TEXTS = (
    "The movie was absolutely fantastic, although the ending felt a bit long.",
    "A dull and lifeless film that wastes the talent of everyone in it.",
    "I laughed, I cried, and I would gladly watch this wonderful story again tomorrow.",
    "Nothing in this clumsy script works, and the actors look bored all the way through.",
)


@pytest.fixture(scope="module")
def sentiment():
    return loaded_demos.sentiment()


def test_right_scores_are_supported_and_negated_ones_are_not(sentiment):
    verdicts = []
    for text in TEXTS:
        exact = sentiment.compute_saliency(text, method="leave_one_out")
        right, negated = sentiment.evaluate([exact, replace(exact, scores=-exact.scores)])
        verdicts.append(right.verdict)
        assert negated.verdict == "not supported"
        assert right.advantage == pytest.approx(right.evaluations[0].value)
    assert verdicts.count("supported") >= 3


def test_few_permuted_maps_are_supported(sentiment):
    generator = np.random.default_rng(0)
    verdicts = []
    for text in TEXTS[:2]:
        exact = sentiment.compute_saliency(text, method="leave_one_out")
        inner = np.flatnonzero(~exact.tokens.special)
        permuted = []
        for _ in range(10):
            scores = exact.scores.copy()
            scores[0, inner] = scores[0, generator.permutation(inner)]
            permuted.append(replace(exact, scores=scores))
        verdicts += [one.verdict for one in sentiment.evaluate(permuted)]
    assert len(verdicts) == 20
    assert verdicts.count("supported") <= 3


def test_a_variant_is_run_once_for_each_replacement(sentiment):
    exact = sentiment.compute_saliency(TEXTS[0], method="leave_one_out")
    counter = PassCounter()
    with counted_by(counter):
        assessment = sentiment.evaluate(exact)
    tokens = int((~exact.tokens.special).sum())
    assert assessment.variants <= 2 * (1 + 4 * 6 + tokens + 1)
    # Two more passes check that masked tokens have no effect.
    assert assessment.forwards == counter.positions / len(exact.tokens) == assessment.variants + 2
    assert counter.backwards == 0
    again = sentiment.evaluate(exact)
    assert replace(assessment, seconds=0.0).to_json() == replace(again, seconds=0.0).to_json()


def test_a_metric_may_have_settings_of_its_own(sentiment):
    metric = Comprehensiveness(fractions=(0.1, 0.3, 0.4, 0.9))
    assessment = sentiment.evaluate(TEXTS[0], metrics=[metric, "deletion"])
    assert assessment.named("comprehensiveness")[0].curve[:, 0] == pytest.approx(metric.fractions)
    assert len(assessment.named("comprehensiveness")) == len(assessment.named("deletion")) == 4


def test_single_removals_agree_with_themselves_and_random_halves_with_a_sum_of_scores(sentiment):
    exact = sentiment.compute_saliency(TEXTS[1], method="leave_one_out")
    names = ["leave_one_out_tau", "linear_datamodeling_score"]
    right, negated = sentiment.evaluate([exact, replace(exact, scores=-exact.scores)], metrics=names)
    for one in right.named("leave_one_out_tau"):
        # The method's own replacement is the mask; the class margin of two classes orders like the logit.
        assert one.value > (0.9 if one.replacement == "mask" else 0.3)
    for name in names:
        for one, other in zip(right.named(name), negated.named(name), strict=True):
            assert other.value == pytest.approx(-one.value)
            assert one.control.size == 5
            assert one.advantage > 0
    permuted = {one.metric for one in right.evaluations if one.shuffled}
    assert permuted == {"verdict", "z_score", *names}
    long = LeaveOneOutTau(longest=3)
    assert not sentiment.evaluate(exact, metrics=[long]).named("leave_one_out_tau")


def test_comprehensiveness_is_the_mean_drop_by_hand(sentiment):
    exact = sentiment.compute_saliency(TEXTS[1], method="leave_one_out")
    assessment = sentiment.evaluate(exact)
    (evaluation,) = [
        one
        for one in assessment.named("comprehensiveness")
        if one.quantity == "probability" and one.replacement == "mask"
    ]
    tokenizer, model = sentiment.tokenizer, sentiment.model
    ids, inner = exact.tokens.ids.copy(), np.flatnonzero(~exact.tokens.special)
    order = inner[np.argsort(-exact.scores[0, inner], kind="stable")]
    index = exact.targets[0].indices[0]

    def probability(removed):
        changed = ids.copy()
        changed[removed] = tokenizer.mask_token_id
        with torch.no_grad():
            return float(model(input_ids=torch.tensor(changed[None])).logits.softmax(-1)[0, index])

    drops = [probability([]) - probability(order[:count]) for count in removal_counts(len(inner))]
    assert evaluation.value == pytest.approx(np.mean(drops), rel=1e-4)
    assert evaluation.control.size == 5


def test_texts_and_scores_that_are_not_evaluated(sentiment):
    short = sentiment.evaluate("Good.")
    assert short.verdict == "not evaluated"
    assert short.reasons == ("The text is too short: 2 tokens can be removed, at least 6 are needed.",)
    layer = sentiment.compute_saliency(TEXTS[0], layer=1)
    assert sentiment.evaluate(layer).reasons == (
        "Scores of a layer's hidden states cannot be evaluated; only scores of the input tokens can.",
    )


def test_misuse_is_told(sentiment):
    with pytest.raises(InputError, match=r"draws must be a whole number, 5 or more\. Got 2"):
        sentiment.evaluate(TEXTS[0], draws=2)
    for ask in (sentiment.evaluate, sentiment.analyze):
        with pytest.raises(InputError, match="Unknown metric 'comprehensivenes'"):
            ask(TEXTS[0], metrics=["comprehensivenes"])
    words = sentiment.compute_saliency("An unforgettable, heartbreaking mess.").words()
    with pytest.raises(InputError, match="without words"):
        sentiment.evaluate(words)


def test_the_rule_of_the_verdict():
    both = ("mask", "attention")
    threshold = support_threshold(12)
    assert verdict_and_reasons(threshold, [3.1, 2.8], both, 12)[0] == "supported"
    assert verdict_and_reasons(3.0, [6.1, -0.1], both, 12)[0] == "weak"
    assert verdict_and_reasons(threshold - 0.01, [1.9], ("mean",), 12)[0] == "weak"
    assert verdict_and_reasons(0.9, [0.9, 0.8], both, 12)[0] == "not supported"
    missed = [(" not", 0.93)]
    verdict, reasons = verdict_and_reasons(3.0, [3.1, 2.8], both, 12, missed=missed, chance=0.0833)
    assert verdict == "weak"
    assert reasons == (
        "Scores only weakly predict the effect of removing tokens: z = 3.00 against permuted scores "
        f"(12 tokens: threshold {threshold:.2f}, maximum 3.32; 8.3 % of permutations do as well).",
        "Scores leave out tokens whose removal matters (share of the largest effect): 'not' (93.0 %).",
    )
    verdict, reasons = verdict_and_reasons(3.0, [3.1, 2.8], both, 12, share=0.03)
    assert (verdict, reasons[-1].partition(":")[0]) == (
        "weak",
        "The largest effect of a token is 3.0 % of that of removing all",
    )
    verdict, reasons = verdict_and_reasons(-1.0, [-1.0, 2.5], ("mask", "mean"), 10)
    assert verdict == "not supported"
    assert reasons[0] == (
        "Scores do not predict the effect of removing tokens: z = −1.00 against permuted scores "
        f"(10 tokens: threshold {support_threshold(10):.2f}, maximum 3.00)."
    )
    assert reasons[-1] == "Results differ between replacements: z = −1.0 for mask, z = 2.5 for mean."


def test_the_drop_is_compared_with_that_of_random_tokens():
    drops = np.array([[[2.0, 4.0], [1.0, 1.0], [0.5, 1.5]]])
    assert verdict_module._drop_sentence(drops, "logit") == (
        "Removing the top-ranked tokens lowers the logit by 3; random tokens, by 1."
    )
    assert verdict_module._drop_sentence(drops - 2, "logit") == (
        "Removing the top-ranked tokens lowers the logit by 1; removing random tokens raises it by 1."
    )
    assert verdict_module._drop_sentence(drops - 4, "logit") == (
        "Removing the top-ranked tokens raises the logit by 1; random tokens, by 3."
    )


def test_the_threshold_is_a_correlation_a_text_of_that_length_can_reach():
    thresholds = [support_threshold(tokens) for tokens in range(6, 500)]
    assert thresholds == sorted(thresholds)
    assert all(z < np.sqrt(tokens - 1) for tokens, z in zip(range(6, 500), thresholds, strict=True))
    assert thresholds[-1] == pytest.approx(SUPPORTED, abs=0.01)
    # What is said and what is decided are rounded alike.
    assert verdict_and_reasons(thresholds[6] - 0.004, [1.0], ("mask",), 12)[0] == "supported"


def test_more_variants_are_run_where_a_verdict_is_inconclusive(sentiment):
    exact = sentiment.compute_saliency(TEXTS[0], method="leave_one_out")
    tokens = int((~exact.tokens.special).sum())
    certain = sentiment.evaluate(exact)
    negated = sentiment.evaluate(replace(exact, scores=-exact.scores))
    assert certain.variants <= 2 * (1 + 4 * 6 + tokens + 1)
    assert certain.variants < negated.variants <= certain.variants + 2 * (1 + tokens)


def test_of_a_long_text_as_many_tokens_are_measured_as_of_a_shorter_one():
    visualizer = visualizer_of("llama")
    text = " ".join(["a king and a queen"] * 8)
    maps = [visualizer.compute_saliency(text, method=m, target="next") for m in ("leave_one_out", "saliency")]
    for assessment in visualizer.evaluate(maps):
        assert assessment.variants <= 2 * (1 + 4 * 6 + 1 + 64 + 1 + 32)
        assert "(64 tokens: threshold" in assessment.reasons[0]
        assert all(one.control.size == 5 for one in assessment.named("verdict"))


def test_effects_are_those_of_an_additive_answer():
    generator = np.random.default_rng(0)
    tokens, worth = 8, np.array([4.0, 0, 0, -2, 0, 0, 1, 0])
    removed = generator.random((40, 2, tokens)) < 0.4
    effects = token_effects([removed, removed], [removed @ worth, removed @ worth])
    assert np.corrcoef(effects, worth)[0, 1] > 0.99
    # The number of removed tokens has no effect: a level that all variants of a count share cancels.
    level = np.array([3.0, 7.0])
    again = token_effects([removed, removed], [removed @ worth + level, removed @ worth])
    np.testing.assert_allclose(again, effects, atol=1e-10)


def test_the_z_score_is_that_of_the_correlation_over_all_permutations():
    support, effects = np.array([5.0, 1, 0, 0, 2, 0]), np.array([3.0, 0, 1, 0, 2, -1])
    permuted = [
        np.corrcoef(support[list(order)], effects)[0, 1] for order in itertools.permutations(range(6))
    ]
    own = np.corrcoef(support, effects)[0, 1]
    assert np.mean(permuted) == pytest.approx(0, abs=1e-12)
    assert permutation_z_score(support, effects) == pytest.approx(own / np.std(permuted), rel=1e-9)
    assert permutation_z_score(np.full(6, 0.1), effects) == 0.0
    assert permutation_z_score(support, np.zeros(6)) == 0.0


def test_an_assessment_survives_json(sentiment):
    assessment = sentiment.evaluate(TEXTS[0], method="integrated_gradients")
    assert Assessment.from_json(assessment.to_json()).to_json() == assessment.to_json()
    assert set(assessment.to_dataframe()["metric"]) >= {"verdict", "comprehensiveness", "sufficiency"}


@pytest.mark.parametrize("name", each(CLASSIFIERS))
def test_every_classifier_is_evaluated(name):
    assessment = visualizer_of(name).evaluate(PROBE, method="leave_one_out")
    assert assessment.verdict in ("supported", "weak", "not supported")


@pytest.mark.parametrize("name", each(LANGUAGE_MODELS))
def test_a_continuation_is_evaluated_as_a_whole(name):
    visualizer = visualizer_of(name)
    assert isinstance(visualizer, GenerativeModelVisualizer)
    assessment = visualizer.evaluate(PROBE, method="leave_one_out", continuation=" the king", per_token=True)
    assert isinstance(assessment, Assessment)
    assert "continuation" in assessment.target
    assert {one.quantity for one in assessment.evaluations if one.quantity} == {"log-probability"}


def test_a_report_holds_its_verdict(sentiment, capsys):
    report = sentiment.analyze(TEXTS[0], method="leave_one_out", show=True)
    assert report.evaluations[0].verdict == "supported"
    assert "● supported" in capsys.readouterr().out
    assert not sentiment.analyze(TEXTS[0], evaluate=False, show=False).evaluations


def test_all_metrics_are_registered():
    for name in METRICS.names():
        metric = METRICS.load(name)
        assert metric.name == name
        assert metric.reference
        assert metric.cost
    default = [name for name in METRICS.names() if not METRICS.load(name).on_request]
    assert {*default, "z_score"} == {*DEFAULT_METRICS, "verdict"}


def test_methods_agree_as_their_ranks_do(sentiment):
    first = sentiment.compute_saliency(TEXTS[0], method="saliency")
    second = sentiment.compute_saliency(TEXTS[0], method="input_x_gradient")
    inner = np.flatnonzero(~first.tokens.special)
    expected = rank_correlation(first.scores[0, inner], np.abs(second.scores[0, inner]))
    assessment = sentiment.evaluate([first, second])
    assert not sentiment.evaluate(first).named("agreement")
    for one, other in zip(assessment, ("input_x_gradient", "saliency"), strict=True):
        correlation, overlap = one.named("agreement")
        assert correlation.quantity == f"rank correlation with {other}"
        assert correlation.value == pytest.approx(expected)
        assert overlap.quantity == f"top-4 overlap with {other}"
        assert overlap.value in (0.0, 0.25, 0.5, 0.75, 1.0)


def test_methods_without_sampling_are_stable_and_others_run_with_another_seed():
    visualizer = visualizer_of("bert")
    fixed, drawn = visualizer.evaluate(
        PROBE, method=["saliency", KernelShap(samples=16)], metrics=["stability"]
    )
    conditions = {(one.quantity, one.replacement): one.value for one in fixed.named("stability")}
    assert conditions["largest relative difference", "in a batch"] < 1e-4
    assert conditions["largest relative difference", "padded"] < 1e-4
    assert conditions["rank correlation", "padded"] == 1.0
    assert not any(condition == "another seed" for _, condition in conditions)
    seeds = [one for one in drawn.named("stability") if one.replacement == "another seed"]
    assert [one.quantity for one in seeds] == ["largest relative difference", "rank correlation"]
    assert seeds[0].value > 1e-3


def test_a_text_of_the_maximum_length_is_not_padded():
    visualizer = visualizer_of("bert")
    limit = visualizer.runner.model.longest_input
    text = "a " * (limit - 2)  # beside it the two special tokens
    assessment = visualizer.evaluate(text, method="saliency", metrics=["stability"])
    assert len(visualizer.compute_saliency(text, method="saliency").tokens) == limit
    failed = [one for one in assessment.named("stability") if one.value is None]
    assert {one.replacement for one in assessment.named("stability")} == {"in a batch", "padded"}
    assert [one.replacement for one in failed] == ["padded"]
    assert failed[0].reasons


@pytest.mark.parametrize(("kind", "is_raised"), [(StoppedError, True), (InputError, False)])
def test_only_a_stop_ends_a_report_that_cannot_be_evaluated(kind, is_raised, monkeypatch):
    def fail(*_, **__):
        raise kind("It failed.", hint="Try again.")

    monkeypatch.setattr(run, "_assess_rows", fail)
    with pytest.raises(StoppedError) if is_raised else nullcontext():
        report = visualizer_of("bert").analyze(PROBE, method="saliency", show=False)
        assert [(one.verdict, one.value) for one in report.evaluations] == [("not evaluated", None)]


def test_a_model_with_random_weights_is_a_copy():
    visualizer = visualizer_of("llama")
    before = {name: value.clone() for name, value in visualizer.model.state_dict().items()}
    assessment = visualizer.evaluate(PROBE, method="saliency", metrics=["randomization"])
    (one,) = assessment.named("randomization")
    assert -1 <= one.value <= 1
    assert bool(one.reasons) == (one.value > 0.5)
    assert assessment.verdict != "not evaluated"
    for name, value in visualizer.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    foreign = replace(visualizer.compute_saliency(PROBE), method="mine")
    assert not visualizer.evaluate(foreign, metrics=["randomization", "stability"]).named("randomization")
