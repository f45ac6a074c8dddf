"""The examples of CONTRIBUTING.md work after the steps that it describes."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tiny_models

from model_understanding import BlackBoxVisualizer, registry

TEXT = Path(__file__).parents[1].joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"`src/(\S+)\.py`:\n\n```python\n(.*?)```.*?```python\n(.*?)```", TEXT, flags=re.DOTALL)
TABLES = (registry.METHODS, registry.METRICS)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the files and the lines of the registry."""
    for (path, code, line), table in zip(BLOCKS, TABLES, strict=True):
        module = ModuleType(path.replace("/", "."))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(code, module.__dict__)
        ((name, place),) = eval(f"{{{line}}}").items()
        assert place.partition(":")[0] == module.__name__
        monkeypatch.setitem(table.places, name, place)


def test_the_perturbation_method(added: None) -> None:
    visualizer = tiny_models.visualizer_of("bert")
    alone, removed = (
        visualizer.compute_saliency("A", method=method, target=1).scores
        for method in ("leave_one_in", "leave_one_out")
    )
    assert np.allclose(alone, removed)  # of a text of one token, both are the same
    assert alone.any()
    box = BlackBoxVisualizer(lambda texts: [float("good" in text) for text in texts])
    pairs = box.compute_saliency("A good film", method="leave_one_in").pairs()
    assert pairs == [("A", 0.0), ("good", 1.0), ("film", 0.0)]


def test_the_metric(added: None) -> None:
    visualizer = tiny_models.visualizer_of("bert")
    exact = visualizer.compute_saliency(tiny_models.TEXTS[1], method="leave_one_out", target=1, against=0)
    right, wrong = (
        visualizer.evaluate(attribution, metrics=["sign_agreement"]).named("sign_agreement")
        for attribution in (exact, replace(exact, scores=-exact.scores))
    )
    assert max(evaluation.value for evaluation in right) == 1.0
    assert min(evaluation.value for evaluation in wrong) == 0.0
