"""Gives results out: colored text or JSON on stdout, and files by their suffix."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from model_understanding.cli.console import data_console, print_json, print_message
from model_understanding.cli.options import LevelName
from model_understanding.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model_understanding.comparison import Comparison
    from model_understanding.head_scores.protocol import HeadScoreMethod
    from model_understanding.results import (
        Assessment,
        AssessmentSummary,
        AttentionMap,
        Estimate,
        LogitLens,
        Report,
    )

REPORT_SUFFIXES = (".html", ".png", ".svg", ".pdf", ".json", ".csv", ".npz")
ATTENTION_SUFFIXES = (".png", ".svg", ".pdf", ".json", ".npz")
LENS_SUFFIXES = (".png", ".svg", ".pdf", ".json", ".csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOutput:
    """Where reports go.

    Args:
        paths: Files to write for each report; the suffix chooses the format.
        as_json: Whether stdout gets JSON instead of colored text.
        count: How many reports there will be. With several, files are numbered.

    Raises:
        InputError: A suffix is unknown; said before anything is loaded.
    """

    paths: tuple[Path, ...]
    as_json: bool
    count: int = 1

    def __post_init__(self) -> None:
        check_suffixes(self.paths, REPORT_SUFFIXES)

    def write(self, report: "Report", number: int, data: TextIO) -> None:
        """Save a report and print it; saved first, for a reader may close the pipe early (``| head``).

        Args:
            report: The report.
            number: Its number, from 1.
            data: The stream for data.
        """
        for path in self.paths:
            saved = report.save(numbered(path, number, self.count))
            print_message(f"Saved {saved}")
        if self.as_json:
            print_json(report.to_json(), data)
        else:
            print_report(report, data)


def print_report(report: "Report", data: TextIO) -> None:
    """Print a report as colored text."""
    from model_understanding.show.terminal.report import print_report as show_report

    show_report(report, data_console(data))


def print_comparison(comparison: "Comparison", data: TextIO) -> None:
    """Print a comparison as colored text."""
    from model_understanding.show.terminal.comparison import print_comparison as show_comparison

    show_comparison(comparison, data_console(data))


def print_estimate(estimate: "Estimate", data: TextIO, *, as_json: bool) -> None:
    """Print what an explanation would cost, as lines for a person or as JSON."""
    if as_json:
        print_json(estimate.to_json(), data)
    else:
        data.write(f"{estimate}\n")
        data.flush()


def check_no_files(paths: tuple[Path, ...]) -> None:
    """Refuse files where nothing is explained that could be saved.

    Raises:
        InputError: There are files.
    """
    if paths:
        raise InputError(
            f"--estimate explains nothing, so there is nothing to save in {paths[0].name!r}.",
            hint="Leave --out or --estimate out; --estimate --json prints the numbers.",
        )


def print_head_ranking(attention: "AttentionMap", score: "type[HeadScoreMethod]", data: TextIO) -> None:
    """Print the heads that a map ranks by a score, best first."""
    from model_understanding.show.terminal.heads import print_head_ranking as show_ranking

    show_ranking(attention, score.meaning, score.most, data_console(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionOutput:
    """Where an attention map goes.

    Args:
        paths: Files to write; the suffix chooses the format.
        as_json: Whether stdout gets JSON instead of text.
        view: The picture: ``map``, ``grid`` or ``arcs``.
        sinks: What is done with sinks; ``None`` for what fits the map.
        score: The score that the heads are ranked by; then the ranking is printed, and a picture of one
            matrix is of the first head.
    """

    paths: tuple[Path, ...]
    as_json: bool
    view: str
    sinks: Any
    score: "type[HeadScoreMethod] | None" = None

    def write(self, attention: "AttentionMap", level: LevelName, data: TextIO) -> None:
        """Save a map and print it; saved first, for a reader may close the pipe early.

        Args:
            attention: The map.
            level: What is one unit in all of it.
            data: The stream for data.
        """
        found = attention if level is LevelName.TOKEN else attention.folded(level.value)
        for path in self.paths:
            self._save(found, path)
            print_message(f"Saved {path}")
        if self.as_json:
            print_json(found.to_json(), data)
            return
        if self.score is not None:
            print_head_ranking(found, self.score, data)
            return
        from model_understanding.show.terminal.report import print_attention

        print_attention(found, data_console(data), sinks=self.sinks)

    def _save(self, attention: "AttentionMap", path: Path) -> None:
        if path.suffix.lower() in (".json", ".npz"):
            attention.save(path)
            return
        from model_understanding.results.files import write_atomically
        from model_understanding.show.figures.report import attention_axes

        layer, head = None, None
        if attention.ranking and self.view != "grid":
            layer, head, _ = attention.ranking[0]
        choices: Any = {"view": self.view, "sinks": self.sinks, "layer": layer, "head": head}
        axes = attention_axes(attention, **choices)
        write_atomically(path, picture(axes, path.suffix.lower().removeprefix(".")))


def print_assessments(assessments: "Sequence[Assessment]", data: TextIO) -> None:
    """Print verdicts as a table."""
    from model_understanding.show.terminal.verdicts import print_assessments as show_assessments

    show_assessments(assessments, data_console(data))


def print_summaries(summaries: "Sequence[AssessmentSummary]", data: TextIO) -> None:
    """Print what the assessments of many texts come to."""
    from model_understanding.show.terminal.verdicts import print_summaries as show_summaries

    show_summaries(summaries, data_console(data))


def print_lens(lens: "LogitLens", data: TextIO) -> None:
    """Print a logit lens as text."""
    from model_understanding.show.terminal.logit_lens import print_lens as show_lens

    show_lens(lens, data_console(data))


def save_lens(lens: "LogitLens", path: Path) -> None:
    """Save a logit lens as a picture, a table or as JSON; the suffix says which."""
    from model_understanding.results.files import write_atomically

    suffix = path.suffix.lower()
    if suffix == ".json":
        content = (lens.to_json(indent=1) + "\n").encode("utf-8", "backslashreplace")
    elif suffix == ".csv":
        content = lens.to_csv().encode("utf-8", "backslashreplace")
    else:
        from model_understanding.show.figures.report import lens_axes

        content = picture(lens_axes(lens), suffix.removeprefix("."))
    write_atomically(path, content)
    print_message(f"Saved {path}")


def picture(axes: "Axes", kind: str) -> bytes:
    """Return the figure that some axes stand in, as a file's bytes, and close it.

    Args:
        axes: The axes of a figure that was drawn for this file alone.
        kind: ``png``, ``svg`` or ``pdf``.
    """
    from matplotlib import pyplot

    from model_understanding.show.figures.report import figure_bytes

    figure = axes.get_figure(root=True)
    assert figure is not None
    try:
        return figure_bytes(figure, kind)
    finally:
        pyplot.close(figure)  # pyplot keeps every figure that nobody closes


def check_suffixes(paths: tuple[Path, ...], allowed: tuple[str, ...]) -> None:
    """Refuse a file whose suffix names no format.

    Raises:
        InputError: A suffix is none of those allowed.
    """
    for path in paths:
        if path.suffix.lower() not in allowed:
            raise InputError(
                f"Cannot save {path.name!r}: its suffix is {path.suffix or 'missing'}.",
                hint=f"Use one of {', '.join(allowed)}.",
            )


def numbered(path: Path, number: int, count: int) -> Path:
    """Return the file of one of several reports.

    >>> numbered(Path("a/report.html"), 2, 12).as_posix(), numbered(Path("x.json"), 1, 1).as_posix()
    ('a/report-02.html', 'x.json')
    """
    if count == 1:
        return path
    return path.with_stem(f"{path.stem}-{number:0{len(str(count))}d}")
