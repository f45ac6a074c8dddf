"""A run that is killed, interrupted or repeated leaves every row once, or says what is in the way."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from model_understanding.dataset.parts import OutputFolder, Shard, digest_of, read_manifest
from model_understanding.dataset.table import FIELDS, JsonLinesParts
from model_understanding.errors import InputError

JOB = {"model": "demo:sentiment", "method": "fast"}


def rows(*indices):
    return [dict.fromkeys(FIELDS) | {"row": index, "text": f"text {index}"} for index in indices]


def folder(path, **options):
    return OutputFolder(path, options.pop("job", JOB), JsonLinesParts(), **options)


def read(path: Path):
    parts = sorted(path.glob("part-*"))
    return [json.loads(line)["row"] for part in parts for line in part.read_text().splitlines()]


def test_a_part_is_whole_or_absent(tmp_path, monkeypatch):
    out = folder(tmp_path / "out")
    with out.opened():
        out.write(0, "first", rows(0, 1))

        def fail(rows, digest, file):
            file.write(b'{"row": 2')
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(out.form, "write", fail)
        with pytest.raises(InputError, match="No space left on device"):
            out.write(1, "second", rows(2, 3))
    assert read(tmp_path / "out") == [0, 1]
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir() if entry.name[0] != ".") == [
        "manifest.json",
        "part-000000.jsonl",
    ]


def test_what_is_done_is_known_by_its_rows(tmp_path):
    out = folder(tmp_path)
    with out.opened():
        out.write(0, "first", rows(0, 1))
        assert out.is_done(0, "first")
        assert not out.is_done(1, "second")
        with pytest.raises(InputError, match="The input has changed: part-000000"):
            out.is_done(0, "other rows")
        whole = out.part_path(0).read_bytes()
        for cut in (0, 5, len(whole) // 2, len(whole) - 1):
            out.part_path(0).write_bytes(whole[:cut])
            assert not out.is_done(0, "first")


def test_only_the_same_job_goes_on(tmp_path):
    out = folder(tmp_path)
    with out.opened():
        out.write(0, "first", rows(0))
    assert read_manifest(tmp_path)["method"] == "fast"
    with pytest.raises(InputError, match="already holds this run") as caught, folder(tmp_path).opened():
        pass
    assert "--resume" in caught.value.hint
    other = folder(tmp_path, job={**JOB, "method": "saliency"}, resume=True)
    with pytest.raises(InputError, match='method was "fast", now "saliency"'), other.opened():
        pass
    with folder(tmp_path, resume=True).opened():
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("Chapter 1")
    with pytest.raises(InputError, match=r"is not empty: it holds thesis\.tex"), folder(tmp_path).opened():
        pass
    with pytest.raises(InputError, match="is not the folder of a run"):
        read_manifest(tmp_path)


def test_a_second_writer_is_refused(tmp_path):
    with folder(tmp_path).opened():
        with (
            pytest.raises(InputError, match="Another process writes"),
            folder(tmp_path, resume=True).opened(),
        ):
            pass
        with folder(tmp_path, shard=Shard(1, 2), job=JOB).opened():  # another shard writes other parts
            pass


def test_shards_share_the_parts():
    assert sorted(part for index in range(3) for part in Shard(index, 3).parts(10)) == list(range(10))
    with pytest.raises(InputError, match="There is no shard 3 of 3"):
        Shard(3, 3)


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from test_parts import folder, rows
from model_understanding.dataset.parts import digest_of
out = folder({path!r}, resume=True)
with out.opened():
    for part in range(200):
        window = list(range(part * 5, part * 5 + 5))
        if not out.is_done(part, digest_of(window)):
            out.write(part, digest_of(window), rows(*window))
            print(part, flush=True)
"""


def test_killed_at_any_moment_every_row_is_there_once(tmp_path):
    script = textwrap.dedent(WRITER).format(tests=str(Path(__file__).parent), path=str(tmp_path / "out"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for lines in (1, 7, 30, 3):
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        done = read(tmp_path / "out")
        assert len(done) == len(set(done))
        assert len(done) % 5 == 0
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, capture_output=True)
    assert read(tmp_path / "out") == list(range(1000))
    assert not list((tmp_path / "out").glob("*.tmp"))
    assert digest_of([1]) != digest_of(["1"])
