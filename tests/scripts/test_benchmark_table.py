"""benchmarks/attribution/table.py: what the published table says of given rows."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "attribution"


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARK.parent)
    monkeypatch.syspath_prepend(BENCHMARK)
    for name in ("table", "tasks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("table")


def way(*seconds: float, megabytes: float, **more: Any) -> dict[str, Any]:
    return {
        "seconds": list(seconds),
        "peak_megabytes": megabytes,
        "version": "1.0",
        "share": {},
        "agreement": 1.0,
        "gap": None,
        **more,
    }


def row(**ways: dict[str, Any]) -> dict[str, Any]:
    return {
        "task": "classifier-saliency-64",
        "model": "bert-base",
        "rounds": 3,
        "threads": 1,
        "device": "cpu",
        "machine": "a machine",
        "date": "2026-01-02",
        "ways": {name.replace("_", "-"): content for name, content in ways.items()},
    }


def measured_row() -> dict[str, Any]:
    return row(
        ours=way(2.0, 3.0, 10.0, megabytes=120),
        floor=way(2.0, 2.0, 8.0, megabytes=100, agreement=None),
        captum=way(4.0, 4.0, 4.0, megabytes=60),
        interpreto=way(1.0, 1.0, 1.0, megabytes=10, agreement=0.5),
        ferret_xai={"error": "ImportError: no | <module>"},
    )


def test_ratios_are_taken_round_by_round(table: ModuleType) -> None:
    assert table.ratios(measured_row(), "floor") == [1.0, 1.25, 1.5]


def test_a_line_names_the_fastest_right_peer_and_every_missed_goal(table: ModuleType) -> None:
    task = next(task for task in table.TASKS if task.key == "classifier-saliency-64")
    assert table.main_line(measured_row(), task) == (
        "| classifier saliency, 64 tokens, BERT-base size | 3 "
        "| **1.25 [1.00, 1.50] (goal 1.1) missed** "
        "| captum 0.75 [0.50, 2.50] (goal 1) "
        "| 120 MB: 1.20 (goal 1.2); **2.00 (goal 1) missed** |"
    )


def test_no_way_is_hidden(table: ModuleType) -> None:
    page = table.tables({"a": measured_row()})
    assert "| interpreto 1.0 | 1 | 3.00 | 10 | 0.5000 **incorrect** | – |" in page
    assert "| ferret-xai | did not run: ImportError: no / ‹module› | – | – | – | – |" in page
    assert "3 rounds, 1 thread(s), a machine, 2026-01-02" in page


def test_a_share_says_what_was_run(table: ModuleType) -> None:
    task = next(task for task in table.TASKS if task.key == "each-token-path-gpt2")
    shared = row(
        ours=way(10.0, megabytes=1),
        captum=way(40.0, megabytes=1, share={"nodes": 2, "times": 10}),
    )
    assert table.way_line(shared, task, "captum") == (
        "| each-token-path-gpt2 | captum 1.0 | 40 (2 of 20 nodes, × 10) | 0.25 | 1 | 1.0000 | – |"
    )


def test_a_failure_of_ours_is_in_the_table(table: ModuleType) -> None:
    task = next(task for task in table.TASKS if task.key == "classifier-saliency-64")
    failed = row(ours={"error": "ValueError: no"}, floor=way(1.0, megabytes=1))
    assert "failed: ValueError: no" in table.main_line(failed, task)
    assert "did not run: ValueError: no" in table.tables({"a": failed})


def test_only_what_stands_between_the_markers_is_replaced(table: ModuleType) -> None:
    page = f"before\n{table.START}\nold\n{table.END}\nafter\n"
    assert table.put_between_markers(page, "new") == (f"before\n{table.START}\n\nnew\n\n{table.END}\nafter\n")


def test_rows_survive_a_file_and_stand_in_the_tasks_order(table: ModuleType, tmp_path: Path) -> None:
    later, first = {**row(), "task": "occlusion-256"}, row()
    path = tmp_path / "rows.jsonl"
    table.write_rows(path, {table.row_key(found): found for found in (later, first)})
    assert list(table.read_rows(path).values()) == [first, later]


def test_every_peer_of_a_task_has_its_files(table: ModuleType) -> None:
    named = {peer for task in table.TASKS for peer in task.peers}
    assert named == set(table.PEERS)
    for peer in named:
        assert (BENCHMARK / "peers" / f"{peer}.py").exists()
        assert f"{peer}==" in (BENCHMARK / "peers" / f"{peer}.txt").read_text(encoding="utf-8")
