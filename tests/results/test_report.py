"""Reports on disk: whole or not at all, and readable without torch."""

import contextlib
import csv
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import hard_results as made
import numpy as np
import pytest
from hard_results import same
from sample_results import generation

from model_understanding import AttentionMap, Attribution, InputError, Report
from model_understanding.results.files import write_atomically

HINT = "Pass a file that Report.save('x.json') or Report.save('x.npz') wrote."


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_report_holds_one_answer():
    for fields, message in (
        ({}, "A report needs a prediction, a generation or another result about a text."),
        (
            {"prediction": made.prediction(), "generation": made.generation()},
            "A report has one of prediction, generation and answer, not several.",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{message}$"):
            Report(**fields)
    assert made.report().texts == made.prediction().tokens.texts
    assert Report(generation=made.generation()).texts == ("a b c",)


@pytest.mark.parametrize("suffix", [".json", ".npz", ".JSON"])
def test_save_and_load(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    assert made.report().save(path) == path
    assert same(Report.load(path), made.report())
    assert same(Report.load(str(path)), made.report())


def test_half_a_character_survives_saving(tmp_path):
    report = replace(made.report(), attributions=(Attribution.from_arrays(["a\ud83d"], [1.0]),))
    for suffix in (".json", ".npz"):
        assert same(Report.load(report.save(tmp_path / f"x{suffix}")), report)


def test_an_archive_holds_the_arrays(tmp_path):
    made.report().save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
        assert arrays["scores_0"].tobytes() == made.attribution().scores.tobytes()
        assert arrays["attention_0"].tobytes() == made.attention().weights.tobytes()


def test_a_table_runs_no_formula(tmp_path):
    tokens = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "fine", "a=b", 'quo"te', "com,ma"]
    tokens += ["＝1", "＋1", "－1", "＠x"]
    attribution = Attribution.from_arrays(tokens, range(len(tokens)), labels=["=cmd"], method="=m")
    path = replace(made.report(), attributions=(attribution,)).save(tmp_path / "x.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["token"].lstrip("\t") for row in rows] == [token.lstrip("\t") for token in tokens]
    for row in rows:
        for name in ("token", "piece", "target", "method"):
            assert row[name][:1] not in tuple("=+-@\r＝＋－＠")
    assert [float(row["score"]) for row in rows] == list(range(len(tokens)))
    with pytest.raises(InputError) as caught:
        Report(prediction=made.prediction()).save(tmp_path / "y.csv")
    assert str(caught.value) == "The report has no attribution. Save it as .json or .html instead."
    assert names_in(tmp_path) == ["x.csv"]


@pytest.mark.parametrize(("name", "suffix"), [("x", "missing"), ("x.exe", ".exe"), (".json", "missing")])
def test_a_suffix_chooses_the_format(tmp_path, name, suffix):
    with pytest.raises(InputError) as caught:
        made.report().save(tmp_path / name)
    assert str(caught.value) == (
        f"Cannot save '{name}': its suffix is {suffix}. "
        "Use one of .html, .png, .svg, .pdf, .json, .csv, .npz."
    )


def test_folders_are_made_and_home_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert made.report().save("~/a/b/x.json") == tmp_path / "a/b/x.json"
    assert same(Report.load("~/a/b/x.json"), made.report())
    assert names_in(tmp_path) == ["a"]


@pytest.mark.parametrize("suffix", [".html", ".png", ".json", ".csv", ".npz"])
def test_a_failing_renderer_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_text("old")

    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr(Report, "_bytes", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        made.report().save(path)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == [path.name]


def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(InputError) as caught:
        made.report().save(path)
    assert str(caught.value) == (f"Cannot write {path}: No space left on device. Save to another path.")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["x.json"]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.json").mkdir()
    for path, reason in (
        (tmp_path / "file" / "x.json", "File exists"),
        (tmp_path / "folder.json", "Is a directory"),
        (tmp_path / ("x" * 300 + ".json"), "File name too long"),
    ):
        with pytest.raises(InputError) as caught:
            made.report().save(path)
        assert str(caught.value) == f"Cannot write {path}: {reason}. Save to another path."
    with pytest.raises(InputError, match="embedded null byte"):
        made.report().save(tmp_path / "a\0.json")
    assert names_in(tmp_path) == ["file", "folder.json"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        made.report().save(tmp_path / "x.json")


def test_a_file_is_as_readable_as_others_are(tmp_path):
    write_atomically(tmp_path / "x", b"whole")
    (tmp_path / "y").write_bytes(b"")
    assert (tmp_path / "x").read_bytes() == b"whole"
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_files_that_are_no_reports(tmp_path):
    whole = made.report().save(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "other.npz", scores=1)
    np.savez(tmp_path / "objects.npz", report=np.array([Report], dtype=object))
    (tmp_path / "picture.json").write_bytes(b"\x89PNG")
    for name, reason in (
        ("missing.json", "No such file or directory"),
        ("missing.npz", "No such file or directory"),
        ("", "Is a directory"),
        ("half.npz", "File is not a zip file"),
        ("empty.npz", "File is not a zip file"),
        ("other.npz", "There is no item named 'report.npy' in the archive"),
        ("objects.npz", "Object arrays cannot be loaded when allow_pickle=False"),
        ("picture.json", "'utf-8' codec can't decode byte 0x89 in position 0: invalid start byte"),
    ):
        path = tmp_path / name
        with pytest.raises(InputError) as caught:
            Report.load(path)
        assert str(caught.value) == f"Cannot read a report from {path}: {reason}. {HINT}"
    for place in range(40, len(whole) // 2, 97):
        broken = bytearray(whole)
        broken[place] ^= 255
        (tmp_path / "broken.npz").write_bytes(broken)
        with contextlib.suppress(InputError):
            assert isinstance(Report.load(tmp_path / "broken.npz"), Report)


def array_header(dtype, shape):
    written = io.BytesIO()
    fields = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(written, fields)
    return written.getvalue()


@pytest.mark.parametrize("name", ["report", "attention_0"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array_header("<f8", (10**12,)), "announces 8000000000000 bytes and has 0"),
        (array_header("|u1", (10,)) + bytes(1000), "announces 10 bytes and has 1000"),
        (array_header("|u1", (64 << 20,)) + bytes(64 << 20), "unpacks to"),
    ],
    ids=["too little", "too much", "swollen"],
)
def test_an_archive_made_to_take_memory_is_refused(tmp_path, name, content, message):
    whole, bad = made.report().save(tmp_path / "whole.npz"), tmp_path / "bad.npz"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            target.writestr(entry, content if entry == f"{name}.npy" else source.read(entry))
    with pytest.raises(InputError, match=message):
        Report.load(bad)


def test_a_file_holds_large_arrays_in_few_bytes(tmp_path):
    numbers = np.random.default_rng(0)
    weights = numbers.dirichlet(np.full(40, 0.2), (4, 4, 40)).astype(np.float32)
    whole = replace(
        made.report(),
        attention=(AttentionMap.from_arrays(weights, [f"w{i}" for i in range(40)]),),
        attributions=(Attribution.from_arrays(["a"] * 50, numbers.normal(size=(100, 50))),),
    )
    file = whole.save(tmp_path / "report.json")
    assert file.stat().st_size < len(whole.to_json()) / 3
    again = Report.load(file)
    assert np.abs(again.attention[0].weights - weights).max() <= weights.max() / 16384 * 1.01
    np.testing.assert_array_equal(again.attributions[0].scores, whole.attributions[0].scores)
    assert again.save(tmp_path / "again.json").read_bytes() == file.read_bytes()
    exact = Report.load(whole.save(tmp_path / "report.npz", exact=True))
    assert exact.to_json() == whole.to_json()


def test_an_archive_of_an_earlier_version_is_loaded(tmp_path):
    np.savez(tmp_path / "old.npz", report=np.array(made.report().to_json()))
    assert Report.load(tmp_path / "old.npz").to_json() == made.report().to_json()


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["transformers"] = None
from pathlib import Path
from model_understanding import Report
report = Report.load(sys.argv[1])
for suffix in ("html", "png", "svg", "pdf", "csv", "npz", "json"):
    report.save(Path(sys.argv[1]).with_suffix("." + suffix))
report.show()
for suffix in ("html", "png"):
    Report.load(sys.argv[2]).save(Path(sys.argv[2]).with_suffix("." + suffix))
"""


def test_a_saved_report_is_shown_without_torch(tmp_path):
    tokens = made.tokens_of("A", "good", "film")
    report = replace(
        made.report(),
        prediction=replace(made.prediction(), tokens=tokens),
        attributions=(Attribution.from_arrays(tokens, [0.1, 0.7, -0.2], labels=["yes"]),),
    )
    path = report.save(tmp_path / "x.json")
    steps = generation().save(tmp_path / "steps.json")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(path), str(steps)],
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    assert "good" in done.stdout
    starts = {path.suffix: path.read_bytes()[:4] for path in tmp_path.iterdir()}
    assert set(starts) == {".html", ".png", ".svg", ".pdf", ".csv", ".npz", ".json"}
    assert (starts[".png"], starts[".pdf"]) == (b"\x89PNG", b"%PDF")
    assert (tmp_path / "steps.html").stat().st_size > 100_000
    assert (tmp_path / "steps.png").stat().st_size > 10_000
