"""``evaluate``: how faithful explanations are to the model."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model_understanding.cli import options
from model_understanding.cli.columns import SourceText
from model_understanding.cli.console import data_console, print_json, print_message, reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.model_input import GENERATING, FileOptions, InputOptions, ModelInput
from model_understanding.cli.options import takes
from model_understanding.cli.progress import Steps
from model_understanding.cli.settings import parse_methods, parse_metrics
from model_understanding.errors import UnsupportedModelError
from model_understanding.registry import METHODS
from model_understanding.results import Assessment, Failure
from model_understanding.results.assessment_summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence

TOO_LOW = 3  # exit code: a z-score is below --fail-below


@takes_model()
@takes(FileOptions, "files")
@takes(InputOptions, "given")
def evaluate(
    texts: options.Texts = None,
    *,
    files: FileOptions,
    given: InputOptions,
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Methods to evaluate, comma-separated, or all for every method that supports the model.",
        ),
    ] = "default",
    metrics: options.Metrics = None,
    draws: Annotated[
        int, typer.Option(metavar="N", min=5, help="Number of random removal orders to compare with.")
    ] = 5,
    seed: Annotated[int, typer.Option(metavar="SEED", help="Seed of the random orders.")] = 0,
    fail_below: Annotated[
        float | None,
        typer.Option(
            metavar="Z",
            help="Exit with code 3 if the z-score of an explanation against permuted scores is below Z or "
            "cannot be computed. With several texts, the mean z-score of each method counts.",
            show_default=False,
        ),
    ] = None,
    choice: ModelChoice,
    json_output: options.Json = False,
) -> None:
    """Evaluate how faithful explanations are to the model.

    Explains the model's own answer; of a language model the whole continuation. Then removes tokens, and
    tests whether the scores predict the effects better than permuted scores do. Prints a verdict (supported,
    weak, not supported or not evaluated) with its reasons; for several texts, the share of each verdict and
    the mean of each metric. --json also prints the evaluation of each text. A text that fails is skipped,
    named and counted, and the exit code is 3.
    """
    sources, model_input = files.texts(texts), given.parsed(files)
    failures = files.failures(len(sources))
    assessments, answered = list[Assessment](), 0
    with reserved_stdout() as data:
        with Steps() as steps:
            steps("Importing torch and transformers")
            method_names, metric_names = parse_methods(methods), parse_metrics(metrics)
            visualizer = load_visualizer(choice, steps, model_input.check, model_input.refined)
            settings = {"metrics": metric_names, "draws": draws, "seed": seed}
            from model_understanding.attribution.isolation import attempted

            for number, source in enumerate(sources):
                if len(sources) > 1:
                    steps.count("Evaluating", number, len(sources))
                else:
                    steps("Evaluating")
                assess = partial(_assessments, visualizer, source, model_input, method_names, settings)
                result = attempted(assess, "skip" if len(sources) > 1 else "raise")
                with steps.paused():
                    if isinstance(result, Failure):
                        failures.add(source, result)
                        continue
                    failures.answered()
                    answered += 1
                    assessments += result
                    if json_output:  # at once: a later text may be stopped
                        for assessment in result:
                            print_json(assessment.to_json(), data)
        summaries = summarize(assessments) if len(sources) > 1 and assessments else ()
        if json_output:
            for summary in summaries:
                print_json(summary.to_json(), data)
        elif assessments:
            from model_understanding.show.terminal.verdicts import print_assessments, print_summaries

            if summaries:
                print_summaries(summaries, data_console(data), texts=answered)
            else:
                print_assessments(assessments, data_console(data))
    failures.finish()
    if fail_below is not None:
        _require(summaries or assessments, fail_below)


def _assessments(
    visualizer: Any,
    source: SourceText,
    model_input: ModelInput,
    methods: "Sequence[str]",
    settings: dict[str, Any],
) -> list[Assessment]:
    """Explain a text by each method and assess them together, so that each variant of the text runs once.

    Args:
        visualizer: The loaded model.
        source: The text.
        model_input: How it becomes the model's input.
        methods: The methods; of all methods those that do not support the model are not evaluated.
        settings: How it is evaluated.
    """
    text = model_input.of(visualizer, source)
    question: dict[str, Any] = {}
    if visualizer.task in GENERATING:
        question = {"target": "continuation", **model_input.generation(source)}
    attributions, refused = [], []
    for name in methods:
        try:
            attributions.append(visualizer.compute_saliency(text, method=name, **question))
        except UnsupportedModelError as error:
            if methods != METHODS.names():
                raise
            refused.append(_not_evaluated(name, error))
    return [*visualizer.evaluate(attributions, **settings), *refused]


def _require(results: "Sequence[Any]", least: float) -> None:
    """End with an exit code of its own where a z-score is too low."""
    for result in results:
        if result.advantage is None or result.advantage < least:
            problem = (
                "could not be evaluated" if result.advantage is None else f"has z = {result.advantage:.3g}"
            )
            print_message(
                f"{result.method} {problem}; --fail-below requires {least:g}.",
                label="too low",
                style="bold red",
            )
            raise typer.Exit(TOO_LOW)


def _not_evaluated(method: str, error: Exception) -> Assessment:
    """Return the assessment of a method that does not support the model."""
    return Assessment(method=method, target="", verdict="not evaluated", reasons=(str(error),))
