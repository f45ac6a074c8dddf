"""Methods on an encoder–decoder whose every word is the translation of one word of the source."""

from dataclasses import replace

import numpy as np
import pytest

from model_understanding import UnsupportedModelError
from model_understanding.registry import METHODS
from planted import word_by_word
from planted.scoring import method_of

TEXTS = 4
GOOD = ("saliency", "leave_one_out", "occlusion", "guided_ablation", "integrated_gradients")
READ_ATTENTION = {name for name in METHODS.names() if "attention_flow" in type(method_of(name)).__module__}


@pytest.fixture(scope="module")
def drawn():
    return word_by_word.draw(np.random.default_rng(7), TEXTS, word_by_word.LENGTH)


@pytest.fixture(scope="module")
def visualizer():
    return word_by_word.visualizer()


def traced(attribution, length=word_by_word.LENGTH):
    """Return the word of the source with the greatest score, for each word of the output."""
    source = attribution.tokens.segments == 0
    return attribution.scores[:length, source].argmax(axis=1).tolist()


def test_the_model_has_learned_its_task():
    assert word_by_word.accuracy() == 1.0


def test_it_translates_each_word(visualizer, drawn):
    sources, outputs = (word_by_word.texts_of(ids) for ids in drawn)
    for source, output in zip(sources, outputs, strict=True):
        written = visualizer.generate(source, max_new_tokens=20)
        assert written.text == output
        assert written.ended
        assert written.probabilities.min() > 0.9


@pytest.mark.parametrize("method", GOOD)
def test_each_word_is_traced_to_the_word_it_translates(visualizer, drawn, method):
    sources, outputs = (word_by_word.texts_of(ids) for ids in drawn)
    found = visualizer.compute_saliency(
        sources, continuation=outputs, method=method_of(method), per_token=True
    )
    right = [traced(each) == list(range(word_by_word.LENGTH)) for each in found]
    assert sum(right) >= TEXTS - 1


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_is_better_than_chance(visualizer, drawn, method):
    source, output = (word_by_word.texts_of(ids)[0] for ids in drawn)
    try:
        found = visualizer.compute_saliency(
            source, continuation=output, method=method_of(method), per_token=True
        )
    except UnsupportedModelError:
        assert method in READ_ATTENTION
        return
    assert np.mean(np.array(traced(found)) == np.arange(word_by_word.LENGTH)) >= 0.5  # by chance one of eight


def test_removing_a_word_of_the_source_changes_its_translation_alone(visualizer, drawn):
    source, output = (word_by_word.texts_of(ids)[0] for ids in drawn)
    found = visualizer.compute_saliency(
        source, continuation=output, method=method_of("leave_one_out"), per_token=True
    )
    scores = found.scores[: word_by_word.LENGTH, found.tokens.segments == 0]
    own = np.diag(scores)
    others = np.abs(scores - np.diag(own)).max(axis=1)
    assert (own > 10 * others).all()


def test_the_verdict_supports_a_true_map_and_no_permuted_one(visualizer, drawn):
    source, output = (word_by_word.texts_of(ids)[0] for ids in drawn)
    found = visualizer.compute_saliency(source, continuation=output, method="saliency", span=(4, 5))
    assert visualizer.evaluate(found).verdict == "supported"
    order = np.random.default_rng(0).permutation(found.scores.shape[1])
    permuted = replace(found, scores=found.scores[:, order], gaps=None)
    assert visualizer.evaluate(permuted).verdict != "supported"
