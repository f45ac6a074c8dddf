"""The MODEL argument and its options, shared by every command that takes a model."""

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from model_understanding.cli.progress import Steps

if TYPE_CHECKING:
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer


class TaskName(StrEnum):
    """What a model is explained as."""

    SEQUENCE_CLASSIFICATION = "sequence-classification"
    CAUSAL_LM = "causal-lm"


class DtypeName(StrEnum):
    """The number type of the weights."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


def _option(*names: str, help: str, **how: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel="Model", **how)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model to load, and how.

    Args:
        name: Hub id, folder, ``demo:…`` or a ``.gguf`` file.
        task: What it is explained as; ``None`` to read it from its config.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``None`` for the default.
        dtype: Number type of the weights; ``None`` for the default.
        revision: Branch, tag or commit on the hub.
        trust_remote_code: Whether the model's own code may run.
        allow_pickle: Whether weights may be read from a pickle.
    """

    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A hub id, a folder, a .gguf file, demo:sentiment or demo:smollm2.",
            show_default=False,
        ),
    ]
    task: Annotated[
        TaskName | None, _option(help="Explain the model as this. Default: what its config says.")
    ] = None
    device: Annotated[str | None, _option(help="cpu, cuda, cuda:1, mps.", show_default=False)] = None
    dtype: Annotated[DtypeName | None, _option(help="Number type of the weights.", show_default=False)] = None
    revision: Annotated[str | None, _option(help="Branch, tag or commit on the hub.", show_default=False)] = (
        None
    )
    trust_remote_code: Annotated[
        bool, _option("--trust-remote-code", help="Let the model's own code run here.")
    ] = False
    allow_pickle: Annotated[
        bool, _option("--allow-pickle", help="Read weights from a pickle, not only safetensors.")
    ] = False


def takes_model(*, or_else: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let the command line give a command's keyword ``choice`` as MODEL and the options of ``ModelChoice``.

    typer makes a command's options of its signature: that of the command has the fields of ``ModelChoice``
    in place of ``choice``, and the model's name before everything else.

    Args:
        or_else: What else the command takes in place of a model, for its help.

    Returns:
        A decorator of commands that have a keyword-only parameter ``choice``.
    """

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_choice(**given: Any) -> None:
            chosen = {field.name: given.pop(field.name) for field in fields(ModelChoice)}
            command(**given, choice=ModelChoice(**chosen))

        name, *loading = _parameters(or_else)
        own = inspect.signature(command).parameters.values()
        told = [one for each in own for one in (loading if each.name == "choice" else [each])]
        with_choice.__signature__ = inspect.Signature([name, *told])  # pyright: ignore[reportAttributeAccessIssue]
        with_choice.__annotations__ = {one.name: one.annotation for one in (name, *told)}
        return with_choice

    return decorated


def _parameters(or_else: str) -> list[inspect.Parameter]:
    """Return the fields of ``ModelChoice`` as a command's parameters."""
    types = get_type_hints(ModelChoice, include_extras=True)
    if or_else:
        argument = copy(types["name"].__metadata__[0])
        argument.help = argument.help.removesuffix(".") + f"; or {or_else}."
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


def loaded_visualizer(choice: ModelChoice, steps: Steps) -> "ModelVisualizer | GenerativeModelVisualizer":
    """Load a model for the task that was asked for, or else for the one its config names.

    Args:
        choice: The model and how to load it.
        steps: Told what is being done.

    Returns:
        Its visualizer.

    Raises:
        ModelUnderstandingError: The model cannot be loaded or is neither kind.
    """
    from model_understanding.demo_models import DEMO_MODELS, demo_model_folder

    if choice.name.startswith("demo:"):
        steps(f"Looking for {choice.name}")
        demo_model_folder(choice.name, progress=steps)
        steps(f"Loading {choice.name}")
        task = choice.task or TaskName(DEMO_MODELS[choice.name].task)
    else:
        steps("Starting torch and transformers")
        task = choice.task or _task_of(choice)
        steps(f"Loading {choice.name}")
    from model_understanding.visualizers import GenerativeModelVisualizer, ModelVisualizer

    kind = ModelVisualizer if task is TaskName.SEQUENCE_CLASSIFICATION else GenerativeModelVisualizer
    return kind(choice.name, **_options(choice))


def _task_of(choice: ModelChoice) -> TaskName:
    from model_understanding.loading import LoadingOptions, detect_task

    return TaskName(detect_task(choice.name, LoadingOptions(**_options(choice))))


def _options(choice: ModelChoice) -> dict[str, Any]:
    return {
        "device": choice.device,
        "dtype": None if choice.dtype is None else choice.dtype.value,
        "revision": choice.revision,
        "trust_remote_code": choice.trust_remote_code,
        "allow_pickle": choice.allow_pickle,
    }
