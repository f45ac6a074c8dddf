"""Whatever interrupts a run or lies in its folder, the rows are those of an undisturbed run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
import tiny_models
from filelock import FileLock

from model_understanding import InputError, explain_dataset

TEXTS = ["a good film", "no", "the plot was bad and long", "a fine story", "good", "not a film at all"] * 3
FORMS = ["jsonl", "parquet"]


@pytest.fixture(scope="module")
def classifier():
    return tiny_models.visualizer_of("bert")


def ran(model, out, form="jsonl", texts=TEXTS, **options):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    return explain_dataset(model, texts, out, form=form, rows_per_part=4, **options)


def contents(run):
    return [part.read_bytes() for part in run.parts]


KILLED = """
import json, sys, torch
from pathlib import Path

torch.set_num_threads(1)  # before this process forks

import tiny_models
from killed_runs import killed, seconds_of
from model_understanding import explain_dataset

texts = [f"a good film {'plot ' * (index % 9)}" for index in range(60)]
folder, form = Path(sys.argv[1]), sys.argv[2]
model = tiny_models.visualizer_of("bert")

def run(out):
    explain_dataset(model, texts, out, form=form, rows_per_part=3, resume=True, method="saliency")

def contents(out):
    return [part.read_bytes() for part in sorted(out.glob("part-*"))]

def same(out):
    assert contents(out) == contents(folder / "whole")
    assert not list(out.glob(".*.tmp"))

seconds = seconds_of(lambda: run(folder / "whole"))
assert len(contents(folder / "whole")) == 20
done = killed(run, folder, 5, seconds, 0, same)
print(json.dumps({"kills": len(done.parts), "rounds": done.rounds}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("form", FORMS)
def test_killed_at_random_moments_it_continues_to_the_same_bits(tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    support = str(Path(tiny_models.__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([support, *sys.path]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), form], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kills"] == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_is_said_and_leaves_whole_parts(classifier, tmp_path, monkeypatch, form):
    whole = ran(classifier, tmp_path / "whole", form)
    out = tmp_path / "out"

    number = UUID(int=1)
    monkeypatch.setattr("model_understanding.dataset.parts.uuid4", lambda: number)

    def fill_the_disk(progress):
        if progress.rows == 6:  # what part 1 is written to has no space
            (out / f".part-000001.{form}.{number.int}.tmp").symlink_to("/dev/full")

    with pytest.raises(InputError, match=r"Cannot write to .*No space left on device") as caught:
        ran(classifier, out, form, progress=fill_the_disk)
    assert "--resume goes on" in caught.value.hint
    assert [path.name for path in out.glob("*part-*")] == [f"part-000000.{form}"]
    assert contents(ran(classifier, out, form, resume=True)) == contents(whole)


def test_a_second_process_is_refused_on_the_command_line(tmp_path, capsys):
    from model_understanding.cli.main import run

    arguments = ["dataset", "demo:sentiment", "demo:reviews", "--format", "jsonl", "--shard", "0/40"]
    arguments += ["--rows-per-part", "4", "--out", str(tmp_path)]
    with FileLock(tmp_path / ".lock-0-of-40"):  # the first one
        assert run(arguments) == 2
    assert f"Another process writes to '{tmp_path}'" in capsys.readouterr().err.replace("\n", "")
    assert not list(tmp_path.glob("part-*"))
    assert run(arguments) == 0
    assert run(arguments) == 2
    assert "already holds this run" in " ".join(capsys.readouterr().err.split())
    assert run([*arguments, "--resume"]) == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_part_is_computed_again(classifier, tmp_path, form, share):
    run = ran(classifier, tmp_path, form)
    whole = contents(run)
    run.parts[2].write_bytes(whole[2][: int(share * len(whole[2]))])
    again = ran(classifier, tmp_path, form, resume=True)
    assert again.skipped == len(TEXTS) - 4
    assert contents(again) == whole


@pytest.mark.parametrize("form", FORMS)
def test_a_part_of_another_run_is_refused(classifier, tmp_path, form):
    run = ran(classifier, tmp_path / "run", form)
    whole = contents(run)
    others = {
        "another model or method": ran(classifier, tmp_path / "method", form, method="saliency").parts[1],
        "from other rows": ran(classifier, tmp_path / "texts", form, texts=TEXTS[::-1]).parts[1],
        "from other rows than": run.parts[0],
    }
    for message, part in others.items():
        run.parts[1].write_bytes(part.read_bytes())
        with pytest.raises(InputError, match=message):
            ran(classifier, tmp_path / "run", form, resume=True)
    run.parts[1].unlink()
    assert contents(ran(classifier, tmp_path / "run", form, resume=True)) == whole
