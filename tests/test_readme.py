"""The README shows what the program prints, and its Python examples run."""

import re
from pathlib import Path

import pytest
import tiny_kinds

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


def test_the_basic_calls_are_shown() -> None:
    text = "\n".join(PYTHON)
    assert 'visualizer = ModelVisualizer("bert-base-uncased")\nreport = visualizer.analyze(' in text
    assert 'generative = GenerativeModelVisualizer("gpt2")\nreport = generative.analyze(' in text


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


def test_the_classifier_s_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("bert-base-uncased", "gpt2", "demo:smollm2", 'generative.compute_ledger("The capital of France')


@pytest.mark.real
def test_the_language_model_s_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example, ledger = (block for block in PYTHON if "demo:smollm2" in block or 'compute_ledger("The' in block)
    exec(f"{example}\n{ledger}", {})


def run(*left_out: str) -> None:
    """Run the examples in order, except those with models that the tests do not have."""
    examples = [block for block in PYTHON if not any(name in block for name in left_out)]
    assert len(examples) == len(PYTHON) - len(left_out)
    exec("\n".join(examples), {})


KINDS = re.findall(r"^\| ([^|]+) \| `(\w+)` \| `(visualizer\(.*)` \|$", README, flags=re.MULTILINE)


def test_the_table_of_kinds_has_all_of_them() -> None:
    assert sorted(name for _, name, _ in KINDS) == sorted(tiny_kinds.CLASS_OF.values())


@pytest.mark.parametrize(("name", "line"), [(name, line) for _, name, line in KINDS])
def test_the_line_of_a_kind_runs(
    name: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a tiny model of the kind in place of the one from the hub."""
    from model_understanding import Report, visualizer

    (task,) = (task for task, class_name in tiny_kinds.CLASS_OF.items() if class_name == name)
    folder = tiny_kinds.save(task, tmp_path)
    picked, _, call = re.sub(r'"[^"]+"', repr(folder), line, count=1).partition(".analyze")
    assert call
    assert type(eval(picked, {"visualizer": visualizer})).__name__ == name
    report = eval(f"{picked}.analyze{call}", {"visualizer": visualizer})
    assert isinstance(report, Report)
    assert report.attributions
    assert capsys.readouterr().out


def test_pictures_are_where_they_are_shown() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (REPOSITORY / path).is_file(), path
