"""What only a process of its own can show: its streams, its signals, its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TEXT = "The film was wonderful."


def test_json_has_stdout_to_itself_and_is_ascii_where_stdout_is(classifier: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "model_understanding", "explain", classifier, "שלום 😀", "-", "--json"],
        input=TEXT.encode() + b"\n",
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    reports = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
    assert [report["prediction"]["tokens"]["texts"] for report in reports] == [["שלום 😀"], [TEXT]]


def test_what_others_print_goes_to_stderr(process: Callable) -> None:
    code = """
import os, sys
from model_understanding.cli.console import reserved_stdout
print("before")
with reserved_stdout() as data:
    print("a library")
    os.write(1, b"C code\\n")
    data.write("data\\n")
print("after")
"""
    outcome = process(code=code)
    assert outcome.out == "before\ndata\nafter\n"
    assert sorted(outcome.err.split("\n")) == ["", "C code", "a library"]


def test_a_mistake_exits_with_two(process: Callable) -> None:
    outcome = process("explain", "demo:sentimnt", TEXT)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: Unknown demo model 'demo:sentimnt'. Allowed: demo:sentiment, demo:smollm2, demo:minilm.\n"
        "hint: Pass one of these names.\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_quietly() -> None:
    # A shell that starts this suite in the background leaves its children deaf to the signal.
    code = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from model_understanding.cli.main import run
print("ready", flush=True)
sys.exit(run(["explain", "demo:sentiment", "-"]))
"""
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    time.sleep(0.5)  # it now waits for its text
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, out, err) == (130, b"", b"")


def test_ctrl_c_that_python_wraps_ends_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from model_understanding.cli import application, main

    def interrupted(**_: object) -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(application, "application", interrupted)
    assert main.run(["--help"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_while_python_still_imports_ends_quietly() -> None:
    # Sent from within the first import of a command, as a process that is slow to start gets it.
    code = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from model_understanding.__main__ import main

class Interrupt:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
main()
"""
    done = subprocess.run([sys.executable, "-c", code, "methods"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full device")
@pytest.mark.parametrize("arguments", [("methods",), ("--help",)])
def test_a_full_disk_is_said_without_a_traceback(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "model_understanding", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: Cannot write the output: No space left on device.")


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("arguments", [("methods",), ("--help",)])
def test_a_closed_pipe_is_quiet(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "model_understanding", *arguments],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize("command", ["explain", pytest.param("attention", marks=pytest.mark.full)])
def test_a_closed_pipe_does_not_keep_files_from_being_saved(
    classifier: str, command: str, tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    path = tmp_path / "found.json"
    subprocess.run(
        [sys.executable, "-m", "model_understanding", command, classifier, "A film.", "--out", str(path)],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert json.loads(path.read_text(encoding="utf-8"))["schema"] == 1
