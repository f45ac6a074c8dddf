"""A report stands without a part of it, and says which one and why."""

import numpy as np
import pytest
from tiny_models import PROBE, visualizer_of

from model_understanding import InputError, StoppedError, UnsupportedModelError
from model_understanding.lens import read
from model_understanding.visualizers import answering, language_model
from model_understanding.visualizers.report_parts import ReportParts

ERRORS = [
    (UnsupportedModelError("Not this one.", hint="None."), "Not this one."),
    (IndexError("index 16 is out of bounds"), "IndexError: index 16 is out of bounds"),
    (ZeroDivisionError(), "ZeroDivisionError"),
]
PARTS = [
    ("attention_for_report", "attention", lambda report: report.attention == ()),
    ("head_scores_for_report", "head scores", lambda report: report.heads is None),
    ("evaluations_for_report", "evaluation", lambda report: report.evaluations == ()),
]


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


@pytest.mark.parametrize(("error", "reason"), ERRORS)
@pytest.mark.parametrize(("function", "name", "is_missing"), PARTS)
def test_a_classifiers_report(monkeypatch, error, reason, function, name, is_missing):
    monkeypatch.setattr(answering, function, failing(error))
    report = visualizer_of("bert").analyze(PROBE, method="saliency", show=False)
    assert is_missing(report)
    assert f"This report has no {name}: {reason}" in report.provenance.cautions
    assert f"This report has no {name}" in report.to_html()


@pytest.mark.parametrize(
    ("function", "name", "is_missing"),
    [
        *PARTS,
        ("contrast_targets", "contrasts", lambda report: report.contrasts is None),
    ],
)
def test_a_language_models_report(monkeypatch, function, name, is_missing):
    error, reason = ERRORS[1]
    monkeypatch.setattr(language_model, function, failing(error))
    report = visualizer_of("gpt2").analyze(PROBE, " a", method="saliency", alternatives=1, show=False)
    assert is_missing(report)
    assert f"This report has no {name}: {reason}" in report.provenance.cautions
    assert len(report.attributions) == 2


@pytest.mark.parametrize(("error", "reason"), ERRORS)
def test_a_report_without_a_lens_still_has_its_answer(monkeypatch, error, reason):
    visualizer = visualizer_of("gpt2")
    expected = visualizer.analyze(PROBE, " a", method="saliency", evaluate=False, show=False)
    monkeypatch.setattr(read, "run_layers", failing(error))
    report = visualizer.analyze(PROBE, " a", method="saliency", evaluate=False, show=False)
    assert report.lens is None
    assert f"This report has no logit lens: {reason}" in report.provenance.cautions
    assert np.array_equal(report.generation.probabilities, expected.generation.probabilities)


def test_what_the_caller_got_wrong_or_stopped_is_raised():
    with pytest.raises(InputError, match="rolout"):
        visualizer_of("bert").analyze(PROBE, method="saliency", attention=["rolout"], show=False)
    with pytest.raises(InputError, match="nosuch"):
        visualizer_of("bert").analyze(PROBE, method="saliency", metrics=["nosuch"], show=False)
    with pytest.raises(StoppedError):
        ReportParts().get("lens", failing(StoppedError("Stopped.", hint="Run it again.")), None)


def test_parts_that_are_missing_for_one_reason_share_a_warning():
    parts = ReportParts()
    for name in ("attention", "head scores"):
        assert parts.get(name, failing(ERRORS[0][0]), ()) == ()
    assert parts.get("logit lens", failing(ERRORS[1][0]), None) is None
    assert parts.cautions == (
        "This report has no attention and no head scores: Not this one.",
        "This report has no logit lens: IndexError: index 16 is out of bounds",
    )
    assert parts.get("logit lens", lambda: 3, None) == 3
    assert not parts.lacks("logit lens")
