"""``dataset``: explain every row of a data set into a folder of parts."""

import json
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model_understanding.cli.batch import SOME_FAILED
from model_understanding.cli.console import data_console, print_json, print_message, reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.options import LANGUAGE_MODELS, OUTPUT, QuantityName, flag
from model_understanding.cli.progress import Steps, duration
from model_understanding.cli.summarize import print_summary, save_summary, shown_in
from model_understanding.errors import InputError, ModelUnderstandingError
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION

if TYPE_CHECKING:
    from typing import TextIO

    from model_understanding.dataset.local import Progress
    from model_understanding.dataset.run import DatasetRun
    from model_understanding.dataset.sources import Source

COLUMNS = "Columns"
ENGINE = "Several machines or GPUs"
SAMPLE = 20  # rows whose scores are evaluated for the summary at the end
_SECONDS = 30  # between two lines of progress where there is no terminal


class PartFormatName(StrEnum):
    """The format of the parts."""

    PARQUET = "parquet"
    JSONL = "jsonl"


class EngineName(StrEnum):
    """What runs the model."""

    LOCAL = "local"
    RAY = "ray"


def _column(option: str, what: str, default: str | bool = False) -> typer.models.OptionInfo:
    return typer.Option(
        option, metavar="NAME", help=f"Column of {what}.", show_default=default, rich_help_panel=COLUMNS
    )


@takes_model(tasks=(SEQUENCE_CLASSIFICATION, CAUSAL_LM))
def dataset(
    data: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A .csv, .tsv, .jsonl or .parquet file, a folder of .parquet files, a file with a text per "
            "line, or demo:reviews, 320 reviews that are part of this package.",
            show_default=False,
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder for the parts and manifest.json; created if it does not exist.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ],
    text: Annotated[str | None, _column("--column", "the texts or prompts", "guessed")] = None,
    pair: Annotated[str | None, _column("--pair-column", "the second texts of pairs", "guessed")] = None,
    label: Annotated[str | None, _column("--label-column", "the right classes", "guessed")] = None,
    identity: Annotated[
        str | None, _column("--id-column", "the names of rows", "guessed, else their place in the input")
    ] = None,
    target: Annotated[
        str | None,
        _column("--target-column", "what to explain in place of the model's own answers"),
    ] = None,
    continuation: Annotated[
        str | None, _column("--continuation-column", "the continuations of prompts")
    ] = None,
    chat: Annotated[str | None, _column("--chat-column", "chat messages, in place of a text")] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            metavar="NAME",
            help="Attribution method: fast (for classifiers 2 passes per text), default (5), or a name that "
            "`model-understanding methods` lists.",
        ),
    ] = "fast",
    quantity: Annotated[
        QuantityName | None,
        typer.Option(
            help="Quantity to explain.", show_default="log_prob for tokens of a vocabulary; else logit"
        ),
    ] = None,
    evaluate: Annotated[
        bool,
        flag(
            "--evaluate", help="Evaluate each row's faithfulness: about 50 to 250 more forward passes each."
        ),
    ] = False,
    max_new_tokens: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Maximum number of tokens to generate, where no column holds the continuation.",
            rich_help_panel=LANGUAGE_MODELS,
        ),
    ] = 32,
    file_format: Annotated[
        PartFormatName, typer.Option("--format", help="Format of the parts.", rich_help_panel=OUTPUT)
    ] = PartFormatName.PARQUET,
    rows_per_part: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Rows per part. A run that is killed repeats the rows of at most two parts.",
            rich_help_panel=OUTPUT,
        ),
    ] = 2048,
    resume: Annotated[
        bool,
        flag(
            "--resume",
            help="Continue the same run in this folder; another model, method or input is refused.",
            panel=OUTPUT,
        ),
    ] = False,
    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N",
            help="Explain only every Nth part, from part I (counted from 0): one process or machine of N, "
            "all with the same --out.",
            rich_help_panel=ENGINE,
        ),
    ] = "0/1",
    engine: Annotated[
        EngineName,
        typer.Option(
            help="local: this process. ray: actors of Ray Data, on the cluster that RAY_ADDRESS names, else "
            "on this machine.",
            rich_help_panel=ENGINE,
        ),
    ] = EngineName.LOCAL,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of actors of Ray, each with its own copy of the model.",
            show_default="as many as there is room for",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    num_gpus: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0,
            help="GPUs of each actor of Ray; 0.5 lets two share one.",
            show_default="1 if the model is on a GPU, else 0",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    max_errors: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Stop when more rows than this fail.",
            show_default="any number may fail",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    summarize: Annotated[
        bool,
        typer.Option(
            "--summary/--no-summary",
            help="Summarize the rows at the end, if all parts are there: summary.html and summary.json.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    choice: ModelChoice,
    json_output: Annotated[bool, flag("--json", help="Print the counts as JSON.", panel=OUTPUT)] = False,
) -> None:
    """Explain every row of a data set, of any size, and summarize what the model relies on.

    For classifiers and language models. Says first how long it will take. Writes each row's answer and scores
    to DIR, in files of a fixed number of rows (parts), and at the end the summary: summary.html, to be
    opened in a browser, and summary.json.
    `model-understanding explain --from DIR --id ID --out report.html` opens a row as a report.

    A run that was stopped, by Ctrl-C or a crash, goes on with --resume. A row that cannot be explained keeps
    its error in the column `error` and stops nothing; the exit code is then 3. The summary evaluates 20 rows
    and tests words by inserting them; it says before how many forward passes that takes at most.
    `model-understanding summarize DIR` does the same with 100 rows.
    """
    numbers = _parsed_shard(shard)
    columns = {
        "text": text,
        "pair": pair,
        "label": label,
        "id": identity,
        "target": target,
        "continuation": continuation,
        "chat": chat,
    }
    with reserved_stdout() as stream:
        with Steps() as steps:
            steps("Importing torch and transformers")
            from model_understanding.attribution.choose import check_method
            from model_understanding.dataset.local import check_task
            from model_understanding.dataset.parts import how_to_complete
            from model_understanding.dataset.run import check_engine, explain_dataset
            from model_understanding.dataset.sources import source_of
            from model_understanding.dataset.table import parts_of

            check_method(method)
            source = source_of(data)  # before the model is loaded
            check_engine(engine.value, source, concurrency, num_gpus)
            parts_of(file_format.value)
            visualizer = load_visualizer(choice, steps, check_task)
        with Steps() as steps:
            steps("Estimating")
            shown = _Progress(steps)
            with _summary_of_what_is_there(out):
                run = explain_dataset(
                    visualizer,
                    data,
                    out,
                    columns={name: column for name, column in columns.items() if column is not None},
                    method=method,
                    quantity=quantity,
                    evaluate=evaluate,
                    form=file_format.value,
                    rows_per_part=rows_per_part,
                    shard=numbers,
                    engine=engine.value,
                    concurrency=concurrency,
                    num_gpus=num_gpus,
                    resume=resume,
                    max_errors=max_errors,
                    max_new_tokens=max_new_tokens,
                    progress=shown,
                )
        counts = {
            "folder": str(run.folder),
            "rows": run.rows,
            "failed": run.failed,
            "skipped": run.skipped,
            "parts": len(run.parts),
        }
        if json_output:
            print_json(json.dumps(counts, ensure_ascii=False), stream)
        else:
            data_console(stream).print(_in_words(counts), soft_wrap=True, markup=False, highlight=False)
        if run.missing_parts:
            print_message(how_to_complete(run.missing_parts, numbers[1]))
        if run.failed == run.rows:
            pass  # there is nothing to summarize
        elif not summarize or not _is_whole(run, source, numbers[1]):
            print_message(_how_to_summarize(out))
        else:
            _summarize(run, json_output, stream)
    if run.failed:
        print_message(
            f"{run.failed:,} of {run.rows:,} rows failed; the column error says why.",
            label="error",
            style="bold red",
        )
        raise typer.Exit(SOME_FAILED)


class _Progress:
    """Says what a run will take, and how far it is."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._is_first = True
        self._next = time.monotonic() + _SECONDS

    def __call__(self, progress: "Progress") -> None:
        if self._is_first:
            self._is_first = False
            with self._steps.paused():
                print_message(_estimate(progress))
        now = time.monotonic()
        if progress.starting:
            self._start(f"Starting {progress.starting}")
        elif self._steps.is_shown:
            share = progress.rows / progress.total if progress.total else None
            self._steps.describe("Explaining", f"Explaining: {_state(progress)}", share)
        elif now >= self._next:
            self._next = now + _SECONDS
            print_message(f"{_state(progress)}.")

    def _start(self, what: str) -> None:
        if self._steps.is_shown:
            self._steps(f"{what}…")
        else:
            print_message(f"{what}…")


def _estimate(progress: "Progress") -> str:
    columns = f", {progress.columns}" if progress.columns else ""
    rows = "" if progress.total is None else f"{progress.total:,} row{'s' * (progress.total != 1)}"
    left = progress.seconds_left
    time_left = "" if left is None else f", about {duration(left)} ({progress.rate:,.3g} rows per second)"
    return f"Reading {progress.source}{columns}: {rows or 'rows'}{time_left}."


def _state(progress: "Progress") -> str:
    of_all = "" if progress.total is None else f" of {progress.total:,}"
    parts = [f"{progress.rows:,}{of_all} rows"]
    parts += [f"{progress.failed:,} failed"] if progress.failed else []
    parts += [] if progress.rate is None else [f"{progress.rate:,.3g} rows/s"]
    parts += [] if progress.seconds_left is None else [f"{duration(progress.seconds_left)} left"]
    return ", ".join(parts)


def _in_words(counts: dict[str, int | str]) -> str:
    words = f"{counts['rows']:,} row{'s' * (counts['rows'] != 1)}"
    if is_done := bool(counts["rows"]) and counts["skipped"] == counts["rows"]:
        there = "the only row is" if counts["rows"] == 1 else f"all {words} are"
        words = f"Nothing left to do: {there} there"
    words += f", {counts['failed']:,} of them failed" if counts["failed"] else "" if is_done else " explained"
    words += f", {counts['skipped']:,} by an earlier run" if counts["skipped"] and not is_done else ""
    parts = "1 part" if counts["parts"] == 1 else f"{counts['parts']:,} parts"
    return f"{words}. {counts['folder']}: {parts} and manifest.json."


def _how_to_summarize(folder: Path) -> str:
    return f"To summarize it: model-understanding summarize {shlex.quote(str(folder))}"


@contextmanager
def _summary_of_what_is_there(folder: Path) -> Iterator[None]:
    """Say how to summarize the parts of a run that is stopped."""
    before = set(folder.glob("part-*"))
    try:
        yield
    except (InputError, KeyboardInterrupt):
        if set(folder.glob("part-*")) - before:
            print_message(_how_to_summarize(folder))
        raise


def _is_whole(run: "DatasetRun", source: "Source", shards: int) -> bool:
    """Return whether a folder has all parts of a data set, those of other processes included."""
    if shards == 1:
        return True
    rows = source.count()
    return rows is not None and len(run.parts) == -(-rows // run.manifest["rows_per_part"])


def _summarize(run: "DatasetRun", json_output: bool, stream: "TextIO") -> None:
    """Summarize a run, with its model in memory; where that fails, say so: the rows are there."""
    from model_understanding.dataset.summary.reading import gives_classes
    from model_understanding.dataset.summary.shortcuts import most_forward_passes
    from model_understanding.dataset.summary.trust import MOST_PASSES

    tests = most_forward_passes() if gives_classes(run.manifest) else 0
    evaluated = 0 if run.manifest["evaluate"] else min(SAMPLE, run.rows)
    work = [f"testing words causally (at most {tests:,} forward passes)"] if tests else []
    if evaluated:
        rows = f"a sample of {evaluated:,} row{'s' * (evaluated != 1)}"
        work.append(f"evaluating {rows} (at most {evaluated * MOST_PASSES:,})")
    print_message(f"Summary: {', '.join(['counting words', *work])}; --no-summary skips it.")
    try:
        with Steps() as steps:
            summary = run.summary(sample=SAMPLE, progress=shown_in(steps))
    except ModelUnderstandingError as error:
        print_message(f"Not summarized. {error.message} {_how_to_summarize(run.folder)}", label="note")
        return
    if json_output:
        save_summary(summary, run.folder)
    else:
        print_summary(summary, run.folder, json_output=False, stream=stream)


def _parsed_shard(text: str) -> tuple[int, int]:
    """Return the number of a shard and how many there are.

    >>> _parsed_shard("2/8")
    (2, 8)
    """
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if match is None:
        raise InputError(
            f"--shard is I/N, a number from 0 and how many there are. Got {text!r}.",
            hint="Pass --shard 0/4 to the first of four processes, for example.",
        )
    return int(match[1]), int(match[2])
