"""``explain --from DIR --id ID`` opens a row of a run."""

import json

import numpy as np
import pytest

from model_understanding import Report, explain_dataset


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    data = [
        {"id": "fine", "text": "A fine film."},
        {"id": "dull", "text": "A dull one."},
        {"id": "none", "text": ""},
    ]
    return explain_dataset("demo:sentiment", data, folder, form="jsonl", method="saliency")


def stored_scores(run, row):
    return json.loads(run.parts[0].read_text(encoding="utf-8").splitlines()[row])["scores"]


def test_all_outputs_of_explain(command, run, tmp_path):
    outs = [tmp_path / name for name in ("page.html", "report.json", "figure.png", "reports.jsonl")]
    options = [option for out in outs for option in ("--out", str(out))]
    done = command("explain", "--from", str(run.folder), "--id", "dull", "--no-evaluate", *options)
    assert done.code == 0
    assert "negative" in done.out
    assert "dull" in done.out
    assert all(out.stat().st_size > 100 for out in outs)
    report = Report.load(tmp_path / "report.json")
    assert report.attributions[0].scores[0].tolist() == np.float32(stored_scores(run, 1)).tolist()
    assert len(report.attention) > 1  # as for any page


def test_json_and_words_of_a_row_by_its_place(command, run):
    done = command(
        "explain", "--from", str(run.folder), "--row", "0", "--json", "--scores-only", "--level", "word"
    )
    assert done.code == 0
    report = Report.from_json(done.out)
    assert "film" in report.attributions[0].tokens.surfaces()
    assert not report.attention


def test_the_model_may_be_named(command, run):
    done = command("explain", "demo:sentiment", "--from", str(run.folder), "--row", "0", "--scores-only")
    assert done.code == 0
    assert "positive" in done.out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--id", "fine"], "--id needs --from", "dataset --out"),
        (["--row", "1"], "--row needs --from", "dataset --out"),
        ([], "Missing argument 'MODEL'", "explain --help"),
        (["--from", "{run}"], "--from needs the row", "--row 0"),
        (["--from", "{run}", "--id", "fine", "--row", "0"], "--from needs the row", "--row 0"),
        (["--from", "{run}", "--id", "fin"], "has the id 'fin'", "Did you mean 'fine'?"),
        (
            ["--from", "{run}", "--id", "none"],
            "was not explained. The text is empty",
            "Rows without an error",
        ),
        (["--from", "{run}", "--row", "3"], "There is no row 3", "3 rows"),
        (
            ["--from", "{run}", "--row", "0", "-m", "gim", "--target", "1"],
            "--method, --target cannot",
            "Leave",
        ),
        (
            ["demo:sentiment", "A text.", "--from", "{run}", "--row", "0"],
            "TEXT cannot be combined",
            "Leave it",
        ),
        (["--from", "{run}/nowhere", "--row", "0"], "is not the folder of a run", "dataset --out"),
    ],
)
def test_mistakes(command, run, arguments, message, hint):
    done = command("explain", *(argument.replace("{run}", str(run.folder)) for argument in arguments))
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert hint in " ".join(done.err.split())


@pytest.mark.parametrize(("right", "verdict"), [(True, "right"), (False, "wrong")])
def test_the_first_line_names_the_row_its_answer_and_its_label(command, tmp_path, right, verdict):
    label = "positive" if right else "negative"
    data = [{"id": "film-09", "text": "A fine film.", "label": label}]
    run = explain_dataset("demo:sentiment", data, tmp_path / "run", form="jsonl", method="saliency")
    stored = json.loads(run.parts[0].read_text(encoding="utf-8").splitlines()[0])
    line = (
        f"film-09 · answered positive {100 * max(stored['probabilities']):.1f} %, labeled {label} ({verdict})"
    )
    chosen = ("explain", "--from", str(run.folder), "--row", "0", "--scores-only")
    assert command(*chosen).out.splitlines()[0] == line
    done = command(*chosen, "--json")
    assert line in done.err
    assert Report.from_json(done.out).prediction.label == "positive"


def test_a_row_without_a_label_has_its_answer_only(command, run):
    done = command("explain", "--from", str(run.folder), "--id", "dull", "--scores-only")
    assert done.out.splitlines()[0].startswith("dull · answered negative ")
    assert "labeled" not in done.out.splitlines()[0]
