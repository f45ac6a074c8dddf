"""Writes results: JSON or text to stdout, and files in the format of their suffix."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from model_understanding.cli.console import data_console, print_json, print_message
from model_understanding.cli.options import LevelName
from model_understanding.errors import InputError
from model_understanding.results.files import FIGURE_SUFFIXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model_understanding.head_scores.protocol import HeadScoreMethod
    from model_understanding.results import AttentionMap, Estimate, LogitLens, Report

ATTENTION_SUFFIXES = (*FIGURE_SUFFIXES, ".json", ".npz")
LENS_SUFFIXES = (*FIGURE_SUFFIXES, ".json", ".csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOutput:
    """Where reports are written.

    Args:
        paths: Files to write for each report; the suffix sets the format.
        as_json: Whether stdout gets JSON instead of text.
        count: How many reports there will be. With several, files are numbered.
    """

    paths: tuple[Path, ...]
    as_json: bool
    count: int = 1

    def write(self, report: "Report", number: int, data: TextIO) -> None:
        """Save a report, then print it: a reader may close the pipe early (``| head``).

        Args:
            report: The report.
            number: Its number, from 1.
            data: The stream for data.
        """
        from model_understanding.show.terminal.report import print_report

        for path in self.paths:
            print_message(f"Saved {report.save(numbered(path, number, self.count))}")
        if self.as_json:
            print_json(report.to_json(), data)
        else:
            print_report(report, data_console(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionOutput:
    """Where an attention map is written.

    Args:
        paths: Files to write; the suffix sets the format.
        as_json: Whether stdout gets JSON instead of text.
        level: The unit in which the map is shown and saved.
        view: The figure: ``map``, ``grid`` or ``arcs``.
        sinks: How attention sinks are drawn; ``None`` for the default of the map.
        score: The score that ranks the heads. Then the ranking is printed, and a figure of one matrix shows
            the first head.
    """

    paths: tuple[Path, ...]
    as_json: bool
    level: LevelName
    view: str
    sinks: Any
    score: "type[HeadScoreMethod] | None" = None

    def write(self, attention: "AttentionMap", data: TextIO) -> None:
        """Save a map, then print it: a reader may close the pipe early.

        Args:
            attention: The map.
            data: The stream for data.
        """
        if self.level is not LevelName.TOKEN:
            attention = attention.folded(self.level.value)
        for path in self.paths:
            self._save(attention, path)
            print_message(f"Saved {path}")
        if self.as_json:
            print_json(attention.to_json(), data)
        elif self.score is not None:
            from model_understanding.show.terminal.heads import print_head_ranking

            print_head_ranking(attention, self.score.meaning, self.score.maximum, data_console(data))
        else:
            from model_understanding.show.terminal.report import print_attention

            print_attention(attention, data_console(data), sinks=self.sinks)

    def _save(self, attention: "AttentionMap", path: Path) -> None:
        if path.suffix.lower() not in FIGURE_SUFFIXES:
            attention.save(path)
            return
        from model_understanding.show.figures.report import attention_axes

        layer, head = None, None
        if attention.ranking and self.view != "grid":
            layer, head, _ = attention.ranking[0]
        options: Any = {"view": self.view, "sinks": self.sinks, "layer": layer, "head": head}
        save_figure(attention_axes(attention, **options), path)


def print_estimate(estimate: "Estimate", data: TextIO, *, as_json: bool) -> None:
    """Print the estimated cost of an explanation, as text or as JSON."""
    if as_json:
        print_json(estimate.to_json(), data)
    else:
        data.write(f"{estimate}\n")
        data.flush()


def save_lens(lens: "LogitLens", path: Path) -> None:
    """Save a logit lens as a figure, a table or JSON, by the suffix."""
    from model_understanding.results.files import write_atomically

    suffix = path.suffix.lower()
    if suffix == ".json":
        write_atomically(path, (lens.to_json(indent=1) + "\n").encode("utf-8", "backslashreplace"))
    elif suffix == ".csv":
        write_atomically(path, lens.to_csv().encode("utf-8", "backslashreplace"))
    else:
        from model_understanding.show.figures.report import lens_axes

        save_figure(lens_axes(lens), path)
    print_message(f"Saved {path}")


def save_figure(axes: "Axes", path: Path) -> None:
    """Save the figure of some axes in the format of the path's suffix, and close it.

    Args:
        axes: Axes of a figure that was drawn for this file alone.
        path: Where to write.
    """
    from matplotlib import pyplot

    from model_understanding.results.files import write_atomically
    from model_understanding.show.figures.report import figure_bytes

    figure = axes.get_figure(root=True)
    assert figure is not None
    try:
        write_atomically(path, figure_bytes(figure, path.suffix.lower().removeprefix(".")))
    finally:
        pyplot.close(figure)  # pyplot keeps every figure until it is closed


def check_suffixes(paths: Sequence[Path], allowed: Sequence[str]) -> None:
    """Refuse a file whose suffix is not a format.

    Raises:
        InputError: A suffix is not allowed.
    """
    for path in paths:
        if path.suffix.lower() not in allowed:
            problem = f"unknown format {path.suffix}" if path.suffix else "the file name has no suffix"
            raise InputError(
                f"Cannot save {path.name!r}: {problem}.", hint=f"Use one of {', '.join(allowed)}."
            )


def numbered(path: Path, number: int, count: int) -> Path:
    """Return the file of one of several reports.

    >>> numbered(Path("a/report.html"), 2, 12).as_posix(), numbered(Path("x.json"), 1, 1).as_posix()
    ('a/report-02.html', 'x.json')
    """
    if count == 1:
        return path
    return path.with_stem(f"{path.stem}-{number:0{len(str(count))}d}")
