"""Methods on a tagger whose labels hang on a trigger word elsewhere in the text."""

from dataclasses import replace

import numpy as np
import pytest

from planted import labeled_names
from planted.labeled_names import TRIGGERS
from planted.scoring import method_of

TEXTS, ENOUGH = 10, 9
METHODS = (
    *("saliency", "occlusion", "leave_one_out", "guided_ablation", "integrated_gradients"),
    *("shapley_sampling", "expected_gradients"),
)


@pytest.fixture(scope="module")
def drawn():
    return labeled_names.draw(np.random.default_rng(7), TEXTS, labeled_names.LENGTH)


@pytest.fixture(scope="module")
def visualizer():
    return labeled_names.visualizer()


def strongest(attribution, *, aside=()):
    """Return the ordinary token with the greatest score, the entity's own ones left out."""
    scores = np.where(attribution.tokens.special, -np.inf, attribution.scores[0])
    scores[list(aside)] = -np.inf
    return int(scores.argmax())


def test_the_model_has_learned_its_task():
    assert labeled_names.accuracy() == 1.0


def test_the_only_entity_is_the_name(visualizer, drawn):
    texts = labeled_names.texts_of(drawn)
    for text, tagging, name, trigger in zip(
        texts, visualizer.predict(texts), drawn.names, drawn.triggers, strict=True
    ):
        (entity,) = tagging.entities
        words = text.split()
        assert (entity.first, entity.last) == (name, name + 1)
        assert entity.text == f"{words[name - 1]} {words[name]}"
        assert TRIGGERS[entity.label] == words[trigger - 1]
        assert entity.probability > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_the_trigger_stands_first_of_all_words_around_the_name(visualizer, drawn, method):
    found = visualizer.compute_saliency(labeled_names.texts_of(drawn), method=method_of(method))
    tops = [strongest(each, aside=each.targets[0].positions) for each in found]
    assert sum(top == trigger for top, trigger in zip(tops, drawn.triggers, strict=True)) >= ENOUGH


@pytest.mark.parametrize("method", [method for method in METHODS if method != "saliency"])
def test_the_trigger_is_why_one_label_and_not_the_other(visualizer, drawn, method):
    texts, tops = labeled_names.texts_of(drawn), []
    for text, tagging in zip(texts, visualizer.predict(texts), strict=True):
        against = "ORG" if tagging.entities[0].label == "PER" else "PER"
        found = visualizer.compute_saliency(text, method=method_of(method), against=against)
        tops.append(strongest(found))
    assert sum(top == trigger for top, trigger in zip(tops, drawn.triggers, strict=True)) >= ENOUGH


def test_without_a_trigger_a_name_is_no_entity_and_still_explained(visualizer, drawn):
    words = labeled_names.texts_of(drawn)[0].split()
    words[drawn.triggers[0] - 1] = "word0"
    report = visualizer.analyze(" ".join(words), method="leave_one_out", show=False)
    assert report.answer.entities == ()
    name = int(drawn.names[0])
    assert set(report.answer.candidate.tokens) <= {name, name + 1}
    assert strongest(report.attributions[0]) in (name, name + 1)


@pytest.mark.parametrize("method", ["leave_one_out", "integrated_gradients"])
def test_the_verdict_supports_a_true_map_and_no_permuted_one(visualizer, drawn, method):
    text = labeled_names.texts_of(drawn)[0]
    found = visualizer.compute_saliency(text, method=method)
    assert visualizer.evaluate(found).verdict == "supported"
    order = np.random.default_rng(0).permutation(found.scores.shape[1])
    permuted = replace(found, scores=found.scores[:, order], gaps=None)
    assert visualizer.evaluate(permuted).verdict != "supported"
