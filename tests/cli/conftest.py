"""Runs the command line: in this process for speed, as a process of its own where streams matter."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny_models

from model_understanding.cli.main import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Outcome]]:
    """``command("explain", …)`` runs the command line in this process."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("MODEL_UNDERSTANDING_DEBUG", raising=False)
    before = dict(os.environ)

    def outcome(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = run(arguments)
        return Outcome(code, *capsys.readouterr())

    yield outcome
    for name in os.environ.keys() - before.keys():  # what quiet_libraries set
        del os.environ[name]


@pytest.fixture
def process() -> Callable[..., Outcome]:
    """``process("explain", …)`` runs the command line as a process of its own."""

    def outcome(*arguments: str, code: str | None = None, stdin: bytes = b"") -> Outcome:
        start = ["-m", "model_understanding"] if code is None else ["-c", code]
        done = subprocess.run(
            [sys.executable, *start, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            env={**os.environ, "COLUMNS": "100", "PYTHONUTF8": "1"},
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    return outcome


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny BERT classifier with three labels."""
    return _saved("bert", tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a tiny GPT-2."""
    return _saved("gpt2", tmp_path_factory.mktemp("language_model"))


def _saved(name: str, folder: Path) -> str:
    tiny_models.fresh(name).save_pretrained(folder)
    tiny_models.tokenizer_of(name).save_pretrained(folder)
    return str(folder)
