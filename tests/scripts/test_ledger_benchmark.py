"""benchmarks/ledger/table.py: what the published tables say of given rows."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "ledger"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARK)
    monkeypatch.delitem(sys.modules, "table", raising=False)
    return importlib.import_module("table")


def _pair(key: str, correlation: float) -> dict[str, Any]:
    parts = dict.fromkeys(("residual", "attention", "mlp"), correlation)
    gradients = {f"{part}_gradient": 0.5 for part in parts}
    row = {
        "part": "classifier",
        "key": key,
        "gap": 1e-5,
        "seconds": 0.1,
        "patching_seconds": 3.0,
        "routing": 0.0,
    }
    return {**row, **parts, **gradients}


def test_a_line_gives_median_mean_and_worst_and_leaves_out_what_has_no_pair(table: ModuleType) -> None:
    omitted = {"part": "classifier", "key": "c", "omitted": "other lengths"}
    page = table.tables([_pair("a", 0.9), _pair("b", 1.0), omitted])
    assert "| demo:sentiment | 2 | mlp | 0.950, 0.950, 0.900 (mean .93) | 0.500, 0.500, 0.500 |" in page
    assert "takes 30 times as long (goal 20)" in page


def test_missed_faults_and_refused_architectures_are_named(table: ModuleType) -> None:
    page = table.tables(
        [
            {"part": "faults", "key": "a", "refused": "no rule"},
            {"part": "faults", "key": "b", "error": 0.5},
            {"part": "architectures", "key": "x, sdpa", "gap": 1e-6},
            {"part": "architectures", "key": "y, sdpa", "refused": "does not pair"},
        ]
    )
    assert "2 planted faults" in page
    assert "1 are refused; missed: b." in page
    assert "Refused: y, sdpa: does not pair." in page
