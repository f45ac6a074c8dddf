"""What sentence-transformers says of a cross-encoder: how scores are made of logits, and its prompts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

from model_understanding.demo_models import DEMO_MODELS
from model_understanding.errors import LoadingError
from model_understanding.loading.hub import options_for
from model_understanding.loading.options import LoadingOptions

_SETTINGS = "config_sentence_transformers.json"
_ACTIVATIONS = {"Identity": "identity", "Sigmoid": "sigmoid", "Tanh": "tanh"}


@dataclass(frozen=True, slots=True)
class CrossEncoderSettings:
    """How scores are made of a cross-encoder's logits.

    Args:
        activation: ``identity``, ``sigmoid`` or ``tanh``; ``None`` if nothing known is named.
        other: The full name of another activation, which is not applied.
        prompt: A text that the folder puts before each query by default; empty for none.
    """

    activation: str | None = None
    other: str = ""
    prompt: str = ""


def cross_encoder_settings(checkpoint: object, config: Any, options: LoadingOptions) -> CrossEncoderSettings:
    """Return how sentence-transformers makes scores of a model's logits.

    Folders name the activation in a file of their own, or in the model's config; former versions under
    another key. Nothing is imported by that name.

    Args:
        checkpoint: The hub id or folder that the model was loaded from; anything else for a loaded model.
        config: The model's config.
        options: How it was loaded.

    Raises:
        LoadingError: The file is not valid JSON.
    """
    settings = _settings(str(checkpoint), options) if isinstance(checkpoint, str | Path) else {}
    inside = getattr(config, "sentence_transformers", None)
    named = (
        settings.get("activation_fn")
        or (inside.get("activation_fn") if isinstance(inside, Mapping) else None)
        or getattr(config, "sbert_ce_default_activation_function", None)
        or ""
    )
    name = str(named).rpartition(".")[2]
    activation = _ACTIVATIONS.get(name) if str(named).startswith("torch.") else None
    prompts = settings.get("prompts")
    prompt = prompts.get(settings.get("default_prompt_name")) if isinstance(prompts, Mapping) else None
    return CrossEncoderSettings(activation, "" if activation else str(named), str(prompt or ""))


def _settings(checkpoint: str, options: LoadingOptions) -> Mapping[str, Any]:
    path = _path_of(checkpoint, options)
    if path is None:
        return {}
    try:
        settings = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise LoadingError(
            f"{_SETTINGS} of {checkpoint!r} is not valid JSON: {error}.", hint="Download the model again."
        ) from error
    return settings if isinstance(settings, Mapping) else {}


def _path_of(checkpoint: str, options: LoadingOptions) -> Path | None:
    if checkpoint in DEMO_MODELS:
        return None
    folder = Path(checkpoint).expanduser()
    if folder.exists():
        return folder / _SETTINGS if (folder / _SETTINGS).is_file() else None
    options = options_for(checkpoint, options)
    given = {"revision": options.revision, "token": options.token}
    found = cached_file(
        checkpoint,
        _SETTINGS,
        local_files_only=options.local_files_only,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **{name: value for name, value in given.items() if value is not None},
    )
    return None if found is None else Path(found)
