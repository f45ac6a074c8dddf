"""Which model a run explained, and loading that very model again."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch.nn import Module

from model_understanding.errors import InputError
from model_understanding.targets.classification import labels_of, problem_of
from model_understanding.targets.names import SEQUENCE_CLASSIFICATION
from model_understanding.visualizers import visualizer
from model_understanding.visualizers.base import Visualizer


def identity_of(explainer: Visualizer) -> dict[str, Any]:
    """Return what of a model the rows depend on, as a manifest keeps it.

    Args:
        explainer: The model's visualizer.
    """
    model = explainer.runner.model
    origin = model.loaded.provenance
    is_classifier = model.task == SEQUENCE_CLASSIFICATION
    return {
        "model": origin.model,
        "is_local": origin.is_local,
        "task": origin.task,
        "architecture": origin.architecture,
        "revision": origin.revision,
        "weights_sha256": _digest_of_weights(model.module),
        "dtype": origin.dtype,
        "device": model.device.type,
        "attention_implementation": origin.attention_implementation,
        "tokenizer": origin.tokenizer,
        "tokenizer_sha256": _digest_of_tokenizer(model.tokenizer),
        "labels": list(labels_of(model.config)) if is_classifier else None,
        "problem": problem_of(model.config) if is_classifier else None,
        "versions": dict(origin.versions),
    }


def model_of_run(manifest: Mapping[str, Any], model: Any = None, **options: Any) -> Visualizer:
    """Return the visualizer of the model that a run explained, with the weights that it had.

    Args:
        manifest: The run's manifest.
        model: A name, a folder, a model or a pipeline, or the visualizer of one; the manifest's model if
            left out.
        **options: Further settings of the visualizer, where ``model`` is a name or left out.

    Raises:
        InputError: The manifest does not say where the model is, or its weights or its tokenizer are others.
        LoadingError: The model cannot be loaded.
    """
    if isinstance(model, Visualizer):
        explainer = model
    else:
        if model is None:
            model = _name_of(manifest)
        if isinstance(model, str | Path):
            as_before = {"task": manifest["task"], "dtype": manifest["dtype"]}
            if not manifest["is_local"]:
                as_before["revision"] = manifest["revision"]
            options = as_before | options
        try:
            explainer = visualizer(model, **options)
        except InputError as error:
            raise InputError(
                error.message, hint=f"Pass the run's model, {manifest['model']!r}, as it was then."
            ) from error
    now = identity_of(explainer)
    names = {"weights_sha256": "weights", "tokenizer_sha256": "tokenizer", "task": "task"}
    others = [name for key, name in names.items() if manifest[key] != now[key]]
    if others:
        raise InputError(
            f"{now['model']!r} is not the model that the run explained: its {' and '.join(others)} differ.",
            hint=f"Pass {manifest['model']!r} as it was then, or run the data set again.",
        )
    return explainer


def _name_of(manifest: Mapping[str, Any]) -> str:
    """Return where a run's model is, as far as its manifest says so."""
    name = manifest["model"]
    if manifest["is_local"] and not Path(name).exists():  # a manifest has no paths of the author's disk
        raise InputError(
            f"The run's model is in a folder named {name!r}, which is not here.",
            hint="Pass the path of the model.",
        )
    if name == manifest["architecture"]:
        raise InputError(
            f"The run's model was given as a {name} in Python, not by a name.",
            hint="Pass the model.",
        )
    return name


def _digest_of_weights(module: Module) -> str:
    """Return the SHA-256 of a module's parameters and buffers: a folder may be trained on meanwhile."""
    digest = sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _digest_of_tokenizer(tokenizer: Any) -> str:
    """Return the SHA-256 of what a tokenizer does with texts and chats."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        rules = tokenizer.get_vocab()
    else:
        rules = json.loads(backend.to_str())
        rules |= {"padding": None, "truncation": None}  # what its last call set
    text = f"{json.dumps(rules, sort_keys=True)}\n{getattr(tokenizer, 'chat_template', None)}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
