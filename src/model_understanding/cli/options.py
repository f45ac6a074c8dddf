"""The options that several commands share, as types for their parameters."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class LevelName(StrEnum):
    """What is shown as one unit."""

    TOKEN = "token"
    WORD = "word"
    SENTENCE = "sentence"


class QuantityName(StrEnum):
    """What is read from the logits."""

    LOGIT = "logit"
    LOG_PROB = "log_prob"
    PROB = "prob"


Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON and nothing else, one object a line.", rich_help_panel="Output"),
]
Level = Annotated[LevelName, typer.Option(help="What is shown as one unit.", rich_help_panel="Output")]
Continuation = Annotated[
    str | None,
    typer.Option(
        help="Explain this text as what follows the prompt, instead of generating.",
        rich_help_panel="Language models",
        show_default=False,
    ),
]
Chat = Annotated[
    bool,
    typer.Option(
        "--chat",
        help="Send the text as a user's message through the chat template.",
        rich_help_panel="Language models",
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Generate at most this many tokens (default 32).",
        rich_help_panel="Language models",
        show_default=False,
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Metrics beside the default ones, separated by commas; all for every one. normalized_aopc is "
        "the one that compares explanations of two models.",
        show_default=False,
    ),
]
Out = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Save here; the suffix chooses the format: html, png, svg, pdf, json, csv, npz. Repeatable.",
        rich_help_panel="Output",
        show_default=False,
    ),
]
