"""Leave one out is occlusion by token."""

import numpy as np
import pytest
from tiny_models import PROBE, visualizer_of

from model_understanding import InputError, LeaveOneOut, Occlusion


@pytest.mark.parametrize("replacement", ["mask", "pad", "mean", "attention"])
def test_it_is_occlusion_by_token(replacement):
    visualizer = visualizer_of("bert")
    one = visualizer.compute_saliency(PROBE, target="all", method=LeaveOneOut(replacement=replacement))
    other = visualizer.compute_saliency(PROBE, target="all", method=Occlusion(replacement=replacement))
    assert np.array_equal(one.scores, other.scores)
    assert one.method == "leave_one_out"


def test_replacements_differ():
    visualizer = visualizer_of("bert")
    found = {
        tuple(
            visualizer.compute_saliency(PROBE, target=0, method=LeaveOneOut(replacement=r)).scores[0].tolist()
        )
        for r in ("mask", "pad", "mean", "attention")
    }
    assert len(found) == 4


def test_an_unknown_replacement_is_told():
    with pytest.raises(InputError, match="Replacement 'delete' is unknown"):
        LeaveOneOut(replacement="delete")
