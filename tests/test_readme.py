"""README and docs: commands print what is shown, Python examples run, and links lead somewhere."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import tiny_kinds

REPOSITORY = Path(__file__).parents[1]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "docs").glob("*.md"))}
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGES["README.md"] = README
WITHOUT_MODEL = ("bert-base-uncased", "gpt2")  # the tests have no network to load these with


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGES[page], flags=re.DOTALL)


def python(page: str) -> list[str]:
    """The Python examples of a page, which build on each other."""
    return blocks(page, "python")


SHOWN = [
    block.split("\n", 1) for page in PAGES for block in blocks(page, "console") if block.startswith("$ ")
]
REAL = [page for page in PAGES if "demo:smollm2" in "".join(python(page))]
RUN = [page for page in PAGES if python(page) and page not in (*REAL, "README.md")]


def words(text: str) -> list[str]:
    """The words of an output, without what differs between machines: numbers, bars, trailing blanks."""
    return re.sub(r"[−+]?[0-9][0-9.]*|[█─]+", "#", text).split()


@pytest.mark.parametrize(
    ("line", "output"),
    [pytest.param(*shown, marks=[pytest.mark.real] if "smollm2" in shown[0] else []) for shown in SHOWN],
    ids=[line for line, _ in SHOWN],
)
def test_a_command_prints_what_is_shown(
    line: str, output: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_understanding.cli.main import run

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(REPOSITORY)
    program, *arguments = shlex.split(line.removeprefix("$ "))
    assert program == "model-understanding"
    assert run(arguments) == 0
    assert words(capsys.readouterr().out) == words(output)


def test_the_basic_calls_are_shown() -> None:
    text = "\n".join(python("README.md"))
    assert 'visualizer = ModelVisualizer("bert-base-uncased")\nreport = visualizer.analyze(' in text
    assert 'generative = GenerativeModelVisualizer("gpt2")\nreport = generative.analyze(' in text


@pytest.mark.parametrize("page", [page for page in PAGES if python(page)])
def test_the_python_compiles_and_names_what_is_there(page: str) -> None:
    import model_understanding
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer

    kinds = {"visualizer": ModelVisualizer, "generative": GenerativeModelVisualizer}
    for node in ast.walk(ast.parse("\n".join(python(page)))):
        if isinstance(node, ast.ImportFrom):
            assert all(hasattr(model_understanding, alias.name) for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in kinds:
            assert hasattr(kinds[node.value.id], node.attr), node.attr


@pytest.mark.parametrize("page", [pytest.param(page, marks=pytest.mark.real) for page in REAL] + RUN)
def test_the_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(python(page)), {})


def test_all_examples_run_but_those_of_models_that_have_to_be_loaded() -> None:
    assert {page for page in PAGES if python(page)} == {*REAL, *RUN, "README.md"}
    assert all(any(model in block for model in WITHOUT_MODEL) for block in python("README.md"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts write them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    folder = REPOSITORY if page == "README.md" else REPOSITORY / "docs"
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            linked = (folder / path).resolve()
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_the_readme_leads_to_every_page() -> None:
    assert all(f"(docs/{page})" in README for page in PAGES if page != "README.md")


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
