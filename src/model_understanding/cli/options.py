"""Options shared by several commands: as types of their parameters, or as groups of them."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, fields
from enum import StrEnum
from functools import wraps
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

import typer

from model_understanding.registry import METRICS

FILE = "Texts of a file"  # titles of the panels of --help
INPUT = "Pairs, questions, choices and masks"
LANGUAGE_MODELS = "Language models"
MODEL = "Model"
ONE_KIND = "Model of one kind"
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


Command = Callable[..., None]
_NO_HELPS: Mapping[str, str] = MappingProxyType({})


def with_help(annotation: Any, text: str) -> Any:
    """Return an option's type with another help.

    Args:
        annotation: The type, annotated with the option.
        text: The help.
    """
    option = copy(annotation.__metadata__[0])
    option.help = text
    return Annotated[annotation.__origin__, option]


def takes(
    group: type, parameter: str, *, without: Collection[str] = (), helps: Mapping[str, str] = _NO_HELPS
) -> Callable[[Command], Command]:
    """Add the fields of a dataclass to a command as options, in the place of one of its parameters.

    typer derives a command's options from its signature; the command itself gets the dataclass.

    Args:
        group: The dataclass; the types of its fields are annotated with their options.
        parameter: The command's parameter.
        without: Fields that the command does not offer; they keep their defaults.
        helps: What an option is to this command, by its field, where that is less than to others.
    """

    def decorate(command: Command) -> Command:
        offered = [field for field in fields(group) if field.name not in without]
        types = get_type_hints(group, include_extras=True)
        types |= {name: with_help(types[name], text) for name, text in helps.items()}

        @wraps(command)
        def run(**values: Any) -> None:
            given = {field.name: values.pop(field.name) for field in offered}
            command(**values, **{parameter: group(**given)})

        options = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=types[field.name],
            )
            for field in offered
        ]
        parameters: list[inspect.Parameter] = []
        for own in inspect.signature(command).parameters.values():
            own = own.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters += options if own.name == parameter else [own]
        run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


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
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Extra metrics, comma-separated, or all. normalized_aopc is the one to compare explanations of "
        f"two models. Available: {', '.join(METRICS.places)}.",
        show_default=False,
    ),
]
Level = Annotated[
    LevelName, typer.Option(help="Unit in which scores and attention are shown.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, flag("--json", help="Print only JSON, one object per line.", panel=OUTPUT)]
