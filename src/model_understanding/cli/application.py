"""The commands and the options before them."""

import os
from typing import Annotated

import typer

from model_understanding.cli.attention import attention
from model_understanding.cli.compare import compare
from model_understanding.cli.console import DEBUG_VARIABLE
from model_understanding.cli.demo import demo
from model_understanding.cli.doctor import doctor
from model_understanding.cli.evaluate import evaluate
from model_understanding.cli.explain import explain
from model_understanding.cli.lens import lens
from model_understanding.cli.methods import methods

application = typer.Typer(
    help="Explain transformer models: which tokens drove the answer, and where the model looked.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"model-understanding {version('model-understanding')}")
        raise typer.Exit


@application.callback()
def options_of_all_commands(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help=f"Show tracebacks and all warnings (also: {DEBUG_VARIABLE}=1)."),
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


application.command()(explain)
application.command()(attention)
application.command()(evaluate)
application.command()(lens)
application.command()(compare)
application.command()(methods)
application.command()(doctor)
application.command()(demo)
