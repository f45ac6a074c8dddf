"""Options shared by several commands, as types of their parameters."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from model_understanding.cli.text_files import FileFormat
from model_understanding.registry import METRICS

LANGUAGE_MODELS = "Language models"  # titles of the panels of --help
MODEL = "Model"
OUTPUT = "Output"


class LevelName(StrEnum):
    """The unit in which scores and attention are shown."""

    TOKEN = "token"
    WORD = "word"
    SENTENCE = "sentence"


class QuantityName(StrEnum):
    """The quantity that an explanation is about."""

    LOGIT = "logit"
    LOG_PROB = "log_prob"
    PROB = "prob"


class OnErrorName(StrEnum):
    """What to do with a text that fails, of several."""

    SKIP = "skip"
    STOP = "stop"


def flag(*names: str, help: str, panel: str | None = None) -> Any:
    """Return an option that takes no value; without the empty metavar its help would show ``<bool>``."""
    return typer.Option(*names, help=help, metavar="", rich_help_panel=panel)


def out_option(suffixes: Sequence[str]) -> Any:
    """Return the option ``--out`` of a command that saves these formats."""
    formats = ", ".join(suffix.removeprefix(".") for suffix in suffixes)
    return typer.Option(
        metavar="FILE",
        help=f"Save to this file; its suffix sets the format ({formats}). Repeatable.",
        rich_help_panel=OUTPUT,
        show_default=False,
    )


Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT", help="Texts to explain. - reads one text from standard input.", show_default=False
    ),
]
File = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Also explain the texts of this file: each line, or with .csv, .tsv, .jsonl and .json a column. "
        "- reads standard input.",
        show_default=False,
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the --file that holds the texts; a number (from 1) if the table has no column names.",
        show_default="the one column that can be the texts",
    ),
]
PairColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Column of the --file that holds the second texts, for a classifier of text pairs.",
        show_default=False,
    ),
]
Format = Annotated[
    FileFormat | None,
    typer.Option("--format", help="Format of the --file.", show_default="by its suffix; else lines"),
]
OnError = Annotated[
    OnErrorName,
    typer.Option(
        help="What to do with a text that fails, of several: skip it (all others are answered, those that "
        "failed are named and counted, exit code 3), or stop.",
    ),
]
Pair = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Second text, for a classifier of text pairs.", show_default=False),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Extra metrics, comma-separated, or all. normalized_aopc is the one to compare explanations of "
        f"two models. Available: {', '.join(METRICS.places)}.",
        show_default=False,
    ),
]
Continuation = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Explain this continuation of the prompt instead of a generated one.",
        rich_help_panel=LANGUAGE_MODELS,
        show_default=False,
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Maximum number of tokens to generate.",
        rich_help_panel=LANGUAGE_MODELS,
        show_default="32",
    ),
]
Chat = Annotated[
    bool,
    flag(
        "--chat",
        help="Apply the model's chat template, with the text as the user's message.",
        panel=LANGUAGE_MODELS,
    ),
]
System = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="System prompt of the chat. Implies --chat.",
        rich_help_panel=LANGUAGE_MODELS,
        show_default=False,
    ),
]
Tools = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Functions the model may call, as a JSON list of schemas. Implies --chat.",
        rich_help_panel=LANGUAGE_MODELS,
        show_default=False,
    ),
]
TemplateArguments = Annotated[
    list[str] | None,
    typer.Option(
        "--template-argument",
        metavar="NAME=VALUE",
        help="Argument of the chat template, for example enable_thinking=false. Repeatable. Implies --chat.",
        rich_help_panel=LANGUAGE_MODELS,
        show_default=False,
    ),
]
Level = Annotated[
    LevelName, typer.Option(help="Unit in which scores and attention are shown.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, flag("--json", help="Print only JSON, one object per line.", panel=OUTPUT)]
