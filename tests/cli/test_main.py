import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from model_understanding.cli import methods
from model_understanding.cli.application import application


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_every_command(command: Callable, arguments: tuple[str, ...]) -> None:
    outcome = command(*arguments)
    assert outcome.code == 0
    assert outcome.err == ""
    for name in ("explain", "attention", "methods", "doctor", "demo"):
        assert f" {name} " in outcome.out


def test_every_option_that_a_message_names_exists() -> None:
    program = typer.main.get_command(application)
    parameters = [option for command in (program, *program.commands.values()) for option in command.params]
    options = {name for option in parameters for name in option.opts + option.secondary_opts}
    for file in Path(methods.__file__).parent.glob("*.py"):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+\b", file.read_text(encoding="utf-8")))
        assert named - options <= {"--help", "--force-reinstall"}, file  # the last is pip's


def test_version(command: Callable) -> None:
    outcome = command("--version")
    assert (outcome.code, outcome.out) == (0, f"model-understanding {version('model-understanding')}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("explian", "x"),
            "error: Unknown command 'explian'. Allowed: explain, attention, evaluate, lens, ledger, sources, "
            "diff, compare, dataset, summarize, methods, doctor, demo.\n"
            "hint: Did you mean explain?\n",
        ),
        (
            ("explain", "--methd", "saliency"),
            "error: Unknown option --methd.\nhint: Did you mean --method?\n",
        ),
        (
            ("explain", "m", "-q"),
            "error: Unknown option -q.\nhint: Run model-understanding explain --help. "
            "Put -- before a text that begins with a dash.\n",
        ),
        (
            ("explain",),
            "error: Missing argument 'MODEL'.\nhint: Run model-understanding explain --help.\n",
        ),
        (
            ("explain", "m"),
            "error: No text to explain.\n"
            "hint: Write it in quotes after the model, pass - to read standard input, or pass --file.\n",
        ),
        (
            ("explain", "m", "t", "--task", "poetry"),
            "error: Invalid value for '--task': 'poetry' is not one of "
            "'sequence-classification', 'causal-lm', 'token-classification', 'question-answering', "
            "'masked-lm', 'seq2seq-lm', 'multiple-choice', 'sentence-similarity', "
            "'zero-shot-classification', 'reranking'.\n"
            "hint: Run model-understanding explain --help.\n",
        ),
        (
            ("explain", "m", "t", "--out", "report.txt"),
            "error: Cannot save 'report.txt': unknown format .txt.\n"
            "hint: Use one of .html, .png, .svg, .pdf, .json, .csv, .npz, .jsonl.\n",
        ),
        (
            ("attention", "m", "t", "--out", "weights"),
            "error: Cannot save 'weights': the file name has no suffix.\n"
            "hint: Use one of .html, .png, .svg, .pdf, .json, .csv, .npz.\n",
        ),
        (
            ("attention", "m", "t", "--layer", "last"),
            "error: Invalid --layer 'last'. Allowed: an index, several, such as 0,3,5, or all, mean or max.\n"
            "hint: For example: --layer -1\n",
        ),
    ],
)
def test_a_mistake_is_reported_with_a_hint_before_a_model_is_loaded(
    command: Callable, arguments: tuple[str, ...], message: str
) -> None:
    outcome = command(*arguments)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)


def test_an_unexpected_exception_has_no_traceback(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("the disk\n\x1b[2Jis on fire")

    monkeypatch.setattr(methods, "method_catalog", broken)
    outcome = command("methods")
    assert outcome.code == 1
    assert outcome.err == (
        "error: Unexpected RuntimeError: the disk ␛[2Jis on fire\n"
        "hint: This is probably a bug. "
        "Run the command again with MODEL_UNDERSTANDING_DEBUG=1 for a traceback.\n"
    )


def test_debug_shows_the_traceback(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("fire")

    monkeypatch.setattr(methods, "method_catalog", broken)
    outcome = command("--debug", "methods")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert "RuntimeError: fire\nerror: Unexpected RuntimeError: fire\n" in outcome.err


def test_a_missing_package_is_named(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(methods, "method_catalog", broken)
    outcome = command("methods")
    assert (outcome.code, outcome.err) == (
        1,
        "error: The package torch is not installed.\n"
        "hint: Run model-understanding doctor to see what is missing and how to install it.\n",
    )


def test_ctrl_c_is_quiet(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(methods, "method_catalog", interrupted)
    assert command("methods").code == 130


def test_a_closed_output_is_no_bug(command: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    outcome = command("methods")
    assert outcome.code == 0
    assert "error:" not in outcome.err
