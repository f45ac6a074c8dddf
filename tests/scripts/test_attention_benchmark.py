"""benchmarks/attention/table.py: what the published table says of given results."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "attention"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARK.parent)
    monkeypatch.syspath_prepend(BENCHMARK)
    for name in ("table", "rows"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("table")


def way(*seconds: float, megabytes: float = 100, **more: Any) -> dict[str, Any]:
    memory = {"peak_bytes": megabytes * 1e6, "held_bytes": 9e8}
    return {"version": "", "seconds": list(seconds), **memory, **more}


def result(row: str, ways: dict[str, Any]) -> dict[str, Any]:
    kept = {"rounds": 3, "threads": 1, "device": "cpu", "machine": "a machine", "date": "2026-01-02"}
    return {"row": row, **kept, "ways": ways}


def test_ratios_of_each_round_and_missed_goals_are_said(table: ModuleType) -> None:
    every = "mean of heads, every layer"
    ways = {
        "plain": way(1.0, 2.0, 4.0, megabytes=50),
        "eager": way(2.0, 4.0, 8.0, megabytes=400),
        every: way(1.2, 2.6, 5.6, megabytes=90, difference=1.2e-7),
    }
    page = table.table({"a": result("gpt2-1024", ways)})
    assert "### cpu: 3 rounds, 1 thread(s), a machine, 2026-01-02" in page
    assert (
        f"| 1,024 tokens, GPT-2-small size | {every} | 2.6 | **1.30 [1.20, 1.40] (goal 1.25) missed** "
        "| 0.65 [0.60, 0.70] (goal 0.85) | 90 MB; 0.11 (goal 0.25); 0.99 GB | 1e-07 |"
    ) in page


def test_a_way_that_did_not_run_is_in_the_table(table: ModuleType) -> None:
    ways = {"plain": way(1.0), "eager": way(2.0), "bertviz": {"error": "pip: no | such"}}
    page = table.table({"a": result("gpt2-256", ways)})
    assert "| bertviz | did not run: pip: no / such | – | – | – | – |" in page
    ways["bertviz"] = way(9.0, html_bytes=2.5e8)
    assert "| bertviz | 9; 250 MB of HTML |" in table.table({"a": result("gpt2-256", ways)})


def test_the_memory_of_the_overview_is_that_of_the_whole_process(table: ModuleType) -> None:
    ways = {"plain": way(10.0), "pooled overview": way(20.0, megabytes=3200, row_sums=[1.0, 1.0])}
    page = table.table({"a": result("overview-32768", ways)})
    assert "| 2.00 [2.00, 2.00] | – | 3200 MB; **4.10 GB (goal 4) missed** | – |" in page


def test_every_way_of_a_row_is_known(table: ModuleType) -> None:
    rows = importlib.import_module("rows")
    for row in table.ROWS:
        assert set(row.ways) <= set(rows.WAYS)
    for file, _, _ in rows.WAYS.values():
        assert (BENCHMARK / f"{file}.py").exists()
