"""``diff``: which modules' weights make the difference between two models on a text."""

from pathlib import Path
from typing import Annotated, Any

import typer

from model_understanding.cli import options
from model_understanding.cli.columns import SourceText
from model_understanding.cli.console import data_console, print_json, print_message, reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.model_input import GENERATING, FileOptions, InputOptions, ModelInput
from model_understanding.cli.options import takes
from model_understanding.cli.output import check_files, saving
from model_understanding.cli.progress import Steps
from model_understanding.cli.target_options import TargetOptions
from model_understanding.errors import InputError
from model_understanding.results import Failure, ModelDiff, ModelDiffSummary
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION

TASKS = (SEQUENCE_CLASSIFICATION, CAUSAL_LM)
TOO_DIFFERENT = 3  # exit code: the target's value changes by more than --fail-above


@takes_model(metavar="BASE", tasks=TASKS)
@takes(FileOptions, "files", without=("choice_column", "continuation_column"))
@takes(TargetOptions, "asked")
@takes(
    InputOptions,
    "given",
    without=("choices", "labels", "documents", "mask", "max_new_tokens"),
    helps={
        "pair": "Second text of a pair, for a classifier.",
        "continuation": "Continuation of the prompt, whose log-probability is compared.",
    },
)
def diff(
    tuned: Annotated[
        str,
        typer.Argument(
            metavar="TUNED",
            help="Model to compare it with: fine-tuned, merged, quantized, or the folder of an adapter.",
            show_default=False,
        ),
    ],
    texts: options.Texts = None,
    *,
    files: FileOptions,
    given: InputOptions,
    asked: TargetOptions,
    restore: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            help="Also run TUNED with the K modules with the largest values taken from BASE, and with K "
            "random ones: how much of the difference comes back? Modules that share a weight, such as tied "
            "embeddings, are taken together.",
            show_default=False,
        ),
    ] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0,
            help="Exit with code 3 if the quantity (the answer's logit or log-probability) changes by more "
            "than X, up or down, on any text.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(metavar="K", min=1, help="Most modules and tokens in each list.")] = 8,
    choice: ModelChoice,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option(ModelDiff.SUFFIXES)] = None,
) -> None:
    """Show which modules' weights change the answer between two models, and at which token.

    Both models read the same text. What is booked to the modules sums exactly to the change of the answer.
    For several texts, prints the mean share of each module. For classifiers and language models.
    """
    paths = tuple(out or ())
    check_files(paths, ModelDiff.SUFFIXES)
    sources, model_input = files.texts(texts), given.parsed(files)
    failures = files.failures(len(sources))
    with reserved_stdout() as data:
        with Steps() as steps:

            def check(task: str) -> None:
                if task not in TASKS:
                    raise InputError(
                        f"A diff is of classifiers or language models. Got a model for {task}.",
                        hint="Save a report of each model with explain, and pass both to compare.",
                    )
                model_input.check(task)

            visualizer = load_visualizer(choice, steps, check, model_input.refined)
            question = asked.of(visualizer.task)
            from model_understanding.visualizers.model_diffs import other_visualizer

            steps(f"Loading {tuned}")
            other = other_visualizer(visualizer, tuned)
            if fail_above is not None:
                _require_trained(visualizer, other)
            largest = _Largest()

            def done(source: SourceText, result: ModelDiff | Failure) -> None:
                with steps.paused():
                    if isinstance(result, Failure):
                        failures.add(source, result)
                        return
                    failures.answered()
                    largest.note(source, result)
                    if json_output:  # at once: a later text may be stopped
                        print_json(result.to_json(), data)

            result: ModelDiff | ModelDiffSummary | None
            if len(sources) == 1:
                if visualizer.task in GENERATING:
                    question["continuation"] = given.continuation
                steps("Comparing the models")
                text = model_input.of(visualizer, sources[0])
                difference = visualizer.compute_model_diff(other, text, restore=restore, **question)
                done(sources[0], difference)
                result = difference
            else:
                if given.continuation is not None:
                    raise InputError("--continuation is for one text.", hint="Pass one text, or drop it.")
                result = _of_several(
                    visualizer, other, sources, model_input, {**question, "restore": restore}, steps, done
                )
        if result is not None:
            with saving(paths, result.save):
                if not json_output:
                    from model_understanding.show.terminal.model_diff import (
                        print_model_diff,
                        print_model_diff_summary,
                    )

                    if isinstance(result, ModelDiff):
                        print_model_diff(result, data_console(data), top=top)
                    else:
                        print_model_diff_summary(result, data_console(data), top=top)
                elif isinstance(result, ModelDiffSummary):
                    print_json(result.to_json(), data)
    failures.finish()
    if fail_above is not None:
        largest.require_below(fail_above)


def _require_trained(*visualizers: Any) -> None:
    """Raise InputError if a limit is set on what random weights change."""
    for visualizer in visualizers:
        loaded = visualizer.runner.model.loaded
        if loaded.untrained:
            raise InputError(
                f"The head of {loaded.provenance.model} is untrained: there is nothing to compare.",
                hint="Pass a model whose checkpoint has its head, or leave --fail-above out.",
            )


def _of_several(
    visualizer: Any,
    other: Any,
    sources: tuple[SourceText, ...],
    model_input: ModelInput,
    question: dict[str, Any],
    steps: Steps,
    done: Any,
) -> ModelDiffSummary | None:
    """Compare the models on several texts; return ``None`` if none of them could be compared."""
    from model_understanding.attribution.isolation import attempted

    texts, readable = [], []
    for source in sources:
        text = attempted(lambda source=source: model_input.of(visualizer, source), "skip")
        if isinstance(text, Failure):
            done(source, text)
        else:
            texts.append(text)
            readable.append(source)
    rest = iter(readable)
    counted = iter(range(1, len(readable) + 1))
    steps.count("Comparing the models", 0, len(readable))

    def each(result: ModelDiff | Failure) -> None:
        done(next(rest), result)
        steps.count("Comparing the models", next(counted), len(readable))

    if not texts:
        return None
    try:
        return visualizer.compute_model_diffs(other, texts, errors="skip", each=each, **question)
    except InputError:
        if next(rest, None) is None:  # each of them failed, and was noted
            return None
        raise


class _Largest:
    """The text on which the target's value changes most."""

    def __init__(self) -> None:
        self._change = -1.0
        self._what = ""

    def note(self, source: SourceText, result: ModelDiff) -> None:
        """Note the change on a text."""
        if abs(result.difference) > self._change:
            self._change = abs(result.difference)
            self._what = f"{result.target.in_a_sentence()} ({source.source})"

    def require_below(self, most: float) -> None:
        """End with an exit code of its own where the change is too large."""
        if self._change <= most:
            return
        print_message(
            f"The {self._what} changes by {self._change:.6g}; --fail-above allows {most:g}.",
            label="differs",
            style="bold red",
        )
        raise typer.Exit(TOO_DIFFERENT)
