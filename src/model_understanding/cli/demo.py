"""``demo``: explains a sentence and a prompt, each with a demo model, and saves figures and pages."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from model_understanding.cli.console import data_console, print_message, report_failure, reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer
from model_understanding.cli.output import save_figure
from model_understanding.cli.progress import Steps
from model_understanding.errors import LoadingError, MissingExtraError

if TYPE_CHECKING:
    from model_understanding.results import Report

SENTENCE = "The movie was absolutely fantastic!"
PROMPT = "Once upon a time in a land far away,"
NEW_TOKENS = 16


def demo(
    out_dir: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for figures, HTML pages and JSON files.")
    ] = Path("demo-output"),
) -> None:
    """Explain a sentence with the demo classifier, and a prompt with the demo language model.

    The classifier is part of this package. The language model (93 MB) is downloaded on first use and cached.
    """
    with reserved_stdout() as data:
        _explain("demo:sentiment", SENTENCE, {}, out_dir / "classification", data)
        try:
            _explain("demo:smollm2", PROMPT, {"max_new_tokens": NEW_TOKENS}, out_dir / "generation", data)
        except (LoadingError, MissingExtraError) as error:
            print_message(f"The classifier's results are in {out_dir}. The language model cannot be loaded:")
            report_failure(error)
            raise typer.Exit(1) from error
        print_message(f"Figures, HTML pages and JSON files are in {out_dir}.")


def _explain(model: str, text: str, options: dict[str, Any], prefix: Path, data: TextIO) -> None:
    """Explain a text with a demo model, save the result and print it.

    Args:
        model: The demo model.
        text: The text.
        options: Options of ``analyze``.
        prefix: How the paths of the files begin.
        data: The stream for data.
    """
    with Steps(keep=True) as steps:
        visualizer: Any = load_visualizer(ModelChoice(name=model), steps, lambda _task: None)
        steps("Explaining the prompt" if options else "Explaining the sentence")
        report = visualizer.analyze(text, **options, show=False)
        _save(report, visualizer, prefix, steps)
    from model_understanding.show.terminal.report import print_report

    data.write(f"\n{model}\n")
    print_report(report, data_console(data))
    data.flush()


def _save(report: "Report", visualizer: Any, prefix: Path, steps: Steps) -> None:
    """Save the two figures, the page and the JSON of a report."""
    steps("Drawing the figures")
    # The last attribution of a language model's report is of the prompt's loss.
    saliency = visualizer.plot_saliency(report.attributions[-1])
    save_figure(saliency, prefix.with_name(f"{prefix.name}_saliency_map.png"))
    attention = visualizer.plot_attention(report.attention[0])
    save_figure(attention, prefix.with_name(f"{prefix.name}_attention_fig.png"))
    steps("Writing the HTML page and the JSON file")
    report.save(prefix.with_name(f"{prefix.name}_report.html"))
    report.save(prefix.with_name(f"{prefix.name}_report.json"))
