"""Load a model and its tokenizer safely, and record where they come from."""

from pathlib import Path
from typing import Any

import torch

from model_understanding.errors import InputError
from model_understanding.loading.from_name import detect_task as detect_task
from model_understanding.loading.from_name import load_by_name, tokenizer_of
from model_understanding.loading.loaded_model import LoadedModel as LoadedModel
from model_understanding.loading.loaded_model import provenance_of
from model_understanding.loading.options import LoadingOptions as LoadingOptions
from model_understanding.loading.supported import accepted_model, refuse_changes


def load(
    name_or_model: Any, *, model: Any, tokenizer: Any, task: str, options: LoadingOptions
) -> LoadedModel:
    """Load a model by name, or take one that is loaded.

    Args:
        name_or_model: A hub id, a folder, ``demo:…``, a ``.gguf`` file, a model or a pipeline.
        model: A loaded model, in place of the first.
        tokenizer: Its tokenizer, or a name to load it from.
        task: What to load it for.
        options: How to load it.

    Returns:
        The model, its tokenizer and where they come from.

    Raises:
        InputError: Neither or both are given, or a loaded model lacks its tokenizer.
        LoadingError: It cannot be loaded.
        UnsafeModelError: Loading it would run code the caller did not ask for.
    """
    if (name_or_model is None) == (model is None):
        raise InputError(
            "Give either a model's name or a loaded model.",
            hint="For example ModelVisualizer('bert-base-uncased') or (model=…, tokenizer=…).",
        )
    given = name_or_model if model is None else model
    kind = type(given).__name__
    if isinstance(given, str | Path):
        return load_by_name(str(given), tokenizer, task, options)
    if not isinstance(given, torch.nn.Module):  # a pipeline
        tokenizer = getattr(given, "tokenizer", None) if tokenizer is None else tokenizer
        given = getattr(given, "model", None)
    if not isinstance(given, torch.nn.Module):
        raise InputError(
            f"Cannot explain an object of type {kind}.",
            hint="Pass a name, a folder, a transformers model with its tokenizer, or a pipeline.",
        )
    if tokenizer is None:
        raise InputError("A loaded model needs its tokenizer.", hint="Pass tokenizer=…, an object or a name.")
    given = accepted_model(given, task)
    refuse_changes(given, options)
    tokenizer = tokenizer_of(tokenizer, options)
    name = getattr(given.config, "_name_or_path", "") or type(given).__name__
    return LoadedModel(given, tokenizer, task, provenance_of(name, task, given, tokenizer, options, ()))
