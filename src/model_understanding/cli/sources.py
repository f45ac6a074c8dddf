"""``sources``: which documents each statement of an answer comes from, and which rest on none of them."""

from pathlib import Path
from typing import Annotated

import typer

from model_understanding.cli import options
from model_understanding.cli.batch import SOME_FAILED
from model_understanding.cli.console import data_console, print_json, print_message, reserved_stdout
from model_understanding.cli.model_argument import MODELS_OF, ModelChoice, load_visualizer, takes_model
from model_understanding.cli.options import OUTPUT, flag
from model_understanding.cli.output import check_files, saving
from model_understanding.cli.progress import Steps
from model_understanding.cli.request import none_one_or_all, span_option, token_or_id
from model_understanding.errors import InputError
from model_understanding.results import AnswerMap
from model_understanding.targets.names import CAUSAL_LM

DEFAULT_NEW_TOKENS = 64


@takes_model(tasks=(CAUSAL_LM,))
def sources(
    documents: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Text file, or folder of text files. Repeatable.",
            show_default=False,
        ),
    ],
    question: Annotated[
        str, typer.Option(metavar="TEXT", help="Question about the documents.", show_default=False)
    ],
    answer: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Answer to explain.", show_default="what the model generates"),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOKEN",
            help="Explain why the answer, or the span of it, was written and not this: one token per step "
            "(repeatable), a text of as many tokens, or runner-up, the most likely other token of each step.",
            show_default=False,
        ),
    ] = None,
    span: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|START:END",
            help="Explain only this part of the answer: a piece of its text, or its tokens from START up to "
            "END, counted from 0.",
            show_default=False,
        ),
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(metavar="N", min=1, help="Maximum number of tokens to generate.")
    ] = DEFAULT_NEW_TOKENS,
    fail_unsupported: Annotated[
        bool,
        flag(
            "--fail-unsupported",
            help="Exit code 3 if a statement rests on nothing in the documents.",
            panel=OUTPUT,
        ),
    ] = False,
    *,
    choice: ModelChoice,
    json_output: options.Json = False,
    out: Annotated[list[Path] | None, options.out_option(AnswerMap.SUFFIXES)] = None,
) -> None:
    """Show which documents each statement of an answer comes from, and which rest on none of them.

    Hides each document (of more than 40, most in groups), then each sentence of the two that matter most to a
    statement (of more than 100, those with the largest estimates; the others in groups), and measures how
    much the log-probability of the answer drops. A statement comes from a document whose effect on its
    numbers or names is at least 2.5 nats above that of as much other text (1 nat: 2.7 times less likely), or,
    where documents replace each other, if it explains them as the only document. It rests on nothing below 1
    nat. That it comes from a document does not mean that the document supports it; what rests on nothing may
    be true. For language models that generate text.
    """
    paths = tuple(out or ())
    check_files(paths, AnswerMap.SUFFIXES)
    with reserved_stdout() as data:
        with Steps() as steps:
            visualizer = load_visualizer(choice, steps, _check)
            steps("Writing the answer" if answer is None else "Reading the answer")
            result = visualizer.map_answer(
                question=question,
                documents=documents,
                answer=answer,
                against=none_one_or_all([token_or_id(text) for text in against or ()]),
                span=None if span is None else span_option(span),
                max_new_tokens=max_new_tokens,
                progress=steps.measuring(),
            )
        with saving(paths, result.save):
            if json_output:
                print_json(result.to_json(), data)
            else:
                from model_understanding.show.terminal.answer_map import print_answer_map

                print_answer_map(result, data_console(data))
    if fail_unsupported and result.unsupported:
        count = len(result.unsupported)
        verb = "statements rest" if count > 1 else "statement rests"
        print_message(f"{count} {verb} on nothing in the documents.", label="error", style="bold red")
        raise typer.Exit(SOME_FAILED)


def _check(task: str) -> None:
    if task != CAUSAL_LM:
        raise InputError(
            f"sources is for {MODELS_OF[CAUSAL_LM]} only, but this model's task is {task}.",
            hint="Use explain, whose methods work for this kind of model.",
        )
