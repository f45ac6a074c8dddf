"""The MODEL argument and the options for loading a model, shared by every command that takes one."""

import inspect
from collections.abc import Callable, Collection
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from model_understanding.cli.options import MODEL, ONE_KIND, Command, flag, takes, with_help
from model_understanding.cli.progress import Steps
from model_understanding.demo_models import DEMO_MODELS, demo_model_folder
from model_understanding.errors import InputError
from model_understanding.targets.names import (
    CAUSAL_LM,
    KINDS,
    MASKED_LM,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    RERANKING,
    SEQ2SEQ_LM,
    SEQUENCE_CLASSIFICATION,
    SIMILARITY,
    TOKEN_CLASSIFICATION,
    ZERO_SHOT_CLASSIFICATION,
)


class TaskName(StrEnum):
    """What a model is explained as."""

    SEQUENCE_CLASSIFICATION = SEQUENCE_CLASSIFICATION
    CAUSAL_LM = CAUSAL_LM
    TOKEN_CLASSIFICATION = TOKEN_CLASSIFICATION
    QUESTION_ANSWERING = QUESTION_ANSWERING
    MASKED_LM = MASKED_LM
    SEQ2SEQ_LM = SEQ2SEQ_LM
    MULTIPLE_CHOICE = MULTIPLE_CHOICE
    SIMILARITY = SIMILARITY
    ZERO_SHOT_CLASSIFICATION = ZERO_SHOT_CLASSIFICATION
    RERANKING = RERANKING


MODELS_OF = {
    SEQUENCE_CLASSIFICATION: "classifiers",
    CAUSAL_LM: "language models",
    TOKEN_CLASSIFICATION: "token classifiers",
    QUESTION_ANSWERING: "question answering models",
    MASKED_LM: "masked language models",
    SEQ2SEQ_LM: "encoder–decoders",
    MULTIPLE_CHOICE: "multiple choice models",
    SIMILARITY: "models of similarity",
    ZERO_SHOT_CLASSIFICATION: "zero-shot classification",
    RERANKING: "rerankers",
}
"""What models of a task are called, in the plural."""

_OF_ONE_KIND = {
    "aggregation": TOKEN_CLASSIFICATION,
    "hypothesis_template": ZERO_SHOT_CLASSIFICATION,
    "multi_label": ZERO_SHOT_CLASSIFICATION,
    "source_language": SEQ2SEQ_LM,
    "target_language": SEQ2SEQ_LM,
    "pooling": SIMILARITY,
    "similarity": SIMILARITY,
    "activation": RERANKING,
}
"""Options that only the class of one task takes."""


class DtypeName(StrEnum):
    """The dtype of the weights."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class AggregationName(StrEnum):
    """How tokens are joined to entities."""

    NONE = "none"
    SIMPLE = "simple"
    FIRST = "first"
    AVERAGE = "average"
    MAX = "max"


def _tasks_in_words(tasks: Collection[str]) -> str:
    return f"What to explain the model as: {', '.join(task for task in KINDS if task in tasks)}."


def _names_in_words(tasks: Collection[str], alternative: str) -> str:
    """Return what may name a model; demo models that a command does not take are not named."""
    demos = [name for name, model in DEMO_MODELS.items() if model.task in tasks]
    *others, last = ["Hub ID", "folder", ".gguf file", *demos]
    names = f"{', '.join(others)} or {last}"
    return f"{names}; or {alternative}." if alternative else f"{names}."


def _option(help: str, default: str | bool = False, metavar: str | None = None, panel: str = MODEL) -> Any:
    return typer.Option(metavar=metavar, help=help, show_default=default, rich_help_panel=panel)


_option_of_kind = partial(_option, panel=ONE_KIND)


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
        aggregation: How a token classifier's labels are joined to entities.
        hypothesis_template: The hypothesis of zero-shot classification.
        multi_label: Whether each of its labels is judged by itself.
        source_language: Language of an encoder–decoder's sources.
        target_language: Language of its outputs.
        pooling: How an encoder's hidden states become one embedding; several ways separated by commas.
        similarity: How two embeddings are compared.
        activation: How a reranker's output becomes a score.
    """

    name: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
        ),
    ]
    task: Annotated[
        TaskName | None,
        _option(_tasks_in_words(KINDS), "from its config", metavar="TASK"),
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
    aggregation: Annotated[
        AggregationName | None,
        _option_of_kind("Token classifier: how labels are joined to entities.", "simple"),
    ] = None
    hypothesis_template: Annotated[
        str | None,
        _option_of_kind(
            "Zero-shot: the hypothesis, with {} for the label.", "This example is {}.", metavar="TEXT"
        ),
    ] = None
    multi_label: Annotated[
        bool, flag("--multi-label", help="Zero-shot: judge each label by itself.", panel=ONE_KIND)
    ] = False
    source_language: Annotated[
        str | None,
        _option_of_kind("Encoder–decoder: language of the text.", "the tokenizer's", metavar="LANGUAGE"),
    ] = None
    target_language: Annotated[
        str | None,
        _option_of_kind("Encoder–decoder: language of the output.", "the model's", metavar="LANGUAGE"),
    ] = None
    pooling: Annotated[
        str | None,
        _option_of_kind(
            "Similarity: mean, cls, max, … of the hidden states.",
            "the checkpoint's",
            metavar="NAME",
        ),
    ] = None
    similarity: Annotated[
        str | None,
        _option_of_kind(
            "Similarity: cosine, dot, euclidean or manhattan.", "the checkpoint's", metavar="NAME"
        ),
    ] = None
    activation: Annotated[
        str | None,
        _option_of_kind(
            "Reranker: identity, sigmoid or tanh of its output.", "the checkpoint's", metavar="NAME"
        ),
    ] = None


def takes_model(
    *, alternative: str = "", optional: bool = False, metavar: str = "", tasks: Collection[str] = KINDS
) -> Callable[[Command], Command]:
    """Add MODEL, as first argument, and the options of ``ModelChoice`` to a command that takes ``choice``.

    Args:
        alternative: What the command accepts in place of a model, for its help.
        optional: Whether the command can do without; then the name of the model is empty.
        metavar: What its help calls the model, in place of MODEL.
        tasks: The tasks that the command explains; options of others are not offered.
    """

    def decorate(command: Command) -> Command:
        without = [option for option, task in _OF_ONE_KIND.items() if task not in tasks]
        run = takes(ModelChoice, "choice", without=without)(command)
        parameters = dict(inspect.signature(run).parameters)
        name = parameters["name"]
        task = parameters["task"]
        parameters["task"] = task.replace(annotation=with_help(task.annotation, _tasks_in_words(tasks)))
        argument = copy(name.annotation.__metadata__[0])
        argument.metavar = metavar or argument.metavar
        argument.help = _names_in_words(tasks, alternative)
        name = name.replace(annotation=Annotated[str, argument])
        if optional:
            name = name.replace(default="")
        del parameters["name"]
        others = [*parameters.values()]
        run.__signature__ = inspect.Signature([name, *others])  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {each.name: each.annotation for each in (name, *others)}
        return run

    return decorate


def load_visualizer(
    choice: ModelChoice,
    steps: Steps,
    check: Callable[[str], None],
    refine: Callable[[str], str] = lambda task: task,
) -> Any:
    """Load a model for the task given, or for the one that its config names.

    Args:
        choice: The model and how to load it.
        steps: Notified of each step.
        check: Called with the task before the model is loaded; raises if the command's options do not fit it.
        refine: Returns what a model of a task is used for, by the command's options, if none is given.

    Returns:
        Its visualizer.

    Raises:
        ModelUnderstandingError: The model cannot be loaded or has another task.
    """
    if choice.name.startswith("demo:"):
        steps(f"Locating {choice.name}")
        demo_model_folder(choice.name, progress=steps)
        task = DEMO_MODELS[choice.name].task if choice.task is None else choice.task.value
    else:
        steps(f"Looking for {choice.name}")
        task = _detect_task(choice) if choice.task is None else choice.task.value
    task = refine(task) if choice.task is None else task
    _check_options(choice, task)
    check(task)
    steps(f"Loading {choice.name}")
    from model_understanding.visualizers.by_task import class_of

    return class_of(task)(
        choice.name, tokenizer=choice.tokenizer, **_loading_options(choice), **_options_of_kind(choice)
    )


def _detect_task(choice: ModelChoice) -> str:
    if choice.pooling is not None:
        return SIMILARITY
    from model_understanding.loading import LoadingOptions, detect_task

    return detect_task(choice.name, LoadingOptions(**_loading_options(choice)))


def _loading_options(choice: ModelChoice) -> dict[str, Any]:
    names = ("device", "dtype", "revision", "trust_remote_code", "allow_pickle")
    options = {name: getattr(choice, name) for name in names}
    options["dtype"] = None if choice.dtype is None else choice.dtype.value
    return options


def _options_of_kind(choice: ModelChoice) -> dict[str, Any]:
    """Return the options that the class of one kind takes, as far as they are given."""
    values = {name: getattr(choice, name) for name in _OF_ONE_KIND}
    if choice.pooling is not None and "," in choice.pooling:
        values["pooling"] = tuple(name.strip() for name in choice.pooling.split(","))
    return {name: value for name, value in values.items() if value not in (None, False)}


def _check_options(choice: ModelChoice, task: str) -> None:
    """Raise InputError for an option of another kind of model."""
    for name in _options_of_kind(choice):
        if _OF_ONE_KIND[name] != task:
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"{option} is for {MODELS_OF[_OF_ONE_KIND[name]]} only, but this model's task is {task}.",
                hint=f"Drop {option}.",
            )
