"""``dataset``: what it says before, during and after a run, and how it ends."""

import json

import pytest

from model_understanding.cli.dataset import _summary_of_what_is_there


@pytest.fixture
def reviews(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text("review,stars\nA fine film.,5\n,3\nAwful.,1\n", encoding="utf-8")
    return str(path)


def test_a_run_says_its_columns_and_pace_and_counts_its_rows(command, reviews, tmp_path):
    out = tmp_path / "out"
    arguments = ("dataset", "demo:sentiment", reviews, "--out", str(out), "--format", "jsonl")
    done = command(*arguments, "--label-column", "stars")
    assert done.code == 3
    assert "Reading reviews.csv, text from 'review', label from 'stars': 3 rows, about" in done.err
    assert "1 of 3 rows failed; the column error says why." in done.err
    assert done.out.startswith("3 rows, 1 of them failed.")
    rows = [json.loads(line) for line in (out / "part-000000.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in rows] == ["positive", None, "negative"]
    assert [row["label"] for row in rows] == ["5", "3", "1"]
    said = " ".join(done.err.split())
    assert "Summary: counting words, testing words causally (at most 7,680 forward passes)" in said
    assert "evaluating a sample of 3 rows (at most 750)" in said
    assert {path.name for path in out.glob("summary.*")} == {"summary.html", "summary.json"}
    again = command(*arguments, "--label-column", "stars")
    assert again.code == 2
    assert "already holds this run" in again.err
    assert "--resume" in again.err
    resumed = command(*arguments, "--label-column", "stars", "--resume", "--json", "--no-summary")
    assert f"model-understanding summarize {out}" in resumed.err.replace("\n", "")
    assert resumed.code == 3
    assert json.loads(resumed.out) == {
        "folder": str(out),
        "rows": 3,
        "failed": 1,
        "skipped": 3,
        "parts": 1,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shard", "2"), "--shard is I/N"),
        (("--shard", "4/4"), "There is no shard 4 of 4"),
        (("--column", "text"), "reviews.csv has no column 'text' for text. Its columns are review, stars."),
        (("--method", "magic"), "magic"),
        (("--max-errors", "0"), "1 row failed, more than the 0 allowed"),
        (("--task", "masked-lm"), "explains classifiers and language models. Got masked-lm."),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(command, reviews, tmp_path, arguments, message):
    done = command(
        "dataset", "demo:sentiment", reviews, "--out", str(tmp_path / "out"), "--format", "jsonl", *arguments
    )
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_the_last_of_several_processes_summarizes(command, reviews, tmp_path):
    out = tmp_path / "out"
    arguments = ("dataset", "demo:sentiment", reviews, "--out", str(out), "--format", "jsonl")
    first = command(*arguments, "--rows-per-part", "2", "--shard", "1/2")
    assert first.code == 0
    assert f"model-understanding summarize {out}" in first.err.replace("\n", "")
    assert not (out / "summary.json").exists()
    command(*arguments, "--rows-per-part", "2", "--shard", "0/2")
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert (summary["rows"], summary["failed"]) == (3, 1)


def test_a_shard_says_what_is_missing_and_its_summary_says_so_first(command, tmp_path):
    data = tmp_path / "reviews.txt"
    data.write_text("A fine film.\nAn awful film.\n" * 15, encoding="utf-8")
    out = tmp_path / "out"
    arguments = ("dataset", "demo:sentiment", str(data), "--out", str(out), "--format", "jsonl")
    arguments = (*arguments, "--rows-per-part", "10")
    first = command(*arguments, "--shard", "0/2")
    assert "Still missing: 1 part of --shard 1/2." in first.err
    summary = command("summarize", str(out), "--no-causal", "--sample", "0")
    assert summary.out.startswith("Only 20 of 30 rows are here: 1 part is missing. ")
    assert "Only 20 of 30 rows are here" in (out / "summary.html").read_text(encoding="utf-8")
    again = command(*arguments, "--shard", "0/2", "--resume")
    assert again.out.startswith("Nothing left to do: all 20 rows are there.")
    second = command(*arguments, "--shard", "1/2", "--no-summary")
    assert "issing" not in second.err


def test_a_run_without_any_explained_row_advises_no_summary(command, tmp_path):
    texts = tmp_path / "blank.csv"
    texts.write_text("text,label\n,positive\n,negative\n")
    done = command("dataset", "demo:sentiment", str(texts), "--out", str(tmp_path / "out"))
    assert done.code == 3
    assert "2 of 2 rows failed" in done.err
    assert "summarize" not in done.err


def test_a_run_that_is_stopped_says_how_to_summarize_what_is_there(command, tmp_path):
    data = tmp_path / "reviews.csv"
    data.write_text("text,id\n" + "A fine film.,1\n" * 20 + ",2\n" * 20, encoding="utf-8")
    arguments = ("dataset", "demo:sentiment", str(data), "--format", "jsonl", "--rows-per-part", "10")
    out = tmp_path / "stopped"
    stopped = command(*arguments, "--out", str(out), "--max-errors", "5")
    assert stopped.code == 2
    assert f"To summarize it: model-understanding summarize {out}" in stopped.err.replace("\n", "")
    assert not (out / "summary.json").exists()
    assert command("summarize", str(out), "--no-causal", "--sample", "0").code == 0


def test_ctrl_c_leaves_the_parts_and_says_how_to_summarize_them(tmp_path, capsys):
    def stopped_after(*parts):
        with _summary_of_what_is_there(tmp_path):
            for part in parts:
                (tmp_path / part).touch()
            raise KeyboardInterrupt

    (tmp_path / "part-00000000.jsonl").touch()
    with pytest.raises(KeyboardInterrupt):
        stopped_after("part-00000001.jsonl")
    assert f"model-understanding summarize {tmp_path}" in capsys.readouterr().err.replace("\n", "")
    with pytest.raises(KeyboardInterrupt):
        stopped_after()
    assert "summarize" not in capsys.readouterr().err
