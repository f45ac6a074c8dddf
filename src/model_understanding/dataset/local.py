"""The local engine: windows of rows, each explained and written as one part."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any

from model_understanding.attribution.isolation import attempted
from model_understanding.dataset.parts import OutputFolder, digest_of
from model_understanding.dataset.rows import Columns, DataRow
from model_understanding.dataset.table import FIELDS, result_of
from model_understanding.dataset.waiting import WaitingResults
from model_understanding.errors import InputError
from model_understanding.model.memory import SteadyMemory, free_bytes
from model_understanding.model.settings import largest
from model_understanding.results import Failure, Report
from model_understanding.targets.classification import labels_of
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION

Explain = Callable[[Sequence[DataRow]], Iterator[tuple[int, Report | Failure]]]
"""Yields the place of a row among those given, and its report, in any order."""

_SAMPLED = 16  # rows that tell the pace before a run
_LONG = 4096  # characters, from which a text's memory is estimated first
_CHECKED = 16  # rows, after which the memory of the process is looked at
_SLOW = 0.5  # seconds: where a row takes longer, one other tells it


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


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is.

    Args:
        source: What the data set is called.
        columns: Which of its columns are what, in words; empty for single texts.
        total: Rows that it has; ``None`` if that is not known.
        seconds_per_row: How long a row took in a sample before the run; ``None`` if none could be explained.
        rows: Rows that are done, those of earlier runs included.
        failed: Rows among them that were not explained.
        skipped: Rows among them that an earlier run had done.
        present: Rows that an earlier run has written, before its parts are checked.
        starting: What is started before the first row; empty from then on.
    """

    source: str = ""
    columns: str = ""
    total: int | None = None
    seconds_per_row: float | None = None
    rows: int = 0
    failed: int = 0
    skipped: int = 0
    present: int = 0
    starting: str = ""
    _before: int = 0
    _started: float = field(default_factory=time.perf_counter)

    def start(self) -> None:
        """Count the seconds from now, and rows above those that are done."""
        self.starting = ""
        self._before = self.rows - self.skipped
        self._started = time.perf_counter()

    @property
    def rate(self) -> float | None:
        """Rows per second: of this run once it has run for a second, before that of the sample."""
        done, seconds = self.rows - self.skipped - self._before, time.perf_counter() - self._started
        if done > 0 and (seconds > 1 or not self.seconds_per_row):
            return done / max(seconds, 1e-9)
        return 1 / self.seconds_per_row if self.seconds_per_row else None

    @property
    def seconds_left(self) -> float | None:
        """How long the other rows will take at this rate; ``None`` if that is not known."""
        if self.total is None or self.rate is None:
            return None
        unchecked = max(self.present - self.skipped, 0)
        return max(self.total - self.rows - unchecked, 0) / self.rate


def windows_of(rows: Iterator[DataRow], size: int) -> Iterator[list[DataRow]]:
    """Yield rows in lists of a size, each of which will be a part."""
    while window := list(islice(rows, size)):
        yield window


def run_locally(
    explain: Explain,
    rows: Iterator[DataRow],
    folder: OutputFolder,
    size: int,
    progress: Progress,
    max_errors: int | None = None,
) -> Iterator[Progress]:
    """Explain rows window by window, and write each as a part beside the computation of the next one.

    Args:
        explain: Yields the reports of rows.
        rows: The rows.
        folder: The folder, opened.
        size: Rows of a part.
        progress: Is brought up to date.
        max_errors: The most rows that may fail; any number by default.

    Yields:
        How far the run is, after each row; a part is written when the next one is done, or the run ends.

    Raises:
        InputError: More rows failed than allowed, the input changed, or a part cannot be written; parts that
            are written stay.
    """
    # What cannot be written, and the memory that pyarrow takes once, shows before the first row.
    folder.form.write([dict.fromkeys(FIELDS)], "", BytesIO())
    with writing_beside(folder) as write:
        yield from _run(explain, rows, folder, write, size, progress, max_errors)


@contextmanager
def writing_beside(folder: OutputFolder) -> Iterator[Callable[..., None]]:
    """Yield what writes a part as ``folder.write`` does, but in a thread: in order, and one at a time.

    Who writes the next part waits for the one before, so that at most two are in memory, and gets its error;
    the last one is whole, or its error raised, when the body has ended in whatever way.

    Args:
        folder: The folder, opened.
    """
    pending: Future[None] | None = None

    def write(*part: Any) -> None:
        nonlocal pending
        if pending is not None:
            before, pending = pending, None
            before.result()
        pending = writer.submit(folder.write, *part)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="parts") as writer:
        try:
            yield write
        finally:
            if pending is not None:
                pending.result()


def _run(
    explain: Explain,
    rows: Iterator[DataRow],
    folder: OutputFolder,
    write: Callable[..., None],
    size: int,
    progress: Progress,
    max_errors: int | None,
) -> Iterator[Progress]:
    progress.start()
    count, memory = 0, SteadyMemory()
    for part, window in enumerate(windows_of(rows, size)):
        count = part + 1
        if not folder.shard.has(part):
            continue
        digest = digest_of([row.plain() for row in window])
        if folder.is_done(part, digest):
            progress.skipped += len(window)
            progress.rows += len(window)
            progress.failed += folder.failed(part)
            yield progress
            continue
        results = WaitingResults()
        for index, result in window_results(explain, window, memory):
            results[index] = result
            progress.rows += 1
            progress.failed += result["error"] is not None
            if max_errors is not None and progress.failed > max_errors:
                failed = "1 row" if progress.failed == 1 else f"{progress.failed} rows"
                raise InputError(
                    f"{failed} failed, more than the {max_errors} allowed. The last one is "
                    f"{window[index].place}: {result['error']}",
                    hint="Raise --max-errors, or fix the input. The parts that are written stay.",
                )
            if len(results) < len(window):
                yield progress
        write(part, digest, results)
        yield progress
    folder.check_end(count)


def window_results(
    explain: Explain, window: Sequence[DataRow], memory: SteadyMemory
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the place of each row of a window and its result, in any order.

    Args:
        explain: Yields the reports of rows.
        window: The rows.
        memory: Looks after the memory of the process, over all windows.
    """
    for index, row in enumerate(window):
        if row.problem:
            yield index, result_of(row, Failure(message=row.problem))
    readable = [index for index, row in enumerate(window) if not row.problem]
    if not readable:
        return
    for count, (place, report) in enumerate(explain([window[index] for index in readable]), 1):
        if count % _CHECKED == 0:
            memory.check()
        index = readable[place]
        result = attempted(partial(result_of, window[index], report), "skip")
        yield index, result_of(window[index], result) if isinstance(result, Failure) else result


def explained(
    explainer: Any, settings: Settings, rows: Sequence[DataRow]
) -> Iterator[tuple[int, Report | Failure]]:
    """Yield the report of each row, with answer, scores and, if asked for, the verdict.

    Rows whose text is all that they give share passes; those with a target or a continuation of their own
    are explained with the others of the same.

    Args:
        explainer: The visualizer of a classifier or a language model.
        settings: How they are explained.
        rows: The rows.

    Yields:
        The place of a row and its report, or why it has none.
    """
    explain = _of_language_model if explainer.task == CAUSAL_LM else _of_classifier
    too_large = [_too_large(explainer, row) for row in rows]
    yield from ((index, problem) for index, problem in enumerate(too_large) if problem is not None)
    fitting = [index for index, problem in enumerate(too_large) if problem is None]
    for place, report in explain(explainer, settings, [rows[index] for index in fitting]):
        index = fitting[place]
        if settings.evaluate and isinstance(report, Report):
            report = attempted(partial(_evaluated, explainer, report), "skip")
        yield index, report


def _too_large(explainer: Any, row: DataRow) -> Failure | None:
    """Return why a text of a model without a longest input does not fit in memory; ``None`` if it may.

    The system ends a process that takes more memory than there is, and all other rows with it.
    """
    model = explainer.runner.model
    is_long = isinstance(row.text, str) and len(row.text) + len(row.pair or "") > _LONG
    if not is_long or model.longest_input is not None:
        return None
    tokens = sum(len(model.tokenizer.tokenize(text)) for text in (row.text, row.pair) if text)
    heads = largest(model.config.get_text_config(), "num_attention_heads")
    biases = 4 * heads * tokens**2  # of positions that are relative, in place of a table with a longest input
    needed, free = model.memory.row_bytes(tokens, gradients=False) + biases, free_bytes(model.device)
    if needed <= free:
        return None
    return Failure(
        message=f"The text has {tokens} tokens; a forward pass needs about {needed / 1e9:.1f} GB of memory, "
        f"and {free / 1e9:.1f} GB are free.",
        hint="Pass a shorter text: texts are never truncated silently.",
    )


def seconds_per_row(explain: Explain, rows: Sequence[DataRow]) -> float | None:
    """Return how long a row takes, measured on a few of a window; ``None`` if none can be explained.

    Args:
        explain: Explains rows.
        rows: The first rows of the data set.
    """
    readable = [row for row in rows if not row.problem]
    if not readable:
        return None

    def seconds(sample: Sequence[DataRow]) -> float | None:
        started = time.perf_counter()
        answered = sum(isinstance(report, Report) for _, report in explain(sample))
        return (time.perf_counter() - started) / len(sample) if answered else None

    first = seconds(readable[:1])  # also what is done once for a model
    if first is not None and first > _SLOW:
        return seconds(readable[len(readable) // 2 :][:1])
    return seconds(readable[:: max(1, len(readable) // _SAMPLED)][:_SAMPLED])


def check_task(task: str) -> None:
    """Refuse a kind of model that a run over a data set does not explain.

    Raises:
        InputError: It is neither a classifier nor a language model.
    """
    if task not in (SEQUENCE_CLASSIFICATION, CAUSAL_LM):
        raise InputError(
            f"A run over a data set explains classifiers and language models. Got {task}.",
            hint="Use model-understanding explain --file, or analyze_each in Python.",
        )


def check_explainer(explainer: Any, columns: Columns) -> None:
    """Refuse a kind of model that a run over a data set does not explain, or columns that it cannot use.

    Raises:
        InputError: It is neither a classifier nor a language model, or a column is of the other one.
    """
    check_task(explainer.task)
    unused = "pair" if explainer.task == CAUSAL_LM else "continuation"
    column = columns.named().get(unused)
    if column is not None:
        raise InputError(
            f"A {'language model' if unused == 'pair' else 'classifier'} has no {unused}. Got the column "
            f"{column!r} for it.",
            hint="Leave it out, or name the column of the text: --column, or columns={'text': …} in Python.",
        )


def _of_classifier(
    explainer: Any, settings: Settings, rows: Sequence[DataRow]
) -> Iterator[tuple[int, Report | Failure]]:
    """Explain the model's own answers together, and rows with a target along with the others of the same."""
    quantity = settings.quantity or explainer.default_quantity
    groups: dict[str | None, list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(row.target, []).append(index)
    for target, members in groups.items():
        texts = [rows[index].text_or_pair() for index in members]
        if target is None:
            positions = explainer.runner.model.memory.positions_of_a_run()
            reports = explainer._answers_and_scores(
                texts, method=settings.method, quantity=quantity, positions=positions
            )
        else:
            reports = _with_target(explainer, settings.method, quantity, texts, target)
        yield from ((members[place], report) for place, report in reports)


def class_named(explainer: Any, target: str) -> str | int:
    """Return the class that a column of targets names: a label, else the number of one."""
    labels = labels_of(explainer.runner.model.config)
    return int(target) if target not in labels and target.isdecimal() else target


def _with_target(
    explainer: Any, method: str, quantity: str, texts: Sequence[Any], target: str
) -> Iterator[tuple[int, Report | Failure]]:
    named = class_named(explainer, target)

    def reports() -> list[Report | Failure]:
        return list(
            explainer.analyze_each(
                texts, method=method, quantity=quantity, target=named, scores_only=True, errors="skip"
            )
        )

    found = attempted(reports, "skip")  # fails as a whole if there is no such class
    yield from enumerate([found] * len(texts) if isinstance(found, Failure) else found)


def _of_language_model(
    explainer: Any, settings: Settings, rows: Sequence[DataRow]
) -> Iterator[tuple[int, Report | Failure]]:
    """Explain each continuation as a whole: one row of scores for all of its tokens."""
    quantity = {} if settings.quantity is None else {"quantity": settings.quantity}

    def report(row: DataRow) -> Report | Failure:
        (found,) = explainer.analyze_each(
            iter([row.text]),
            method=settings.method,
            target=row.target or "continuation",
            continuation=row.continuation,
            max_new_tokens=settings.max_new_tokens,
            per_token=False,
            scores_only=True,
            errors="skip",
            **quantity,
        )
        return found

    for index, row in enumerate(rows):
        yield index, attempted(partial(report, row), "skip")


def _evaluated(explainer: Any, report: Report) -> Report:
    assessment = explainer.evaluate(report.attributions[0])
    return replace(report, evaluations=tuple(assessment.evaluations))
