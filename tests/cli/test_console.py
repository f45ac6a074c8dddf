import io
import json
import os
import sys
import warnings
from collections.abc import Callable

import pytest

from model_understanding.cli import console
from model_understanding.cli.console import print_json, print_message, quiet_libraries, reserved_stdout
from model_understanding.cli.progress import Steps

HOSTILE = "a\x1b[2J \x9b31m\u202eb\u2028 \ud800 😀 ש </script>"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_is_safe_to_print_and_reads_back_the_same(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_json(json.dumps(HOSTILE, ensure_ascii=False), stream)
    stream.seek(0)
    printed = stream.read()
    assert json.loads(printed) == HOSTILE
    assert printed.endswith("\n")
    assert not set(printed[:-1]) & {"\x1b", "\x9b", "\u202e", "\u2028", "\ud800"}
    assert ("😀" in printed) == (encoding == "utf-8")


def test_a_message_shows_controls_and_is_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    print_message("[bold]x[/bold] :smile: \x1b[2J\n" + "long " * 40, label="error", style="red")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: [bold]x[/bold] :smile: ␛[2J↵" + "long " * 40 + "\n"


def test_stdout_comes_back_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout

    def work() -> None:
        with reserved_stdout() as data:
            print("noise")
            data.write("data\n")
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        work()
    assert sys.stdout is before
    assert capsys.readouterr() == ("data\n", "noise\n")


def test_libraries_are_quiet_unless_debugging(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in console._QUIET_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODEL_UNDERSTANDING_DEBUG", "1")
    with warnings.catch_warnings():
        quiet_libraries()
        with pytest.warns(UserWarning, match="told"):
            warnings.warn("told", UserWarning, stacklevel=1)
    assert "TRANSFORMERS_VERBOSITY" not in os.environ
    monkeypatch.delenv("MODEL_UNDERSTANDING_DEBUG")
    monkeypatch.setattr(console.os, "environ", {"TRANSFORMERS_VERBOSITY": "info"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet_libraries()
        warnings.warn("not told", UserWarning, stacklevel=1)
    assert console.os.environ["TRANSFORMERS_VERBOSITY"] == "info"  # the user's own choice stands
    assert console.os.environ["TOKENIZERS_PARALLELISM"] == "false"


def test_steps_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps(keep=True) as steps:
        steps("Fetching [x]", 0.1)
        steps("Fetching [x]", 0.9)
        steps("Loading \x1b[2J")
    assert capsys.readouterr() == ("", "Fetching [x] …\nLoading ␛[2J …\n")
    with Steps() as steps:
        steps("Loading")
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """A console that believes it is a terminal, and what it was given."""
    from rich.console import Console

    written = io.StringIO()
    shown = Console(file=written, force_terminal=True, width=60, no_color=True, markup=False)
    monkeypatch.setattr("model_understanding.cli.progress.message_console", lambda: shown)
    return written.getvalue


def test_steps_on_a_terminal_show_the_share(terminal: Callable[[], str]) -> None:
    with Steps(keep=True) as steps:
        steps("Fetching [x]", 0.0)
        steps("Fetching [x]", 0.5)
        steps("Loading")
    written = terminal()
    assert "Fetching [x]" in written
    assert "✓ Loading" in written


def test_a_step_that_fails_is_not_ticked_off(terminal: Callable[[], str]) -> None:
    def work() -> None:
        with Steps(keep=True) as steps:
            steps("Loading")
            raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        work()
    assert "Loading" in terminal()
    assert "✓ Loading" not in terminal()
