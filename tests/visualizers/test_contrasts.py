"""Why a token was written and not one of its likeliest alternatives: computed with the rest, and counted."""

import numpy as np
import pytest
from pass_counts import counted
from tiny_models import visualizer_of

from model_understanding import InputError, Report
from model_understanding.model.causality import is_causal
from model_understanding.show.payload.report import report_payload

PROMPT, CONTINUATION = "Once upon a", " time, in"
METHOD = {"method": "input_x_gradient"}
OPTIONS = {**METHOD, "attention": (), "show": False}


@pytest.fixture(scope="module")
def visualizer():
    return visualizer_of("llama")


@pytest.fixture(scope="module")
def report(visualizer) -> Report:
    return visualizer.analyze(PROMPT, CONTINUATION, alternatives=2, **OPTIONS)


def test_each_step_is_contrasted_with_its_likeliest_other_tokens(visualizer, report):
    generation, contrasts = report.generation, report.contrasts
    steps = len(generation.probabilities)
    assert len(contrasts.targets) == 2 * steps
    for step in range(steps):
        written = int(generation.tokens.ids[generation.prompt_length + step])
        likeliest = [int(other) for other in generation.top_ids[step] if other != written][:2]
        own = contrasts.targets[2 * step : 2 * step + 2]
        assert [target.against for target in own] == [(other,) for other in likeliest]
        assert {target.indices for target in own} == {(written,)}
    for rank in (0, 1):
        alone = visualizer.compute_saliency(
            PROMPT,
            target="continuation",
            continuation=CONTINUATION,
            per_token=True,
            against=[target.against[0] for target in contrasts.targets[rank::2]],
            quantity="logit",
            method="input_x_gradient",
        )
        np.testing.assert_allclose(contrasts.scores[rank::2], alone.scores, rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(contrasts.outputs[rank::2], alone.outputs, rtol=1e-5)
        assert contrasts.targets[rank::2] == alone.targets


def test_what_alternatives_cost_is_estimated_and_is_what_runs(visualizer):
    def run(alternatives: int) -> dict[str, int]:
        with counted(visualizer.model) as counts:
            visualizer.analyze(PROMPT, CONTINUATION, alternatives=alternatives, **OPTIONS)
        return counts

    def foretold(alternatives: int):
        return visualizer.estimate_analysis(PROMPT, CONTINUATION, alternatives=alternatives, **METHOD)

    assert is_causal(visualizer.runner.model)  # measured before anything is counted
    plain, more = run(0), run(3)
    before, after = foretold(0), foretold(3)
    for name in plain:
        assert more[name] - plain[name] == getattr(after, name) - getattr(before, name), name
    steps = before.targets - 1  # one row is the prompt's loss
    assert after.targets == before.targets + 3 * steps
    # The forwards do not grow with the alternatives, beyond the one that finds them.
    assert foretold(3).forwards == foretold(2).forwards


def test_one_contrast_is_found_by_text_or_id_and_survives_saving(report, tmp_path):
    target = report.contrasts.targets[3]
    found = report.contrast(1, target.against[0])
    assert found.targets == (target,)
    np.testing.assert_array_equal(found.scores[0], report.contrasts.scores[3])
    assert report.contrast(1, target.against_labels[0]).targets == (target,)
    back = Report.load(report.save(tmp_path / "report.json"))
    np.testing.assert_array_equal(back.contrasts.scores, report.contrasts.scores)
    with pytest.raises(InputError, match="no step"):
        report.contrast(99, 1)
    with pytest.raises(InputError, match="no contrast with -5"):
        report.contrast(1, -5)


def test_the_page_holds_them_last_by_step_and_id(report):
    payload = report_payload(report)
    held = payload["attributions"][payload["contrasts"]]
    assert payload["contrasts"] == len(report.attributions)
    assert [(one["step"], one["against"]) for one in held["targets"]] == [
        (row // 2, target.against[0]) for row, target in enumerate(report.contrasts.targets)
    ]
    code = "".join(held["python"])
    assert "alternatives=2" in code
    assert "report.contrast(" in code


def test_a_report_without_them_says_how_to_get_them(visualizer):
    plain = visualizer.analyze(PROMPT, CONTINUATION, **OPTIONS)
    assert plain.contrasts is None
    assert report_payload(plain)["contrasts"] == -1
    with pytest.raises(InputError) as raised:
        plain.contrast(0, 1)
    assert "alternatives=3" in str(raised.value)


@pytest.mark.parametrize("count", [-1, 21, True, 1.5])
def test_a_number_that_cannot_be_is_refused(visualizer, count):
    with pytest.raises(InputError, match="alternatives must be a whole number, from 0 to 20"):
        visualizer.analyze(PROMPT, CONTINUATION, alternatives=count, **OPTIONS)


def test_alternatives_of_another_target_are_refused(visualizer):
    with pytest.raises(InputError, match="Alternatives exist for the steps of a continuation"):
        visualizer.analyze(PROMPT, target="loss", alternatives=1, **OPTIONS)
