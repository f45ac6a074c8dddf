"""``demo``: explains a sentence and a prompt with the two demo models, and leaves pictures and pages."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

if TYPE_CHECKING:
    from model_understanding.cli.progress import Steps
    from model_understanding.results import Report
    from model_understanding.visualizers.base import Visualizer

SENTENCE = "The movie was absolutely fantastic!"
PROMPT = "Once upon a time in a land far away,"
NEW_TOKENS = 16


def demo(
    out_dir: Annotated[Path, typer.Option(help="Where to leave pictures, pages and JSON.")] = Path(
        "demo-output"
    ),
) -> None:
    """Explain a sentence and a prompt with the two demo models.

    The classifier is part of this package; the language model (93 MB) is fetched on its first use and cached.
    """
    from model_understanding.cli.console import (
        print_message,
        quiet_libraries,
        report_failure,
        reserved_stdout,
    )
    from model_understanding.cli.progress import Steps
    from model_understanding.errors import LoadingError, MissingExtraError

    quiet_libraries()
    with reserved_stdout() as data:
        with Steps(keep=True) as steps:
            report = _classification(out_dir, steps)
        _print_part("demo:sentiment", report, data)
        try:
            with Steps(keep=True) as steps:
                report = _generation(out_dir, steps)
        except (LoadingError, MissingExtraError) as error:
            print_message(f"The classifier's part is in {out_dir}; the language model's part is missing:")
            report_failure(error)
            raise typer.Exit(1) from error
        _print_part("demo:smollm2", report, data)
        print_message(f"Pictures, pages and JSON are in {out_dir}.")


def _classification(folder: Path, steps: "Steps") -> "Report":
    from model_understanding.cli.model_argument import ModelChoice, TaskName, loaded_visualizer

    choice = ModelChoice(name="demo:sentiment", task=TaskName.SEQUENCE_CLASSIFICATION)
    visualizer = loaded_visualizer(choice, steps)
    steps("Explaining the sentence")
    report = visualizer.analyze(SENTENCE, show=False)
    _save(report, visualizer, folder, "classification", steps)
    return report


def _generation(folder: Path, steps: "Steps") -> "Report":
    from model_understanding.cli.model_argument import ModelChoice, TaskName, loaded_visualizer

    visualizer = loaded_visualizer(ModelChoice(name="demo:smollm2", task=TaskName.CAUSAL_LM), steps)
    from model_understanding.visualizers import GenerativeModelVisualizer

    assert isinstance(visualizer, GenerativeModelVisualizer)
    steps("Explaining the prompt")
    report = visualizer.analyze(PROMPT, max_new_tokens=NEW_TOKENS, show=False)
    _save(report, visualizer, folder, "generation", steps)
    return report


def _save(report: "Report", visualizer: "Visualizer", folder: Path, name: str, steps: "Steps") -> None:
    """Write the two pictures, the page and the JSON of one part."""
    from model_understanding.cli.output import picture
    from model_understanding.results.files import write_atomically

    steps("Drawing the pictures")
    # A language model's report has the loss of its prompt last: the saliency map of the prompt.
    saliency = visualizer.plot_saliency(report.attributions[-1])
    write_atomically(folder / f"{name}_saliency_map.png", picture(saliency, "png"))
    attention = visualizer.plot_attention(report.attention[0])
    write_atomically(folder / f"{name}_attention_fig.png", picture(attention, "png"))
    steps("Writing the page and the JSON")
    report.save(folder / f"{name}_report.html")
    report.save(folder / f"{name}_report.json")


def _print_part(title: str, report: "Report", data: TextIO) -> None:
    from model_understanding.cli.output import print_report

    data.write(f"\n{title}\n")
    print_report(report, data)
    data.flush()
