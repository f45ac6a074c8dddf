"""Writes results: JSON or text to stdout, and files in the format of their suffix."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from model_understanding.cli.console import data_console, print_json, print_message
from model_understanding.cli.options import LevelName
from model_understanding.errors import InputError
from model_understanding.results.files import FIGURE_SUFFIXES, check_writable, size_words
from model_understanding.results.reports import REPORTS_SUFFIXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model_understanding.head_scores.protocol import HeadScoreMethod
    from model_understanding.results import AttentionMap, Estimate, Failure, LogitLens, Report

ATTENTION_SUFFIXES = (".html", *FIGURE_SUFFIXES, ".json", ".csv", ".npz")
LENS_SUFFIXES = (*FIGURE_SUFFIXES, ".json", ".csv")


@contextmanager
def saving(paths: Sequence[Path], save: Callable[[Path], Path]) -> Iterator[None]:
    """Save a result to some files, then run the body, which prints it: a reader may close the pipe early.

    The body runs even where a file cannot be saved, so that the result is not lost; that is raised after it.

    Args:
        paths: The files.
        save: Saves to one file, and returns the path written.
    """
    problem: Exception | None = None
    for path in paths:
        try:
            saved = save(path)
            print_message(f"Saved {saved} ({size_words(saved.stat().st_size)})")
        except Exception as error:
            problem = problem or error
    yield
    if problem is not None:
        raise problem


@dataclass(slots=True, kw_only=True)
class ReportOutput:
    """Where reports are written.

    Reports of several texts share one file where its format can hold them (``save_reports``); a figure and an
    archive hold one text each, and their files are numbered.

    Args:
        paths: Files to write; the suffix sets the format.
        as_json: Whether stdout gets JSON instead of text.
        count: How many texts there are.
    """

    paths: tuple[Path, ...]
    as_json: bool
    count: int = 1
    _entries: list[tuple[str, "Report | Failure"]] = field(default_factory=list[Any])

    def write(self, report: "Report", number: int, source: str, data: TextIO) -> None:
        """Print a report, and save it or keep it for the file of all.

        Args:
            report: The report.
            number: The number of its text, from 1.
            source: Where its text comes from.
            data: The stream for data.
        """
        self._entries += [(source, report)] if self._shared else []
        own = [numbered(path, number, self.count) for path in self.paths if path not in self._shared]
        with saving(own, report.save):
            if self.as_json:
                print_json(report.to_json(), data)
            else:
                from model_understanding.show.terminal.report import print_report

                console = data_console(data)
                if self.count > 1:
                    console.rule(source, align="left", style="dim")
                print_report(report, console)

    def write_failure(self, failure: "Failure", source: str) -> None:
        """Keep the place of a text that failed, for the file of all.

        Args:
            failure: Why it failed.
            source: Where it comes from.
        """
        self._entries += [(source, failure)] if self._shared else []

    def save_shared(self) -> None:
        """Save the reports that were written so far into each file that holds all of them."""
        if any(report for _, report in self._entries):
            from model_understanding.results import save_reports

            sources, reports = zip(*self._entries, strict=True)
            with saving(self._shared, lambda path: save_reports(reports, path, sources=sources)):
                pass

    @property
    def _shared(self) -> tuple[Path, ...]:
        suffixes = REPORTS_SUFFIXES if self.count > 1 else (".jsonl",)
        return tuple(path for path in self.paths if path.suffix.lower() in suffixes)


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

    def numbered(self, number: int, count: int) -> "AttentionOutput":
        """Return where one of several maps is written.

        Args:
            number: The number of the map, from 1.
            count: How many maps there are.
        """
        return replace(self, paths=tuple(numbered(path, number, count) for path in self.paths))

    def write(self, attention: "AttentionMap", data: TextIO) -> None:
        """Save a map, then print it: a reader may close the pipe early.

        Args:
            attention: The map.
            data: The stream for data.
        """
        if self.level is not LevelName.TOKEN:
            attention = attention.folded(self.level.value)
        with saving(self.paths, partial(self._save, attention)):
            if self.as_json:
                print_json(attention.to_json(), data)
            elif self.score is not None:
                from model_understanding.show.terminal.heads import print_head_ranking

                print_head_ranking(attention, self.score.meaning, self.score.maximum, data_console(data))
            else:
                from model_understanding.show.terminal.report import print_attention

                print_attention(attention, data_console(data), sinks=self.sinks)

    def _save(self, attention: "AttentionMap", path: Path) -> Path:
        if path.suffix.lower() not in FIGURE_SUFFIXES:
            return attention.save(path)
        from model_understanding.show.figures.report import attention_axes

        layer, head = None, None
        if attention.ranking and self.view != "grid":
            layer, head, _ = attention.ranking[0]
        options: Any = {"view": self.view, "sinks": self.sinks, "layer": layer, "head": head}
        save_figure(attention_axes(attention, **options), path)
        return path


def print_estimate(estimate: "Estimate", data: TextIO, *, as_json: bool) -> None:
    """Print the estimated cost of an explanation, as text or as JSON."""
    if as_json:
        print_json(estimate.to_json(), data)
    else:
        data.write(f"{estimate}\n")
        data.flush()


def save_lens(lens: "LogitLens", path: Path) -> Path:
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
    return path


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


def check_files(paths: Sequence[Path], allowed: Sequence[str]) -> None:
    """Refuse a file that cannot be saved, before the work whose result it is to hold.

    Raises:
        InputError: A suffix is no format, or the file cannot be written.
    """
    for path in paths:
        if path.suffix.lower() not in allowed:
            problem = f"unknown format {path.suffix}" if path.suffix else "the file name has no suffix"
            raise InputError(
                f"Cannot save {path.name!r}: {problem}.", hint=f"Use one of {', '.join(allowed)}."
            )
        check_writable(path.expanduser())


def numbered(path: Path, number: int, count: int) -> Path:
    """Return the file of one of several reports.

    >>> numbered(Path("a/report.html"), 2, 12).as_posix(), numbered(Path("x.json"), 1, 1).as_posix()
    ('a/report-02.html', 'x.json')
    """
    if count == 1:
        return path
    return path.with_stem(f"{path.stem}-{number:0{len(str(count))}d}")
