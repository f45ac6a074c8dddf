"""Load a model and its tokenizer safely, and record where they come from."""

from pathlib import Path
from typing import Any

import torch

from model_understanding.errors import InputError
from model_understanding.loading.from_name import detect_task as detect_task
from model_understanding.loading.from_name import load_by_name, resolve_tokenizer
from model_understanding.loading.loaded_model import LoadedModel as LoadedModel
from model_understanding.loading.loaded_model import provenance_of
from model_understanding.loading.options import LoadingOptions as LoadingOptions
from model_understanding.loading.supported import check_model, check_placement
from model_understanding.loading.text_encoder import given_text_encoder
from model_understanding.loading.wrappers import config_of, unwrapped
from model_understanding.targets.names import SIMILARITY


def load(
    name_or_model: Any, *, model: Any, tokenizer: Any, task: str, options: LoadingOptions
) -> LoadedModel:
    """Load a model by name, or accept one that is already loaded.

    Args:
        name_or_model: A hub id, a folder, ``demo:…``, a ``.gguf`` file, a model or a pipeline.
        model: A loaded model or pipeline, instead of ``name_or_model``.
        tokenizer: Its tokenizer, or the name or folder to load it from.
        task: The task to load it for.
        options: How to load it.

    Returns:
        The model, its tokenizer and their provenance.

    Raises:
        InputError: Neither or both are given, the object is no model for this task, or its tokenizer is
            missing.
        LoadingError: The checkpoint cannot be loaded.
        UnsafeModelError: Loading it would run code the caller did not ask for.
    """
    if (name_or_model is None) == (model is None):
        raise InputError(
            f"Expected either a model name or a loaded model. Got {'neither' if model is None else 'both'}.",
            hint="For example ModelVisualizer('bert-base-uncased'), or "
            "ModelVisualizer(model=model, tokenizer=tokenizer).",
        )
    source = name_or_model if model is None else model
    if isinstance(source, str | Path):
        return load_by_name(str(source), tokenizer, task, options)
    if isinstance(source, torch.nn.Module):
        module = source
    else:  # a pipeline
        module = getattr(source, "model", None)
        tokenizer = getattr(source, "tokenizer", None) if tokenizer is None else tokenizer
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"Cannot explain an object of type {type(source).__name__}.",
            hint="Pass a model name, a folder, a transformers model with its tokenizer, or a pipeline. "
            "For any other model use BlackBoxVisualizer, which needs only a function from texts to numbers.",
        )
    if tokenizer is None:
        raise InputError(
            "A loaded model needs its tokenizer.",
            hint="Pass tokenizer=…: a tokenizer, or the name or folder to load it from.",
        )
    module = unwrapped(module)
    check_model(module, task)
    check_placement(module, options)
    tokenizer = resolve_tokenizer(tokenizer, options)
    if task == SIMILARITY:
        return given_text_encoder(module, tokenizer, options)
    name = getattr(config_of(module), "_name_or_path", "") or type(module).__name__
    return LoadedModel(module, tokenizer, task, provenance_of(name, task, module, tokenizer, options))
