"""``summarize``: what it prints of a run, what it writes, and two runs beside each other."""

import json
from pathlib import Path

import pytest

from model_understanding.cli.progress import Steps
from model_understanding.cli.summarize import shown_in


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    from model_understanding import explain_dataset

    subjects = ["film", "story", "plot", "cast", "scene", "end"]
    data = [
        {"text": f"{a} {subject} and {b} one.", "label": label}
        for a, b, label in (("A wonderful", "a good", True), ("An awful", "a bad", False))
        for subject in subjects
        for _ in range(2)
    ]
    folder = tmp_path_factory.mktemp("run")
    return str(explain_dataset("demo:sentiment", data, folder, form="jsonl").folder)


def test_a_summary_is_printed_and_written(command, explained):
    done = command("summarize", explained, "--no-causal", "--sample", "0")
    assert done.code == 0
    assert done.out.startswith("All 24 answers are right.")
    assert "Words by importance" in done.out
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
    assert len(done.out.splitlines()) <= 6


def test_what_a_comparison_does_not_use_is_refused(command, explained):
    done = command("summarize", explained, "--compare", explained, "--sample", "9", "--no-causal")
    assert done.code == 2
    assert "--causal, --sample cannot be combined with it" in done.err


def test_another_kind_of_model_is_refused_with_the_name_of_the_run_s_own(command, explained):
    done = command("summarize", explained, "--model", "demo:minilm")
    assert done.code == 2
    assert "Pass the run's model, 'demo:sentiment', as it was then." in done.err


def test_what_takes_long_says_what_it_takes_and_how_long(capsys):
    clock = iter([0.0, 6.0, 7.0, 8.0])
    with pytest.MonkeyPatch.context() as patch, Steps() as steps:
        patch.setattr("model_understanding.cli.summarize.time.monotonic", lambda: next(clock))
        progress = shown_in(steps)
        for done in (0, 500, 600):
            progress("Testing words causally", done, 2000)
        progress("Counting words", 0, 1000)
    shown = capsys.readouterr().err
    assert "Testing words causally: at most 2,000 texts.\n" in shown
    assert shown.count("500 of 2,000, about 18 s left.") == 1
    assert "600" not in shown
    assert "Counting" not in shown


def test_what_is_no_run_is_refused(command, tmp_path):
    done = command("summarize", str(tmp_path))
    assert done.code == 2
    assert "is not the folder of a run" in done.err
