"""Actors of Ray write the parts that the local engine writes, bit for bit, and are started again."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
import tiny_models
import torch

from model_understanding import InputError, MissingExtraError, explain_dataset
from model_understanding.dataset.ray_cluster import _without, connected
from model_understanding.dataset.ray_engine import Workers
from model_understanding.dataset.table import ParquetParts

TEXTS = [f"a good film {'plot ' * (index * 7 % 23)}" for index in range(24)] + ["", "bad " * 3_000]


@pytest.fixture(scope="module")
def ray():
    """One Ray for the tests of this file; torch computes with one thread, so that two actors have room."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with connected() as package:
        yield package
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def classifier():
    return tiny_models.visualizer_of("bert")


def contents(run):
    return {part.name: part.read_bytes() for part in run.parts}


def test_local_and_ray_runs_go_on_with_each_other_to_the_same_bits(ray, classifier, tmp_path):
    options = {"rows_per_part": 4, "method": "saliency"}
    whole = explain_dataset(classifier, TEXTS, tmp_path / "whole", **options)
    begun = explain_dataset(
        classifier, TEXTS, tmp_path / "out", **options, progress=lambda progress: progress.rows < 9
    )
    assert len(begun.parts) == 2
    seen = []

    run = explain_dataset(
        classifier,
        TEXTS,
        tmp_path / "out",
        **options,
        resume=True,
        engine="ray",
        concurrency=2,
        progress=lambda progress: seen.append((progress.rows, progress.failed)),
    )
    assert (run.rows, run.failed, run.skipped) == (26, whole.failed, 8)
    assert seen[-1] == (26, whole.failed)
    assert contents(run) == contents(whole)
    assert run.manifest == whole.manifest
    for part in run.parts[3:5]:
        part.unlink()
    again = explain_dataset(classifier, TEXTS, tmp_path / "out", **options, resume=True)
    assert again.skipped == 18
    assert contents(again) == contents(whole)


def actors():
    """Return the processes of actors that hold a model."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "MapWorker" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_an_actor_that_is_killed_is_started_again(ray, classifier, tmp_path):
    texts = TEXTS * 4
    whole = explain_dataset(classifier, texts, tmp_path / "whole", rows_per_part=16)
    killed = []

    def kill(progress):
        if progress.rows > 20 and not killed:
            killed.extend(actors()[:1])
            os.kill(killed[0].pid, signal.SIGKILL)

    run = explain_dataset(
        classifier, texts, tmp_path / "out", rows_per_part=16, engine="ray", concurrency=1, progress=kill
    )
    assert killed
    assert (run.rows, run.failed, run.skipped) == (len(texts), whole.failed, 0)
    assert contents(run) == contents(whole)


def test_what_cannot_run_is_refused(ray, classifier, tmp_path):
    with pytest.raises(InputError, match="3 rows failed, more than the 2 allowed"):
        explain_dataset(
            classifier, ["a good film", "", "", ""], tmp_path / "errors", engine="ray", max_errors=2
        )
    with pytest.raises(InputError, match="64 actors of 1 CPU each do not fit"):
        explain_dataset(classifier, TEXTS, tmp_path / "many", engine="ray", concurrency=64)
    with pytest.raises(InputError, match="1 actor of 1 CPU and 1 GPU each do not fit"):
        explain_dataset(classifier, TEXTS, tmp_path / "gpu", engine="ray", num_gpus=1)


def test_data_that_another_process_cannot_read_is_refused_before_anything_runs(tmp_path):
    for data, reason in (
        (iter(TEXTS), "can be read only once"),
        ((text for text in TEXTS), "can be read only once"),
    ):
        with pytest.raises(InputError, match=reason) as caught:
            explain_dataset("demo:sentiment", data, tmp_path / "out", engine="ray")
        assert 'engine="local"' in caught.value.hint
    for options in ({"concurrency": 0}, {"concurrency": True}, {"num_gpus": -1}):
        with pytest.raises(InputError, match=next(iter(options))):
            Workers(**options)
    with pytest.raises(InputError, match="concurrency is a setting of the engine ray"):
        explain_dataset("demo:sentiment", TEXTS, tmp_path / "out", concurrency=2)
    with pytest.raises(InputError, match="Unknown engine 'spark'"):
        explain_dataset("demo:sentiment", TEXTS, tmp_path / "out", engine="spark")
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match="requires the package ray") as caught:
        explain_dataset("demo:sentiment", TEXTS, tmp_path / "out", engine="ray")
    assert "model-understanding[ray]" in caught.value.hint


def test_a_command_starts_its_own_ray_on_loopback_and_ctrl_c_ends_all_of_it(tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(text or "a film" for text in TEXTS[:24] * 60))
    command = [sys.executable, "-m", "model_understanding", "dataset", "demo:sentiment", "texts.txt"]
    command += ["--out", "out", "--rows-per-part", "16", "--engine", "ray", "--concurrency", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until = time.monotonic() + 200
        while process.poll() is None and time.monotonic() < until:
            if list((tmp_path / "out").glob("part-*")):
                break
            time.sleep(0.2)
        assert process.poll() is None, process.communicate()
        started = psutil.Process(process.pid).children(recursive=True)
        listening = [
            connection.laddr.ip
            for each in started
            for connection in each.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=100)
    assert process.returncode == 130, messages
    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    parts = sorted((tmp_path / "out").glob("part-*"))
    assert not list((tmp_path / "out").glob("*.tmp"))
    assert all(ParquetParts().digest(part) for part in parts)


def test_lines_that_ray_writes_by_itself_are_kept_from_standard_error(capfd):
    with _without(b"Set ray log level"):
        os.write(2, b"logging.cc:303: Set ray log level from environment variable\nmatters\n")
    assert capfd.readouterr().err == "matters\n"
