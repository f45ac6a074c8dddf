"""What the README shows is what the program prints, and its Python runs."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
SHOWN = [block.split("\n", 1) for kind, block in BLOCKS if kind == "console" and block.startswith("$ ")]
PYTHON = [block for kind, block in BLOCKS if kind == "python"]


def words(text: str) -> list[str]:
    """The words of an output, without what differs between machines: numbers, bars, trailing blanks."""
    return re.sub(r"[−+]?[0-9][0-9.]*|[█─]+", "#", text).split()


@pytest.mark.parametrize(("line", "output"), SHOWN, ids=[line for line, _ in SHOWN])
def test_a_command_prints_what_is_shown(
    line: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    from model_understanding.cli.main import run

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    program, *arguments = shlex.split(line.removeprefix("$ "))
    assert program == "model-understanding"
    assert run(arguments) == 0
    assert words(capsys.readouterr().out) == words(output)


def test_both_snippets_of_the_design_stand_there() -> None:
    text = "\n".join(PYTHON)
    assert 'visualizer = ModelVisualizer("bert-base-uncased")\n' in text
    assert 'generative = GenerativeModelVisualizer("gpt2")\n' in text


def test_the_python_compiles_and_names_what_is_there() -> None:
    import ast

    import model_understanding
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer

    kinds = {"visualizer": ModelVisualizer, "generative": GenerativeModelVisualizer}
    for node in ast.walk(ast.parse("\n".join(PYTHON))):
        if isinstance(node, ast.ImportFrom):
            assert all(hasattr(model_understanding, alias.name) for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in kinds:
            assert hasattr(kinds[node.value.id], node.attr), node.attr


def test_the_classifier_s_part_runs() -> None:
    part = PYTHON[-1].partition("\ngenerative")[0]
    run: Callable = exec
    run("from model_understanding import ModelVisualizer\n" + part, {})


@pytest.mark.real
def test_the_language_model_s_part_runs() -> None:
    _, start, part = PYTHON[-1].partition("generative")
    run: Callable = exec
    run("from model_understanding import GenerativeModelVisualizer\n" + start + part, {})


def test_pictures_are_where_they_are_shown() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (REPOSITORY / path).is_file(), path
