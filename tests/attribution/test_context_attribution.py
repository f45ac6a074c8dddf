"""ContextCite: sources that matter are found, few others, and the surrogate is judged on unseen variants."""

import numpy as np
import oracles
import pytest
from tiny_models import visualizer_of

from attribution.perturbing import counted, linear_scores, linear_visualizer, mask_embedding
from model_understanding import ContextAttribution, InputError
from model_understanding.attribution.context_attribution import _logits
from model_understanding.model.causality import is_causal
from model_understanding.perturbation.surrogates import lasso
from model_understanding.results import Target

CONTEXT = "The plot was dull. A king lived far away. The sea shells are brilliant. Paris is in France."
OPTIONS = {"target": "continuation", "continuation": " a king"}


def test_lasso_meets_its_optimality_conditions():
    generator = np.random.default_rng(0)
    design = (generator.random((60, 12)) < 0.5).astype(float)
    wanted = design @ np.array([3.0, -2.0, *np.zeros(10)]) + generator.normal(size=60)
    weights, constant = lasso(design, wanted, 0.3)
    scale = design.std(axis=0)
    left = wanted - design @ weights - constant
    slopes = ((design - design.mean(axis=0)) / scale).T @ left / len(left)
    assert 2 <= np.count_nonzero(weights) < 12
    chosen = weights != 0
    assert np.abs(slopes[chosen] - 0.3 * np.sign(weights[chosen])).max() < 1e-6
    assert np.abs(slopes[~chosen]).max() <= 0.3 + 1e-6
    least, offset = lasso(design, wanted, 0.0)
    expected = np.linalg.lstsq(np.column_stack([design, np.ones(60)]), wanted, rcond=None)[0]
    assert oracles.close([*least, offset], expected, 1e-5)
    still, middle = lasso(np.ones((5, 2)), np.arange(5.0), 0.1)  # a source that is always there
    assert (still == 0).all()
    assert middle == 2.0


def test_log_probabilities_become_logits_of_the_whole_continuation():
    target = Target(task="causal-lm", positions=(1, 2), indices=(3, 4), quantity="log_prob")
    found, count = _logits(np.log([0.25, 0.9, 1e-30]), target)
    assert count == 2
    assert oracles.close(found, [np.log(1 / 3), np.log(9), np.log(1e-30)], 1e-9)
    assert np.isfinite(_logits(np.zeros(1), target)[0]).all()


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "mamba"])
def test_sources_are_the_sentences_of_the_prompt(name):
    visualizer = visualizer_of(name)
    found = visualizer.compute_saliency(
        CONTEXT, **OPTIONS, method=ContextAttribution(samples=32, held_out=16)
    )
    sentences = found.folded("sentence")
    prompt = sentences.tokens.segments == 0
    assert int(prompt.sum()) == 4
    assert not sentences.scores[:, ~prompt].any()  # the continuation is what is explained
    assert sentences.scores[:, prompt].any()
    assert np.isfinite(found.scores).all()


def test_a_linear_model_is_recovered_and_judged_perfect():
    visualizer = linear_visualizer()
    expected = linear_scores(visualizer, CONTEXT, mask_embedding(visualizer))
    method = ContextAttribution(alpha=0.0)
    targets = visualizer.compute_saliency(CONTEXT, target="all", method="saliency").targets
    tokens = visualizer.compute_saliency(CONTEXT, target=0, method="saliency").tokens
    encoding = visualizer.runner.model.encode(tokens)
    found = method(visualizer.runner, encoding, list(targets))
    groups = tokens.groups("sentence")
    by_sentence = np.stack([found.scores[0][:, list(g)].sum(1) for g in groups], axis=1)
    assert oracles.close(by_sentence, np.stack([expected[:, list(g)].sum(1) for g in groups], axis=1), 1e-4)
    assert found.cautions == (
        ("Linear datamodeling score (rank correlation on 32 held-out variants): 1.00, 1.00, 1.00.",),
    )


def test_the_penalty_leaves_sources_out():
    visualizer = visualizer_of("gpt2")
    counts = []
    for alpha in (0.0, 0.05, 10.0):
        method = ContextAttribution(unit="word", alpha=alpha)
        found = visualizer.compute_saliency(CONTEXT, **OPTIONS, method=method)
        counts.append(int((found.words().scores != 0).sum()))
    assert counts[0] > counts[1] > counts[2] == 0


def test_given_chunks_are_the_sources():
    visualizer = visualizer_of("gpt2")
    chunks = ("The plot was dull.", "shells are brilliant")
    method = ContextAttribution(chunks=chunks, alpha=0.0)
    found = visualizer.compute_saliency(CONTEXT, **OPTIONS, method=method)
    surfaces = "".join(
        text for text, score in zip(found.tokens.surfaces(), found.scores[0], strict=True) if score
    )
    assert surfaces == "The plot was dull. shells are brilliant"
    for wrong, message in (
        (("a queen",), "The prompt does not contain the chunk"),
        (chunks[::-1], "The prompt does not contain the chunk"),
        (("",), "The prompt does not contain the chunk"),
    ):
        with pytest.raises(InputError, match=message):
            visualizer.compute_saliency(CONTEXT, **OPTIONS, method=ContextAttribution(chunks=wrong))


def test_few_sources_cost_few_forwards_and_seeds_are_all_the_chance_there_is():
    visualizer = visualizer_of("gpt2")
    _ = is_causal(visualizer.runner.model)
    with counted(visualizer.model) as counts:
        one = visualizer.compute_saliency(CONTEXT, **OPTIONS, method=ContextAttribution())
    length = len(one.tokens) - 1
    assert counts["positions"] <= 18 * length  # 2^4 combinations, and at most two more for the prefix
    again = visualizer.compute_saliency(CONTEXT, **OPTIONS, method=ContextAttribution())
    other = visualizer.compute_saliency(CONTEXT, **OPTIONS, method=ContextAttribution(seed=1))
    assert np.array_equal(one.scores, again.scores)
    assert not np.array_equal(one.scores, other.scores)


def test_rows_of_a_continuation_are_each_alone():
    visualizer = visualizer_of("llama")
    method = ContextAttribution(unit="word")
    rows = visualizer.compute_saliency(CONTEXT, **OPTIONS, method=method, per_token=True)
    encoding = visualizer.runner.model.encode(
        rows.tokens, prompt_length=int((rows.tokens.segments != 1).sum())
    )
    for number, target in enumerate(rows.targets):
        alone = method(visualizer.runner, encoding, [target]).scores[0, 0]
        assert oracles.close(rows.scores[number], alone * rows.valid[number], 1e-4)


@pytest.mark.parametrize(
    "options", [{"samples": 1}, {"held_out": 1}, {"alpha": -1.0}, {"unit": "window"}, {"seed": -1}]
)
def test_wrong_parameters_are_told(options):
    with pytest.raises(InputError):
        ContextAttribution(**options)
