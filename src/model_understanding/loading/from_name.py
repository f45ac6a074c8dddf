"""Load a model by name: a hub id, a folder, a demo model or a ``.gguf`` file."""

import importlib.util
from pathlib import Path
from typing import Any

from model_understanding.demo_models import DEMO_MODELS, demo_model_folder
from model_understanding.errors import InputError, LoadingError, MissingExtraError
from model_understanding.loading.checkpoint_checks import refuse_damaged_gguf
from model_understanding.loading.from_pretrained import load_config, load_tokenizer, load_weights
from model_understanding.loading.hub import options_for
from model_understanding.loading.loaded_model import LoadedModel, provenance_of
from model_understanding.loading.options import LoadingOptions
from model_understanding.loading.sentence_folder import is_sentence_folder
from model_understanding.loading.supported import (
    VISUALIZERS,
    check_model,
    check_tokenizer,
    has_masked_head,
    refuse_other_task,
    task_of_architecture,
)
from model_understanding.loading.text_encoder import load_text_encoder
from model_understanding.targets.names import CAUSAL_LM, KINDS, MASKED_LM, SIMILARITY


def load_by_name(name: str, tokenizer: Any, task: str, options: LoadingOptions) -> LoadedModel:
    """Load a model by its name.

    Args:
        name: A hub id, a folder, ``demo:…`` or a ``.gguf`` file.
        tokenizer: Its tokenizer, or the name or folder to load it from; ``None`` for the checkpoint's own.
        task: The task to load it for.
        options: How to load it.

    Returns:
        The model, its tokenizer and their provenance.

    Raises:
        InputError: It is no model for this task.
        LoadingError: It cannot be loaded.
        MissingExtraError: A package that reads it is not installed.
        UnsafeModelError: Loading it would run code the caller did not ask for.
    """
    checkpoint, gguf_file = _resolve_checkpoint(name, task)
    options = options_for(checkpoint, options)
    if task == SIMILARITY:
        if gguf_file is not None:
            raise InputError(
                f"{name!r} is a GGUF file, which cannot be loaded as a sentence encoder.",
                hint="Pass the folder of the model it was made from.",
            )
        tokenizer = None if tokenizer is None else resolve_tokenizer(tokenizer, options)
        return load_text_encoder(name, checkpoint, tokenizer, options)
    config = load_config(checkpoint, options, gguf_file)
    model, untrained = load_weights(checkpoint, config, task, options, gguf_file)
    if tokenizer is None:
        tokenizer = load_tokenizer(checkpoint, options, gguf_file)
    tokenizer = resolve_tokenizer(tokenizer, options)
    check_model(model, task)
    cautions = ()
    if untrained:
        keys = ", ".join(untrained[:3]) + (" …" if len(untrained) > 3 else "")
        cautions = (f"untrained head: this explains random weights ({keys})",)
    origin = provenance_of(name, task, model, tokenizer, options, cautions)
    return LoadedModel(model, tokenizer, task, origin, untrained=tuple(untrained))


def resolve_tokenizer(tokenizer: Any, options: LoadingOptions) -> Any:
    """Return a tokenizer that is given as an object or by its name.

    Args:
        tokenizer: The tokenizer, or the name or folder to load it from.
        options: How to load it.

    Raises:
        InputError: The object is no tokenizer.
        LoadingError: It cannot be loaded.
    """
    if isinstance(tokenizer, str | Path):
        name = str(tokenizer)
        checkpoint = str(demo_model_folder(name)) if name in DEMO_MODELS else _expand_user(name)
        tokenizer = load_tokenizer(checkpoint, options_for(checkpoint, options))
    check_tokenizer(tokenizer)
    return tokenizer


def detect_task(name: str, options: LoadingOptions) -> str:
    """Return the task of a checkpoint, by the architecture its config names.

    Args:
        name: A hub id, a folder, a demo model or a ``.gguf`` file.
        options: How to load it.

    Returns:
        The task.

    Raises:
        InputError: No architecture is named, or none of a supported task.
    """
    if name in DEMO_MODELS:
        return DEMO_MODELS[name].task
    if _is_gguf(name):
        return CAUSAL_LM
    checkpoint = _expand_user(name)
    options = options_for(checkpoint, options)
    if is_sentence_folder(checkpoint, options):
        return SIMILARITY
    config = load_config(checkpoint, options)
    refuse_other_task(name, config, None)
    for architecture in getattr(config, "architectures", None) or ():
        task = task_of_architecture(str(architecture), config)
        if task is not None:
            return task
        if has_masked_head(str(architecture), config):
            return MASKED_LM
    raise InputError(
        f"Cannot determine the task of {name!r}: its config names no architecture with a head.",
        hint="To compare two texts by it, pass pooling='mean' (--pooling mean, or another that it was "
        f"trained with). Else pass task=… (--task), one of {', '.join(KINDS)}: all but {SIMILARITY} need a "
        "head, which starts untrained.",
    )


def _resolve_checkpoint(name: str, task: str) -> tuple[str, str | None]:
    """Return the hub id or folder that transformers loads a name from, and the ``.gguf`` file in it."""
    if name.startswith("demo:"):
        folder = demo_model_folder(name)
        if DEMO_MODELS[name].task != task:
            visualizer, kind = VISUALIZERS[DEMO_MODELS[name].task]
            raise InputError(
                f"{name} is {kind}, not {VISUALIZERS[task][1]}.",
                hint=f"Use {visualizer} (--task {DEMO_MODELS[name].task}).",
            )
        return str(folder), None
    if _is_gguf(name):
        path = Path(name).expanduser()
        if not path.is_file():
            raise LoadingError(f"The file {name!r} does not exist.", hint="Check the path.")
        refuse_damaged_gguf(path)
        _require_gguf_packages(name)
        return str(path.parent), path.name
    return _expand_user(name), None


def _is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf") and not Path(name).expanduser().is_dir()


def _expand_user(name: str) -> str:
    return str(Path(name).expanduser()) if name.startswith("~") else name


def _require_gguf_packages(name: str) -> None:
    for package in ("gguf", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"Reading {name!r} requires the package {package}, which is not installed.",
                hint="Run: pip install gguf accelerate",
            )
