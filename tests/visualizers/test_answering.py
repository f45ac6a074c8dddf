"""The base of all visualizers whose models answer at once, whatever the kind of model."""

import inspect
from functools import partial

import numpy as np
import pytest
from tiny_models import PROBE, build, tokenizer_of, visualizer_of

from model_understanding import Failure, InputError, ModelVisualizer
from model_understanding.visualizers.answering import Explained, quantity_by_default

TEXTS = ["the film was wonderful", "a dull plot", "the plot was a bad idea", "a bad film"]
EXPLAINING = ("compute_saliency", "estimate_saliency", "score_heads", "evaluate", "analyze", "analyze_each")


@quantity_by_default("prob")
class OfProbabilities(ModelVisualizer):
    """A kind with another quantity."""


class OfTwoReadings(ModelVisualizer):
    """A kind that reads its input twice, forward and backward, and answers with the surer one."""

    def _encodings(self, text, output=None):
        return self._encode(text, output), self._encode(" ".join(reversed(text.split())))

    def _joined(self, text, encodings, answers):
        return max(answers, key=lambda answer: answer.probability)

    def _explained(self, text, encodings, answer, target, against, quantity):
        sure, other = encodings if answer.tokens is encodings[0].tokens[0] else encodings[::-1]
        return [
            Explained(encoding, self._targets_of(encoding, answer, target, against, quantity))
            for encoding in (sure, other)
        ]


def tiny(kind):
    return kind(model=build("bert"), tokenizer=tokenizer_of("bert"))


def test_a_kind_can_have_another_quantity_by_default():
    for name in EXPLAINING:
        parameters = inspect.signature(getattr(OfProbabilities, name)).parameters
        assert parameters["quantity"].default == "prob"
        usual = inspect.signature(getattr(ModelVisualizer, name)).parameters
        assert usual["quantity"].default == "logit"
        assert list(parameters) == list(usual)
    ours = tiny(OfProbabilities).compute_saliency(PROBE, method="saliency")
    expected = visualizer_of("bert").compute_saliency(PROBE, method="saliency", quantity="prob")
    assert ours.targets == expected.targets
    np.testing.assert_array_equal(ours.scores, expected.scores)
    given = tiny(OfProbabilities).compute_saliency(PROBE, method="saliency", quantity="logit")
    assert given.targets[0].quantity == "logit"


def test_a_function_needs_no_quantity_of_any_kind():
    def margin(outputs):
        return outputs.logits[0, 1] - outputs.logits[0, 0]

    for kind in (ModelVisualizer, OfProbabilities):
        assert (
            tiny(kind).compute_saliency(PROBE, method="saliency", target=margin).targets[0].name == "margin"
        )
    with pytest.raises(InputError, match="explained as it is"):
        tiny(OfProbabilities).compute_saliency(PROBE, target=margin, quantity="logit")


def test_several_readings_of_one_input_have_a_map_each_the_main_one_first():
    visualizer = tiny(OfTwoReadings)
    answers = visualizer.predict(TEXTS)
    usual = visualizer_of("bert")
    for text, answer, report in zip(
        TEXTS, answers, visualizer.analyze(TEXTS, method="saliency", evaluate=False), strict=True
    ):
        readings = [text, " ".join(reversed(text.split()))]
        sure, other = sorted(readings, key=lambda each: -usual.predict(each).probability)
        assert answer.tokens.texts == (sure,)
        assert [attribution.tokens.texts for attribution in report.attributions] == [(sure,), (other,)]
        assert report.attention[0].keys.texts == (sure,)
        for attribution, reading in zip(report.attributions, (sure, other), strict=True):
            expected = usual.compute_saliency(reading, method="saliency", target=answer.label)
            np.testing.assert_allclose(attribution.scores, expected.scores, rtol=2e-5, atol=1e-7)
        assert visualizer.compute_attention(text).keys.texts == (sure,)
        assert visualizer.compute_saliency(text, method="saliency").tokens.texts == (sure,)


def test_an_input_with_a_reading_that_fails_has_failed():
    visualizer = tiny(OfTwoReadings)
    reports = visualizer.analyze(["a film", "", TEXTS[0]], method="saliency", evaluate=False, errors="skip")
    assert [isinstance(report, Failure) for report in reports] == [False, True, False]


@pytest.mark.parametrize("name", ["compute_saliency", "analyze"])
def test_a_target_that_one_text_cannot_have_is_its_own_failure(name):
    explain = partial(getattr(ModelVisualizer("demo:sentiment"), name), method="saliency", errors="skip")
    first, second = explain(["A wonderful film.", "A dull film."], against="positive")
    assert isinstance(first, Failure)
    assert "The target and its contrast are both 'positive'" in first.message
    assert not isinstance(second, Failure)
    with pytest.raises(InputError, match="Unknown label 'nonsense'"):  # a fault of the request
        explain(["A wonderful film.", "A dull film."], target="nonsense")
