"""``summarize``: what it prints of a run, what it writes, and two runs beside each other."""

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    from model_understanding import explain_dataset

    good, bad = "A wonderful film and a good story.", "An awful film and a bad story."
    data = [{"text": text, "label": text == good} for text in (good, bad) for _ in range(12)]
    folder = tmp_path_factory.mktemp("run")
    return str(explain_dataset("demo:sentiment", data, folder, form="jsonl").folder)


def test_a_summary_is_printed_and_written(command, explained):
    done = command("summarize", explained, "--no-causal", "--sample", "0")
    assert done.code == 0
    assert done.out.startswith("All of 24 answers are right.")
    assert "Words by importance (correlation)" in done.out
    assert "Words tested causally" not in done.out
    assert "wonderful" in done.out
    assert "summary.html" in done.err
    again = command("summarize", explained, "--no-causal", "--sample", "0", "--json")
    assert json.loads(again.out)["type"] == "DatasetSummary"
    saved = json.loads((Path(explained) / "summary.json").read_text(encoding="utf-8"))
    assert saved == json.loads(again.out)


def test_two_runs_are_compared(command, explained):
    done = command("summarize", explained, "--compare", explained)
    assert done.code == 0
    assert "All 24 answers stayed the same; no word changed its role." in done.out


def test_what_is_no_run_is_refused(command, tmp_path):
    done = command("summarize", str(tmp_path))
    assert done.code == 2
    assert "is not the folder of a run" in done.err
