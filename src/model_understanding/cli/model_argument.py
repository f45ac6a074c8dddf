"""The MODEL argument and the options for loading a model, shared by every command that takes one."""

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, asdict, dataclass, fields
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from model_understanding.cli.options import MODEL, flag
from model_understanding.cli.progress import Steps

if TYPE_CHECKING:
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer


class TaskName(StrEnum):
    """The task that a model is loaded for."""

    SEQUENCE_CLASSIFICATION = "sequence-classification"
    CAUSAL_LM = "causal-lm"


class DtypeName(StrEnum):
    """The dtype of the weights."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def _option(help: str, default: str | bool = False, metavar: str | None = None) -> Any:
    return typer.Option(metavar=metavar, help=help, show_default=default, rich_help_panel=MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model to load, and how.

    Args:
        name: Hub ID, folder, ``demo:…`` or a ``.gguf`` file.
        task: Task; ``None`` to read it from the config.
        tokenizer: Hub ID or folder of the tokenizer; ``None`` for the model's own.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``None`` for the default.
        dtype: Dtype of the weights; ``None`` for the default.
        revision: Branch, tag or commit on the Hub.
        trust_remote_code: Whether the model repository's own code may run.
        allow_pickle: Whether weights may be loaded from pickle files.
    """

    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Hub ID, folder, .gguf file, demo:sentiment or demo:smollm2.",
            show_default=False,
        ),
    ]
    task: Annotated[
        TaskName | None,
        _option("sequence-classification or causal-lm.", "from the model's config", metavar="TASK"),
    ] = None
    tokenizer: Annotated[
        str | None,
        _option("Hub ID or folder of the tokenizer.", "the model's own", metavar="TOKENIZER"),
    ] = None
    device: Annotated[
        str | None, _option("cpu, cuda, cuda:1, mps.", "a GPU if available", metavar="DEVICE")
    ] = None
    dtype: Annotated[
        DtypeName | None, _option("Dtype of the weights.", "float32 on a CPU, else the checkpoint's")
    ] = None
    revision: Annotated[str | None, _option("Branch, tag or commit on the Hub.", metavar="REVISION")] = None
    trust_remote_code: Annotated[
        bool, flag("--trust-remote-code", help="Run code from the model's repository.", panel=MODEL)
    ] = False
    allow_pickle: Annotated[
        bool,
        flag("--allow-pickle", help="Load weights from pickle files too, which can run code.", panel=MODEL),
    ] = False


def takes_model(*, alternative: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add MODEL and the options of ``ModelChoice`` to a command with a keyword-only parameter ``choice``.

    typer derives a command's options from its signature. In the decorated command's signature the fields of
    ``ModelChoice`` replace ``choice``, and the model's name comes first.

    Args:
        alternative: What the command accepts in place of a model, for its help.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**values: Any) -> None:
            loading = {field.name: values.pop(field.name) for field in fields(ModelChoice)}
            command(**values, choice=ModelChoice(**loading))

        name, *loading = _choice_parameters(alternative)
        parameters = [name]
        for parameter in inspect.signature(command).parameters.values():
            parameters += loading if parameter.name == "choice" else [parameter]
        run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def _choice_parameters(alternative: str) -> list[inspect.Parameter]:
    """Return the fields of ``ModelChoice`` as parameters of a command."""
    types = get_type_hints(ModelChoice, include_extras=True)
    if alternative:
        argument = copy(types["name"].__metadata__[0])
        argument.help = f"{argument.help.removesuffix('.')}; or {alternative}."
        types["name"] = Annotated[str, argument]
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=types[field.name],
        )
        for field in fields(ModelChoice)
    ]


def load_visualizer(
    choice: ModelChoice, steps: Steps, check: Callable[[TaskName], None]
) -> "ModelVisualizer | GenerativeModelVisualizer":
    """Load a model for the task given, or for the one that its config names.

    Args:
        choice: The model and how to load it.
        steps: Notified of each step.
        check: Called with the task before the model is loaded; raises if the command's options do not fit it.

    Returns:
        Its visualizer.

    Raises:
        ModelUnderstandingError: The model cannot be loaded or has another task.
    """
    from model_understanding.demo_models import DEMO_MODELS, demo_model_folder

    if choice.name.startswith("demo:"):
        steps(f"Locating {choice.name}")
        demo_model_folder(choice.name, progress=steps)
        task = choice.task or TaskName(DEMO_MODELS[choice.name].task)
    else:
        steps(f"Looking for {choice.name}")
        task = choice.task or _detect_task(choice)
    check(task)
    steps(f"Loading {choice.name}")
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer

    kind = ModelVisualizer if task is TaskName.SEQUENCE_CLASSIFICATION else GenerativeModelVisualizer
    return kind(choice.name, tokenizer=choice.tokenizer, **_loading_options(choice))


def _detect_task(choice: ModelChoice) -> TaskName:
    from model_understanding.loading import LoadingOptions, detect_task

    return TaskName(detect_task(choice.name, LoadingOptions(**_loading_options(choice))))


def _loading_options(choice: ModelChoice) -> dict[str, Any]:
    options = asdict(choice)
    del options["name"], options["task"], options["tokenizer"]
    options["dtype"] = None if choice.dtype is None else choice.dtype.value
    return options
