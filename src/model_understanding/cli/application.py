"""The commands, and the options that precede a command."""

import os
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from model_understanding.cli.attention import attention
from model_understanding.cli.compare import compare
from model_understanding.cli.console import DEBUG_VARIABLE, quiet_libraries
from model_understanding.cli.dataset import dataset
from model_understanding.cli.demo import demo
from model_understanding.cli.diff import diff
from model_understanding.cli.doctor import doctor
from model_understanding.cli.evaluate import evaluate
from model_understanding.cli.explain import explain
from model_understanding.cli.ledger import ledger
from model_understanding.cli.lens import lens
from model_understanding.cli.methods import methods
from model_understanding.cli.options import flag
from model_understanding.cli.sources import sources
from model_understanding.cli.summarize import summarize

application = typer.Typer(
    help="Explain transformer models: which tokens drove the answer, where the model attends, and how "
    "faithful the explanation is.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # joins the lines of a docstring's paragraph, as "rich" does not
)


def _print_version(is_given: bool) -> None:
    if is_given:
        print(f"model-understanding {installed_version('model-understanding')}")
        raise typer.Exit


@application.callback()
def prepare(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            metavar="",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    debug: Annotated[
        bool,
        flag("--debug", help=f"Show tracebacks and all warnings, as {DEBUG_VARIABLE}=1 does."),
    ] = False,
) -> None:
    """Apply the options that precede a command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"
    quiet_libraries()


for command in (
    *(explain, attention, evaluate, lens, ledger, sources, diff, compare),
    *(dataset, summarize, methods, doctor, demo),
):
    application.command()(command)
