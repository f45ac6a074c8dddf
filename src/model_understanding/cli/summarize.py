"""``summarize``: what a run over a data set says about the model, and how two runs differ."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_understanding.cli import options
from model_understanding.cli.console import data_console, print_json, print_message, reserved_stdout
from model_understanding.cli.progress import Steps, duration
from model_understanding.dataset.summary.sampling import EVALUATED
from model_understanding.errors import InputError, ModelUnderstandingError

if TYPE_CHECKING:
    from typing import TextIO

    from model_understanding.dataset.summary.summarize import Progress
    from model_understanding.results import DatasetSummary

_LONG = {"Testing words causally": "at most {of:,} texts", "Evaluating a sample": "{of:,} rows"}
"""What takes long, and in which units it is counted."""
_FIRST_SECONDS, _SECONDS = 5, 30  # until a line of progress where there is no terminal, and between two
SUMMARIES = ("summary.html", "summary.json")


def summarize(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that `model-understanding dataset --out` wrote.")
    ],
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR2",
            help="Compare with this run: another model on the same data, or the same model on other data.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="The run's model, if it has moved.", show_default="as in manifest.json"
        ),
    ] = None,
    causal: Annotated[
        bool, typer.Option("--causal/--no-causal", help="Test words by inserting them into other texts.")
    ] = True,
    sample: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Rows whose scores are evaluated: about 50 to 250 forward passes each.",
        ),
    ] = EVALUATED,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the bootstrap and samples.")] = 0,
    json_output: options.Json = False,
) -> None:
    """Summarize a run over a data set: what the model relies on, and where it is wrong.

    Prints the words and phrases that matter most for each answer, words that decide an answer by themselves
    (tested by inserting them into other texts), groups of errors with one reason, and how faithful the scores
    of a random sample are. Writes summary.html and summary.json into DIR; with --compare, comparison.html and
    comparison.json. With --no-causal --sample 0 no model is loaded.
    """
    with reserved_stdout() as stream:
        if compare is not None:
            _check_alone(context)
            _compare(folder, compare, seed, json_output, stream)
            return
        with Steps() as steps:
            steps("Importing torch and transformers")
            from model_understanding.dataset.summary.summarize import summarize_dataset

            explainer = _model_of(folder, model, steps) if causal or sample else None
            if explainer is None:
                causal, sample = False, 0
            summary = summarize_dataset(
                folder, explainer, causal=causal, sample=sample, seed=seed, progress=shown_in(steps)
            )
        print_summary(summary, folder, json_output, stream)


def print_summary(summary: "DatasetSummary", folder: Path, json_output: bool, stream: "TextIO") -> None:
    """Write a summary into its run's folder, and print it.

    Args:
        summary: The summary.
        folder: The folder.
        json_output: Whether to print it as JSON.
        stream: The stream for data.
    """
    save_summary(summary, folder)
    if json_output:
        print_json(summary.to_json(), stream)
        return
    from model_understanding.show.terminal.dataset_summary import print_dataset_summary

    print_dataset_summary(summary, data_console(stream))
    print_message(f"Saved {folder / SUMMARIES[0]} and {SUMMARIES[1]}.")


def save_summary(summary: "DatasetSummary", folder: Path) -> None:
    """Write a summary into its run's folder."""
    for name in SUMMARIES:
        summary.save(folder / name)


def shown_in(steps: Steps) -> "Progress":
    """Return a function that shows how far a summary is, and about how long what takes long will take."""
    return _Progress(steps)


class _Progress:
    """Says how far a summary is; without a terminal, in a line at the beginning and after some seconds.

    Args:
        steps: Where it is shown.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._what = ""
        self._started = self._next = 0.0

    def __call__(self, what: str, done: int, of: int | None) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._started, self._next = what, now, now + _FIRST_SECONDS
            if what in _LONG and of and not self._steps.is_shown:
                print_message(f"{what}: {_LONG[what].format(of=of)}.")
        seconds = now - self._started
        left = duration(seconds / done * (of - done)) if done and of and seconds > 1 else None
        state = f"{what}: {done:,} of {of:,}" + ("" if left is None else f", about {left} left")
        if self._steps.is_shown:
            self._steps.describe(what, state if what in _LONG else what, done / of if of else None)
        elif what in _LONG and done != of and left is not None and now >= self._next:
            self._next = now + _SECONDS
            print_message(f"{state}.")


def _compare(first: Path, second: Path, seed: int, json_output: bool, stream: "TextIO") -> None:
    with Steps() as steps:
        steps("Importing torch and transformers")
        from model_understanding.dataset.summary.compare import compare_datasets

        comparison = compare_datasets(first, second, seed=seed, progress=shown_in(steps))
    for name in ("comparison.html", "comparison.json"):
        comparison.save(first / name)
    if json_output:
        print_json(comparison.to_json(), stream)
        return
    from model_understanding.show.terminal.dataset_summary import print_dataset_comparison

    print_dataset_comparison(comparison, data_console(stream))
    print_message(f"Saved {first / 'comparison.html'} and comparison.json.")


def _check_alone(context: typer.Context) -> None:
    """Refuse what does not go with ``--compare``, which reads both runs and no model."""
    given = [
        f"--{name}"
        for name in ("model", "causal", "sample")
        if (source := context.get_parameter_source(name)) is not None and source.name != "DEFAULT"
    ]
    if given:
        raise InputError(
            f"--compare reads what both runs stored: {', '.join(given)} cannot be combined with it.",
            hint="Leave it out, or summarize each run by itself.",
        )


def _model_of(folder: Path, model: str | None, steps: Steps) -> Any:
    """Return the run's model; ``None`` if it cannot be had, which is printed."""
    from model_understanding.dataset.model_identity import model_of_run
    from model_understanding.dataset.parts import read_manifest

    manifest = read_manifest(folder)
    steps(f"Loading {model or manifest['model']}")
    try:
        return model_of_run(manifest, model)
    except ModelUnderstandingError as error:
        if model is not None:
            raise
        print_message(
            f"Without causal tests and evaluation: {error.message} To add them: "
            f"model-understanding summarize {shlex.quote(str(folder))} --model MODEL",
            label="note",
        )
        return None
