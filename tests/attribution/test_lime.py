"""LIME: its regression against the normal equations written out, and exact on a linear model."""

import numpy as np
import oracles
import pytest
from tiny_models import PROBE, TEXTS, encoded, visualizer_of

from attribution.perturbing import counted, linear_scores, linear_visualizer, mask_embedding
from model_understanding import InputError, Lime
from model_understanding.perturbation.shapley import Game
from model_understanding.perturbation.token_removal import ModelTokenRemoval
from model_understanding.perturbation.units import units_of
from model_understanding.results import Target

CLASSES = [Target(task="sequence-classification", indices=(i,)) for i in range(3)]


def test_a_linear_model_is_exact_without_penalty_and_shrunk_with_one():
    visualizer = linear_visualizer()
    expected = linear_scores(visualizer, PROBE, mask_embedding(visualizer))
    free = visualizer.compute_saliency(PROBE, target="all", method=Lime(ridge=0.0))
    assert oracles.close(free.scores, expected, 1e-4)
    held = visualizer.compute_saliency(PROBE, target="all", method=Lime(ridge=1000.0))
    assert np.linalg.norm(held.scores) < 0.5 * np.linalg.norm(expected)


@pytest.mark.parametrize("distance", ["cosine", "hamming"])
def test_it_solves_the_weighted_ridge_regression(distance, monkeypatch):
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    seen = []
    values_of = Game.values

    def watched(game, present):
        values = values_of(game, present)
        seen.append((present, values))
        return values

    monkeypatch.setattr(Game, "values", watched)
    method = Lime(samples=300, distance=distance, width=0.4, ridge=2.0)
    found = method(visualizer.runner, encoding, CLASSES)
    present, values = max(seen, key=lambda pair: len(pair[0]))
    assert present[0].all()
    assert (present[1:].sum(axis=1) < 22).all()
    share = present.mean(axis=1)
    away = 1 - (share / np.sqrt(share).clip(1e-9) if distance == "cosine" else share)
    weights = np.exp(-(away**2) / 0.4**2 / 2)
    design = np.concatenate([present, np.ones((300, 1))], axis=1).astype(float)
    penalty = 2.0 * np.diag([*np.ones(22), 0])
    for target in range(3):
        solved = np.linalg.solve(
            design.T @ (weights[:, None] * design) + penalty,
            design.T @ (weights * values[:, target]),
        )
        assert oracles.close(found.scores[0, target, 1:-1], solved[:-1], 1e-6)


def test_samples_run_once_each_and_seeds_are_all_the_chance_there_is():
    visualizer = visualizer_of("bert")
    encoding = encoded(visualizer, PROBE)
    with counted(visualizer.model) as counts:
        one = Lime(samples=200)(visualizer.runner, encoding, CLASSES)
    assert len(counts["rows"]) <= 200
    assert len({tuple(row) for row in counts["rows"]}) == len(counts["rows"])
    again, other = (Lime(samples=200, seed=s)(visualizer.runner, encoding, CLASSES) for s in (0, 1))
    assert np.array_equal(one.scores, again.scores)
    assert not oracles.close(one.scores, other.scores, 1e-3)


def test_many_targets_are_each_alone_and_a_batch_is_each_text_alone():
    visualizer = visualizer_of("bert")
    together = visualizer.compute_saliency([TEXTS[0], TEXTS[1]], target="all", method="lime")
    for text, found in zip(TEXTS[:2], together, strict=True):
        for target in range(3):
            alone = visualizer.compute_saliency(text, target=target, method="lime")
            assert oracles.close(found.scores[target], alone.scores[0], 1e-4)


@pytest.mark.parametrize("name", ["gpt2", "gemma3", "mamba"])
def test_tokens_after_a_target_score_nothing(name):
    visualizer = visualizer_of(name)
    options = {"target": "continuation", "continuation": " a king", "method": Lime(samples=100)}
    found = visualizer.compute_saliency(TEXTS[1], **options, per_token=True)
    encoding = visualizer.runner.model.encode(found.tokens)
    scores = Lime(samples=100)(visualizer.runner, encoding, [list(found.targets)]).scores[0]
    assert not scores[~found.valid].any()
    assert scores[found.valid].any()


def test_words_share_their_score():
    visualizer = visualizer_of("bert")
    found = visualizer.compute_saliency(PROBE, target=0, method=Lime(unit="word", samples=100))
    for group in units_of(found.tokens, "word"):
        assert len(set(found.scores[0, list(group)])) == 1


def test_a_poor_fit_is_told(monkeypatch):
    visualizer = visualizer_of("bert")
    noise = np.random.default_rng(0)
    monkeypatch.setattr(
        ModelTokenRemoval, "values", lambda self, removed: noise.normal(size=(len(removed), len(CLASSES)))
    )
    found = Lime(samples=500)(visualizer.runner, encoded(visualizer, PROBE), CLASSES)
    assert "of the variance near the text" in found.cautions[0][0]


@pytest.mark.parametrize(
    "options", [{"width": 0.0}, {"ridge": -1.0}, {"distance": "l3"}, {"samples": 1}, {"unit": "window"}]
)
def test_wrong_parameters_are_told(options):
    with pytest.raises(InputError):
        Lime(**options)
