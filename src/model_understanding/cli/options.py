"""The options that several commands share, as types for their parameters."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class TaskName(StrEnum):
    """What a model is explained as."""

    SEQUENCE_CLASSIFICATION = "sequence-classification"
    CAUSAL_LM = "causal-lm"


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


class DtypeName(StrEnum):
    """The number type of the weights."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


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

    name: str
    task: TaskName | None = None
    device: str | None = None
    dtype: DtypeName | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A hub id, a folder, a .gguf file, demo:sentiment or demo:smollm2.",
        show_default=False,
    ),
]
Task = Annotated[
    TaskName | None,
    typer.Option(help="Explain the model as this. Default: what its config says.", rich_help_panel="Model"),
]
Device = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps.", rich_help_panel="Model", show_default=False)
]
Dtype = Annotated[
    DtypeName | None,
    typer.Option(help="Number type of the weights.", rich_help_panel="Model", show_default=False),
]
Revision = Annotated[
    str | None,
    typer.Option(help="Branch, tag or commit on the hub.", rich_help_panel="Model", show_default=False),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Let the model's own code run here.", rich_help_panel="Model"),
]
AllowPickle = Annotated[
    bool,
    typer.Option(
        "--allow-pickle", help="Read weights from a pickle, not only safetensors.", rich_help_panel="Model"
    ),
]
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
Out = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="Save here; the suffix chooses the format: html, png, svg, pdf, json, csv, npz. Repeatable.",
        rich_help_panel="Output",
        show_default=False,
    ),
]
