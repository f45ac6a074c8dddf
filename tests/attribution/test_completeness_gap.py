"""A gap between the scores' sum and the target's change is shown with every map, and warned of above 10 %."""

import html
import io
import re

import loaded_demos
import numpy as np
import pytest
from rich.console import Console
from tiny_models import PROBE, visualizer_of

from model_understanding import ModelVisualizer
from model_understanding.attribution.expected_gradients import ExpectedGradients
from model_understanding.attribution.integrated_gradients import IntegratedGradients
from model_understanding.attribution.shapley_sampling import ShapleySampling
from model_understanding.show.figures import saliency
from model_understanding.show.shared.words import gap_text
from model_understanding.show.terminal.report import print_attribution

COARSE = IntegratedGradients(baseline="zero", nodes=1, max_nodes=1, tolerance=100.0)


def gap_by_hand(found, target=0):
    change = float(found.outputs[target]) - float(found.baseline_outputs[target])
    return abs(float(found.scores[target].astype(float).sum()) - change) / abs(change)


def shown(found):
    output = io.StringIO()
    print_attribution(found, Console(file=output, width=300))
    return output.getvalue()


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "gpt2", "llama"])
@pytest.mark.parametrize("method", [COARSE, ExpectedGradients(samples=2)], ids=["path", "samples"])
def test_a_large_gap_is_warned_of_with_its_size(name, method):
    visualizer = visualizer_of(name)
    options = {} if isinstance(visualizer, ModelVisualizer) else {"target": "next"}
    found = visualizer.compute_saliency(PROBE, method=method, **options)
    gap = gap_by_hand(found)
    assert found.relative_gaps()[0] == pytest.approx(gap, rel=1e-3)
    warned = [caution for caution in found.provenance.cautions if caution.startswith("Completeness gap of")]
    assert bool(warned) == (gap > 0.1)
    assert all(f"{100 * gap:.1f} %" in caution for caution in warned)
    assert not any(re.search(r"-\d", caution) for caution in warned)  # numbers have a true minus sign
    assert gap_text(found) in shown(found)
    assert f"completeness gap {100 * gap:.1f} %" == gap_text(found) or gap < 0.001


def test_the_method_that_says_more_itself_is_not_repeated():
    found = visualizer_of("bert").compute_saliency(
        PROBE, method=IntegratedGradients(baseline="zero", nodes=1, max_nodes=1)
    )
    assert gap_by_hand(found) > 0.1
    assert [caution.partition(":")[0] for caution in found.provenance.cautions] == [
        "The integral did not converge"
    ]


def test_each_target_of_several_is_counted():
    found = visualizer_of("bert").compute_saliency(PROBE, target="all", method=COARSE)
    gaps = [gap_by_hand(found, target) for target in range(len(found.targets))]
    above = sum(gap > 0.1 for gap in gaps)
    assert above
    name = found.targets[int(np.argmax(gaps))].description()
    counted = f" for {above} of {len(gaps)} targets (largest: {name}): the scores sum to"
    assert counted in found.provenance.cautions[-1]
    assert gap_text(found) == f"completeness gap up to {100 * max(gaps):.1f} %"


def test_a_warning_has_the_gap_of_the_line_and_names_its_target():
    method = IntegratedGradients(baseline="zero", nodes=1, max_nodes=1)
    found = visualizer_of("bert").compute_saliency(PROBE, target="all", method=method)
    worst = int(found.relative_gaps().argmax())
    (caution,) = found.provenance.cautions
    share = gap_text(found).removeprefix("completeness gap up to ")
    assert f"the completeness gap is {share} of the target's change" in caution
    assert f"({found.targets[worst].description()}; tolerance: 1.0 %)" in caution


def test_the_gap_of_the_worst_path_is_not_called_that_of_the_map():
    method = IntegratedGradients(baseline=("zero", "mean"), nodes=1, max_nodes=1)
    found = visualizer_of("bert").compute_saliency(PROBE, target=0, method=method)
    caution = found.provenance.cautions[0]
    assert caution.startswith("The integral did not converge on ")
    assert "of 2 paths: after 1 nodes, the sum of the scores on the worst path is off by" in caution
    assert "completeness gap" not in caution


def test_methods_without_a_baseline_have_no_gap():
    found = visualizer_of("bert").compute_saliency(PROBE, method="input_x_gradient")
    assert found.relative_gaps() is None
    assert "gap" not in shown(found)


def test_the_default_of_classifiers_adds_up_or_says_so(capsys):
    report = loaded_demos.sentiment().analyze("You will not be disappointed.", evaluate=False)
    (found,) = report.attributions
    printed = capsys.readouterr().out
    assert gap_by_hand(found) <= 0.1 or any("Completeness gap" in one for one in found.provenance.cautions)
    assert gap_text(found) in " ".join(printed.split())
    assert html.escape(gap_text(found)) in report.to_html()
    panel = saliency.saliency_panel(found, 0, "character", True, saliency.palette("light"))
    assert panel.top > 0


def test_intervals_of_two_pairs_of_orders_are_wide():
    found = visualizer_of("bert").compute_saliency(PROBE, method=ShapleySampling(samples=2), target=0)
    assert found.sample_counts.tolist() == [2]
    np.testing.assert_allclose(found.intervals(), 12.7062 * found.standard_errors, rtol=1e-4)
    widest = f"95 % intervals are up to ±{12.7062 * found.standard_errors.max():.2g} (2 pairs of orders)"
    assert widest in found.provenance.cautions[-1]
    assert "± 95 %" in shown(found)
    np.testing.assert_allclose(found.row(0).intervals(), found.intervals())
