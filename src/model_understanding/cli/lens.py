"""``lens``: what each layer would predict."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from model_understanding.cli import options
from model_understanding.cli.console import data_console, print_json, reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.model_input import GENERATING, InputOptions
from model_understanding.cli.options import takes
from model_understanding.cli.output import LENS_SUFFIXES, check_files, save_lens, saving
from model_understanding.cli.progress import Steps
from model_understanding.cli.settings import parse_indices
from model_understanding.cli.texts import read_text


@takes_model()
@takes(InputOptions, "given", without=("max_new_tokens",))
def lens(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Text to explain. - reads it from standard input.")
    ],
    positions: Annotated[
        str | None,
        typer.Option(
            metavar="POSITIONS",
            help="Token positions after which to read a language model's predictions: -1 (the last) or "
            "several, such as 0,3,5.",
            show_default="all; with --continuation, those that predict its tokens",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(metavar="K", min=1, help="Number of most likely predictions to keep.")
    ] = 5,
    *,
    given: InputOptions,
    choice: ModelChoice,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option(LENS_SUFFIXES)] = None,
) -> None:
    """Show what each layer would predict (logit lens).

    Applies the model's own final norm and head to the hidden states of each layer. Prints the most likely
    next tokens of a language model, classes of a classifier, or tokens at a mask.
    """
    content = read_text(text)
    paths = tuple(out or ())
    check_files(paths, LENS_SUFFIXES)
    question: dict[str, Any] = {"top": top}
    if positions is not None:
        question["positions"] = parse_indices(
            positions, "--positions", "token positions, such as -1 or 0,3,5", "-1"
        )
    model_input = given.parsed()
    check = partial(model_input.check, language_model_options={"--positions": positions is not None})
    with reserved_stdout() as data:
        with Steps() as steps:
            visualizer = load_visualizer(choice, steps, check, model_input.refined)
            if visualizer.task in GENERATING:
                question["continuation"] = given.continuation
            steps("Computing the logit lens")
            result = visualizer.compute_logit_lens(model_input.of(visualizer, content), **question)
        with saving(paths, partial(save_lens, result)):
            if json_output:
                print_json(result.to_json(), data)
            else:
                from model_understanding.show.terminal.logit_lens import print_lens

                print_lens(result, data_console(data))
