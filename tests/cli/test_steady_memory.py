"""Long runs start with settings of the C library that keep their memory from growing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_understanding.cli import steady_memory
from model_understanding.cli.steady_memory import VARIABLE, restart_with_steady_memory

PROGRAM = ["/bin/python", __file__]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What takes this program's place."""
    found: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(
        os, "execve", lambda _, arguments, environment: found.append((arguments, environment))
    )
    monkeypatch.setattr(steady_memory, "_is_glibc", lambda: True)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(sys, "argv", [__file__])
    return found


def restarts(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "orig_argv", [*PROGRAM, *arguments])
    restart_with_steady_memory(arguments)


def test_a_run_over_a_data_set_starts_again_as_it_was_started(started, monkeypatch):
    restarts(monkeypatch, "dataset", "demo:sentiment", "texts.csv")
    ((arguments, environment),) = started
    assert arguments == [*PROGRAM, "dataset", "demo:sentiment", "texts.csv"]
    settings = dict(part.split("=") for part in environment[VARIABLE].split(":"))
    assert settings["glibc.malloc.tcache_count"] == "0"
    assert environment.items() >= dict(os.environ).items()


def test_everything_else_goes_on(started, monkeypatch):
    restarts(monkeypatch)
    restarts(monkeypatch, "explain", "demo:sentiment", "dataset")
    # Called from a program with another line.
    monkeypatch.setattr(sys, "orig_argv", [*PROGRAM, "something", "else"])
    restart_with_steady_memory(["dataset", "demo:sentiment", "texts.csv"])
    monkeypatch.setattr(sys, "argv", ["-"])  # a program on standard input cannot be read again
    restarts(monkeypatch, "dataset", "demo:sentiment", "texts.csv")
    monkeypatch.setattr(sys, "argv", [__file__])
    monkeypatch.setenv(VARIABLE, "glibc.malloc.arena_max=1")
    restarts(monkeypatch, "dataset", "demo:sentiment", "texts.csv")
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(steady_memory, "_is_glibc", lambda: False)
    restarts(monkeypatch, "dataset", "demo:sentiment", "texts.csv")
    assert started == []


def test_without_the_program_that_would_start_it_goes_on(started, monkeypatch):
    def missing(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(os, "execve", missing)
    restarts(monkeypatch, "dataset", "demo:sentiment", "texts.csv")


@pytest.mark.skipif(not steady_memory._is_glibc(), reason="the settings are of glibc")
def test_the_new_program_has_the_settings_and_reads_the_same_input(tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from model_understanding.cli.steady_memory import *\n"
        "restart_with_steady_memory(sys.argv[1:])\n"
        "print(sys.argv[1:], 'tcache_count=0' in os.environ[VARIABLE], os.getpid(), sys.stdin.read())\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    process = subprocess.Popen(
        [sys.executable, str(program), "dataset", "two words"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    output, _ = process.communicate("a row")
    assert output == f"['dataset', 'two words'] True {process.pid} a row\n"
