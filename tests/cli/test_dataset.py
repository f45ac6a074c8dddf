"""``dataset``: what it says before, during and after a run, and how it ends."""

import json

import pytest


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
    again = command(*arguments, "--label-column", "stars")
    assert again.code == 2
    assert "already holds this run" in again.err
    assert "--resume" in again.err
    resumed = command(*arguments, "--label-column", "stars", "--resume", "--json")
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
