"""The local engine: windows of rows, each explained and written as one part."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from model_understanding.attribution.isolation import attempted
from model_understanding.dataset.parts import OutputFolder, digest_of
from model_understanding.dataset.rows import DataRow
from model_understanding.dataset.table import result_of
from model_understanding.errors import InputError
from model_understanding.results import Failure, Report

Explain = Any
"""Returns the reports of rows, in their order; see ``explained``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How every row is explained.

    Args:
        method: The attribution method.
        quantity: What is read from the logits; ``None`` for the default of the kind of model.
        evaluate: Whether each row gets a verdict.
        max_new_tokens: Most tokens that a language model writes.
    """

    method: str = "fast"
    quantity: str | None = None
    evaluate: bool = False
    max_new_tokens: int = 32


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Args:
        rows: Rows that are done, those of earlier runs included.
        failed: Rows among them that were not explained.
        skipped: Rows that an earlier run had done.
    """

    rows: int = 0
    failed: int = 0
    skipped: int = 0
    started: float = field(default_factory=time.perf_counter)

    @property
    def rate(self) -> float:
        """Rows per second of this run."""
        return (self.rows - self.skipped) / max(time.perf_counter() - self.started, 1e-9)


def windows_of(rows: Iterator[DataRow], size: int) -> Iterator[list[DataRow]]:
    """Yield rows in lists of a size, each of which will be a part."""
    while window := list(islice(rows, size)):
        yield window


def run_locally(
    explain: Explain, rows: Iterator[DataRow], folder: OutputFolder, size: int, max_errors: int | None = None
) -> Iterator[Progress]:
    """Explain rows window by window, and write each as a part.

    Args:
        explain: Returns the reports of rows, in their order.
        rows: The rows.
        folder: The folder, opened.
        size: Rows of a part.
        max_errors: The most rows that may fail; any number by default.

    Yields:
        How far the run is, after each part.

    Raises:
        InputError: More rows failed than allowed; parts that are written stay.
    """
    progress = Progress()
    for part, window in enumerate(windows_of(rows, size)):
        if not folder.shard.has(part):
            continue
        digest = digest_of([row.plain() for row in window])
        if folder.is_done(part, digest):
            progress.skipped += len(window)
            progress.rows += len(window)
            yield progress
            continue
        results = window_results(explain, window)
        failed = [result for result in results if result["error"] is not None]
        folder.write(part, digest, results)
        progress.rows += len(window)
        progress.failed += len(failed)
        yield progress
        if max_errors is not None and progress.failed > max_errors:
            raise InputError(
                f"{progress.failed} rows failed, more than {max_errors}. The last one: {failed[-1]['error']}",
                hint="Raise --max-errors, or mend the input; the parts that are written stay.",
            )


def window_results(explain: Explain, window: Sequence[DataRow]) -> list[dict[str, Any]]:
    """Return the result of each row of a window, in their order."""
    readable = [row for row in window if not row.problem]
    reports = iter(explain(readable)) if readable else iter(())
    results = []
    for row in window:
        found: Report | Failure = Failure(message=row.problem) if row.problem else next(reports)
        results.append(attempted(lambda row=row, found=found: result_of(row, found), "skip"))
    return [
        result if isinstance(result, dict) else result_of(row, result)
        for row, result in zip(window, results, strict=True)
    ]


def explained(visualizer: Any, rows: Sequence[DataRow], settings: Settings) -> Iterator[Report | Failure]:
    """Return the report of each row, with answer, scores and, if asked for, verdict.

    Args:
        visualizer: Explains models of this kind.
        rows: The rows.
        settings: How they are explained.
    """
    texts = [(row.text, row.pair) if row.pair is not None else row.text for row in rows]
    options: dict[str, Any] = {"method": settings.method, "errors": "skip"}
    if settings.quantity is not None:
        options["quantity"] = settings.quantity
    if settings.evaluate:
        options |= {"evaluate": True, "attention": ()}
    else:
        options["scores_only"] = True
    yield from visualizer.analyze_each(texts, **options)
