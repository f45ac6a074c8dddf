"""From a name — a hub id, a folder, a demo model, a ``.gguf`` file — to a model ready to be explained."""

import importlib.util
from pathlib import Path
from typing import Any

from model_understanding.demo_models import DEMO_MODELS, demo_model_folder
from model_understanding.errors import InputError, LoadingError, MissingExtraError
from model_understanding.loading.from_pretrained import load_config, load_tokenizer, load_weights
from model_understanding.loading.loaded_model import LoadedModel, provenance_of
from model_understanding.loading.options import LoadingOptions
from model_understanding.loading.supported import HEADS, accepted_model, accepted_tokenizer
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION


def load_by_name(name: str, tokenizer: Any, task: str, options: LoadingOptions) -> LoadedModel:
    """Load a model by its name.

    Args:
        name: A hub id, a folder, ``demo:…`` or a ``.gguf`` file.
        tokenizer: Its tokenizer, or a name to load it from; the checkpoint's own where left out.
        task: What to load it for.
        options: How to load it.

    Returns:
        The model, its tokenizer and where they come from.

    Raises:
        InputError: It is no model for this task.
        LoadingError: It cannot be loaded.
        MissingExtraError: A package that reads it is not installed.
        UnsafeModelError: Loading it would run code the caller did not ask for.
    """
    place, extra = _place_of(name, task)
    config = load_config(place, options, extra)
    loaded, untrained = load_weights(place, config, task, options, extra)
    tokenizer = (
        load_tokenizer(place, options, extra) if tokenizer is None else tokenizer_of(tokenizer, options)
    )
    model = accepted_model(loaded, task)
    cautions = ()
    if untrained:
        shown_keys = ", ".join(untrained[:3]) + (" …" if len(untrained) > 3 else "")
        cautions = (f"untrained head: this explains random weights ({shown_keys})",)
    return LoadedModel(model, tokenizer, task, provenance_of(name, task, model, tokenizer, options, cautions))


def tokenizer_of(given: Any, options: LoadingOptions) -> Any:
    """Return a tokenizer that is given as an object or by its name.

    Args:
        given: The tokenizer, or the name or folder to load it from.
        options: How to load it.

    Raises:
        InputError: The object is no tokenizer.
        LoadingError: It cannot be loaded.
    """
    if isinstance(given, str | Path):
        name = str(given)
        place = demo_model_folder(name) if name in DEMO_MODELS else _expanded(name)
        given = load_tokenizer(str(place), options)
    return accepted_tokenizer(given)


def detect_task(name: str, options: LoadingOptions) -> str:
    """Return the task of a checkpoint from the architecture its configuration names.

    Args:
        name: A hub id, a folder or a demo model.
        options: How to load it.

    Returns:
        The task.

    Raises:
        InputError: The architecture is neither a classifier nor a language model.
    """
    if name in DEMO_MODELS:
        return DEMO_MODELS[name].task
    if name.endswith(".gguf"):
        return CAUSAL_LM
    architectures = getattr(load_config(_expanded(name), options), "architectures", None) or []
    for architecture in architectures:
        if architecture.endswith("ForSequenceClassification"):
            return SEQUENCE_CLASSIFICATION
        if architecture.endswith(HEADS[CAUSAL_LM]):
            return CAUSAL_LM
    raise InputError(
        f"{name!r} names {', '.join(architectures) or 'no architecture'}: "
        "neither a sequence classifier nor a causal language model.",
        hint=f"Pass --task {SEQUENCE_CLASSIFICATION} or --task {CAUSAL_LM}.",
    )


def _place_of(name: str, task: str) -> tuple[str, dict[str, Any]]:
    """Return the hub id or folder that transformers loads a name from, and what else to tell it."""
    if name.startswith("demo:"):
        place = str(demo_model_folder(name))
        if DEMO_MODELS[name].task != task:
            raise InputError(
                f"{name} is a model for {DEMO_MODELS[name].task}, not for {task}.",
                hint="Use GenerativeModelVisualizer for language models and ModelVisualizer for classifiers.",
            )
        return place, {}
    if name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise LoadingError(f"There is no file {name}.", hint="Check the path.")
        _require_gguf(name)
        return str(path.parent), {"gguf_file": path.name}
    return _expanded(name), {}


def _expanded(name: str) -> str:
    return str(Path(name).expanduser()) if name.startswith("~") else name


def _require_gguf(name: str) -> None:
    for package in ("gguf", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"Reading {name} needs the package {package}, which is not installed.",
                hint='Run: pip install "model-understanding[gguf]"',
            )
