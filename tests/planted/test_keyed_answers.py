"""Methods on a question answering model whose answer hangs on the key that the question names."""

from dataclasses import replace

import numpy as np
import pytest

from planted import keyed_answers
from planted.scoring import method_of

TEXTS, ENOUGH = 10, 9


@pytest.fixture(scope="module")
def drawn():
    return keyed_answers.draw(np.random.default_rng(7), TEXTS, keyed_answers.LENGTH)


@pytest.fixture(scope="module")
def visualizer():
    return keyed_answers.visualizer()


def strongest(attribution, count):
    """Return the positions with the greatest scores among the ordinary tokens."""
    scores = np.where(attribution.tokens.special, -np.inf, attribution.scores[0])
    return np.argsort(-scores, kind="stable")[:count].tolist()


def test_the_model_has_learned_its_task():
    assert keyed_answers.accuracy() == 1.0


def test_the_answer_is_the_word_after_the_key(visualizer, drawn):
    pairs = keyed_answers.pairs_of(drawn)
    for (question, context), answer, position in zip(
        pairs, visualizer.predict(pairs), drawn.answers, strict=True
    ):
        words = context.split()
        assert (answer.best.first, answer.best.last) == (position, position)
        assert answer.text == words[words.index(question) + 1]
        assert answer.is_answered
        assert answer.best.probability > 0.9


@pytest.mark.parametrize(
    ("method", "against"),
    [
        ("saliency", None),
        ("occlusion", None),
        ("leave_one_out", None),
        ("guided_ablation", None),
        ("leave_one_out", "runner-up"),
        ("leave_one_out", "no answer"),
    ],
)
def test_the_key_stands_first(visualizer, drawn, method, against):
    pairs = keyed_answers.pairs_of(drawn)
    found = visualizer.compute_saliency(pairs, method=method_of(method), against=against)
    tops = [(strongest(each, 2), keys.tolist()) for each, keys in zip(found, drawn.keys, strict=True)]
    assert sum(top[0] in keys for top, keys in tops) >= ENOUGH
    assert sum(set(top) == set(keys) for top, keys in tops) >= ENOUGH  # in the question and in the context


@pytest.mark.parametrize("method", ["leave_one_out", "integrated_gradients"])
def test_the_verdict_supports_a_true_map_and_no_permuted_one(visualizer, drawn, method):
    pair = keyed_answers.pairs_of(drawn)[0]
    found = visualizer.compute_saliency(pair, method=method)
    assert visualizer.evaluate(found).verdict == "supported"
    order = np.random.default_rng(0).permutation(found.scores.shape[1])
    permuted = replace(found, scores=found.scores[:, order], gaps=None)
    assert visualizer.evaluate(permuted).verdict != "supported"
