"""Bars and estimates: what a person sees of a long run, in the terminal and in a notebook."""

import io
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from model_understanding import Estimate, InputError, ModelVisualizer, StoppedError
from model_understanding.cli.progress import Steps
from model_understanding.show import progress as progress_module
from model_understanding.show.progress import delayed, progress_bar

TEXT = "The film was wonderful, but a dull plot is bad."


def visualizer() -> ModelVisualizer:
    return tiny_models.visualizer_of("bert")


def test_explain_estimate_prints_what_it_would_cost(command: Callable, classifier: str) -> None:
    outcome = command("explain", classifier, TEXT, "--estimate", "-m", "occlusion", "--target", "0")
    expected = ModelVisualizer(classifier).estimate_saliency(TEXT, method="occlusion", target=0)
    assert (outcome.code, outcome.out, outcome.err) == (0, f"{expected}\n", "")


def test_explain_estimate_as_json_is_one_line_a_text(command: Callable, language_model: str) -> None:
    arguments = ("--estimate", "--json", "--max-new-tokens", "4")
    outcome = command("explain", language_model, TEXT, "a bad film", *arguments)
    assert outcome.code == 0, outcome.err
    first, second = (Estimate.from_json(line) for line in outcome.out.splitlines())
    assert first.targets == 4 + 1  # each token that follows, and the loss
    assert first.tokens > second.tokens
    assert len(first.notes) == 1


def test_an_estimate_saves_nothing(command: Callable, classifier: str, tmp_path: Path) -> None:
    outcome = command("explain", classifier, TEXT, "--estimate", "--out", str(tmp_path / "x.html"))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: --estimate computes no explanation, so there is nothing to save as 'x.html'.\n"
        "hint: Drop --out or --estimate; --estimate --json prints the numbers.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_step_shows_its_share_only_on_a_terminal_and_only_where_it_is_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Steps().following("Explaining") is False
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(progress_module, "DELAY", 0.0)
    with Steps() as steps:
        steps("Explaining")
        found = visualizer().compute_saliency(
            TEXT, method="kernel_shap", progress=steps.following("Explaining")
        )
        assert found.scores.any()
        assert steps._progress is not None
        (task,) = steps._progress.tasks
        assert (task.description, task.completed, task.total) == ("Explaining", 1.0, 1.0)


def test_the_answer_and_its_colored_text_are_shown_before_the_scores_are_tested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Steps() as steps:
        steps("Explaining")
        report = visualizer().analyze(TEXT, show=False, progress=steps.following("Explaining"))
        assert steps._progress is not None
        (task,) = steps._progress.tasks
        assert task.description == "Reading attention and layers"
    shown = capsys.readouterr().err
    steps_seen = [word for word in ("Explaining", "wonderful", "Testing the scores") if word in shown]
    assert [shown.index(word) for word in steps_seen] == sorted(shown.index(word) for word in steps_seen)
    assert len(steps_seen) == 3
    label = report.prediction.label if report.prediction else ""
    assert shown.index(label) < shown.index("Testing the scores")
    assert "Faithfulness" not in shown
    assert shown.rstrip().endswith("\x1b[2K")  # all of it is taken off the screen


def test_each_part_of_a_report_is_named_and_comes_with_the_report_so_far() -> None:
    told: list[tuple[str, int, int | None, Any]] = []

    def tell(done: int, total: int | None, part: str, report: Any) -> None:
        told.append((part, done, total, report))

    report = visualizer().analyze(TEXT, show=False, progress=tell)
    parts = list(dict.fromkeys(part for part, *_ in told))
    assert parts == ["Explaining", "Testing the scores", "Reading attention and layers"]
    for part in parts:
        counted = [(done, total) for name, done, total, _ in told if name == part]
        assert counted[0][0] == 0
        assert counted[-1][0] == counted[-1][1]
        assert counted == sorted(counted, key=lambda numbers: numbers[0])
    so_far = {part: known for part, _, _, known in told}
    assert so_far["Explaining"] is None
    assert np.array_equal(so_far["Testing the scores"].attributions[0].scores, report.attributions[0].scores)
    assert not so_far["Testing the scores"].evaluations
    assert so_far["Reading attention and layers"].evaluations == report.evaluations
    first_part: list[int] = []
    visualizer().analyze(TEXT, show=False, progress=lambda done, total: first_part.append(done))
    assert first_part == [done for part, done, *_ in told if part == "Explaining"]


def test_the_test_of_the_scores_can_be_stopped() -> None:
    with pytest.raises(StoppedError):
        visualizer().analyze(
            TEXT, show=False, progress=lambda done, total, part: part == "Explaining" or done == 0
        )


def test_an_unasked_bar_waits() -> None:
    told: list[tuple[int, int | None]] = []
    delayed(lambda *numbers: told.append(numbers), 60.0)(1, 2)
    assert told == []
    delayed(lambda *numbers: told.append(numbers), 0.0)(1, 2)
    assert told == [(1, 2)]


def test_true_is_a_bar_on_stderr_and_nothing_is_left_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    visualizer().compute_saliency(TEXT, method="kernel_shap", target=0, progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "Explaining" in said.err
    assert "100 %" in said.err
    assert said.err.rstrip().endswith("\x1b[2K")  # the line is wiped


@pytest.mark.parametrize("choice", [None, False])
def test_a_script_that_asks_for_no_bar_sees_none(
    choice: bool | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with progress_bar(choice) as report:
        assert report is None
    visualizer().compute_saliency(TEXT, target=0, progress=choice, method="saliency")
    assert capsys.readouterr() == ("", "")


class Handle:
    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, html: str) -> None:
        self.shown.append(html)


@pytest.mark.parametrize("choice", [True, None])
def test_a_notebook_gets_html_that_is_taken_away_at_the_end(
    choice: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def display(html: str, display_id: bool) -> Handle:
        shown.append(html)
        return Handle(shown)

    kernel = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", kernel)  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(HTML=str, display=display))  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(progress_module, "DELAY", 3600.0)  # whatever the machine: this work is short
    visualizer().compute_saliency(TEXT, method="kernel_shap", target=0, progress=choice)
    if choice is None:
        assert shown == []
        monkeypatch.setattr(progress_module, "DELAY", 0.0)
        visualizer().compute_saliency(TEXT, method="kernel_shap", target=0, progress=choice)
    assert shown[0].startswith('<progress value="0" max="')
    assert shown[0].endswith(" 0 %")
    assert shown[-2].endswith(" 100 %")
    assert shown[-1] == ""


@pytest.mark.parametrize("wrong", ["yes", 1, io.StringIO()])
def test_what_is_no_progress_is_refused(wrong: object) -> None:
    with pytest.raises(InputError) as caught:
        visualizer().compute_saliency(TEXT, target=0, progress=wrong, method="saliency")  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == (
        f"progress must be True, False, None or a function. Got {wrong!r}. "
        "Pass for example progress=lambda done, total: print(done, total)."
    )


def test_many_texts_show_how_many_are_done_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    clock = types.SimpleNamespace(monotonic=iter([0.0, 30.0, 60.0]).__next__)
    with Steps() as steps:
        monkeypatch.setattr("model_understanding.cli.progress.time", clock)
        for done in (0, 1):
            steps.count("Explaining", done, 4)
        steps.count("Explaining", 2, 4)
        with steps.paused():
            print("a result", file=sys.stderr)
    err = capsys.readouterr().err
    assert "Explaining: 2 of 4, 1 min left" in err
    assert "a result" in err


def test_without_a_terminal_nothing_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps() as steps:
        steps.count("Explaining", 1, 4)
        with steps.paused():
            pass
    assert capsys.readouterr().err == ""
