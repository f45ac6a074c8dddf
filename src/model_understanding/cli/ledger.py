"""``ledger``: where in the model, and at which token, the difference between two texts arises."""

from pathlib import Path
from typing import Annotated, Any

import typer

from model_understanding.cli import options
from model_understanding.cli.console import data_console, print_json, reserved_stdout
from model_understanding.cli.model_argument import ModelChoice, load_visualizer, takes_model
from model_understanding.cli.model_input import GENERATING, InputOptions
from model_understanding.cli.options import takes
from model_understanding.cli.output import check_files, saving
from model_understanding.cli.progress import Steps
from model_understanding.cli.target_options import TargetOptions
from model_understanding.cli.texts import read_text
from model_understanding.errors import InputError
from model_understanding.results import Ledger
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION


@takes_model(tasks=(SEQUENCE_CLASSIFICATION, CAUSAL_LM))
@takes(TargetOptions, "asked")
@takes(InputOptions, "given", without=("choices", "labels", "documents", "mask", "max_new_tokens"))
def ledger(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Text to explain. - reads it from standard input.")
    ],
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Text that it is compared with.",
            show_default="the text's own baseline",
        ),
    ] = None,
    *,
    asked: TargetOptions,
    baseline: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Without --reference, what replaces the text's embeddings: mask, pad, mean, zero, id:NUMBER "
            "or text:WORDS.",
            show_default="the mask token, else the padding token, else the mean embedding",
        ),
    ] = "default",
    top: Annotated[
        int,
        typer.Option(
            metavar="K",
            min=1,
            help="Most places in each list; of the hidden states at a token, one is listed.",
        ),
    ] = 8,
    given: InputOptions,
    choice: ModelChoice,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option(Ledger.SUFFIXES)] = None,
) -> None:
    """Show where in the model a difference between two texts arises, and at which token.

    Compares the hidden states of two runs. What passes each layer and token sums exactly to the difference
    of the answer. For classifiers and language models.
    """
    content = read_text(text)
    paths = tuple(out or ())
    check_files(paths, Ledger.SUFFIXES)
    other = None if reference is None else read_text(reference)
    model_input = given.parsed()
    with reserved_stdout() as data:
        with Steps() as steps:
            visualizer = load_visualizer(choice, steps, model_input.check, model_input.refined)
            if not hasattr(visualizer, "compute_ledger"):
                raise InputError(
                    f"A ledger is of a classifier or a language model. Got a model for {visualizer.task}.",
                    hint="Use explain, whose methods work for this kind of model.",
                )
            question: dict[str, Any] = {"baseline": baseline, **asked.of(visualizer.task)}
            if visualizer.task in GENERATING:
                question["continuation"] = given.continuation
            steps("Computing the ledger")
            texts = [None if each is None else model_input.of(visualizer, each) for each in (content, other)]
            result = visualizer.compute_ledger(*texts, **question)
        with saving(paths, result.save):
            if json_output:
                print_json(result.to_json(), data)
            else:
                from model_understanding.show.terminal.ledger import print_ledger

                print_ledger(result, data_console(data), top=top)
