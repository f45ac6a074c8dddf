"""What can be explained: models and tokenizers that a caller hands over, or that a checkpoint gave."""

from typing import Any

import torch

from model_understanding.errors import InputError, LoadingError
from model_understanding.loading.options import LoadingOptions, device_of, number_type_of
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION

HEADS = {
    SEQUENCE_CLASSIFICATION: ("ForSequenceClassification",),
    CAUSAL_LM: ("ForCausalLM", "LMHeadModel", "GenerationDecoder", "ForConditionalGeneration"),
}
"""How the classes of transformers that do a task end."""


def accepted_model(model: Any, task: str) -> Any:
    """Return a model as it is, unless it cannot be explained as asked.

    Args:
        model: The model.
        task: What it is to be explained as.

    Raises:
        InputError: It is no transformers model, or none for this task.
        LoadingError: It is compiled.
    """
    if hasattr(model, "_orig_mod") or getattr(model, "_compiled_call_impl", None) is not None:
        raise LoadingError(
            "A compiled model hides what it computes.", hint="Pass the model as it was before torch.compile."
        )
    config = getattr(model, "config", None)
    if config is None:
        raise InputError(
            f"{type(model).__name__} is not a transformers model: it has no config.",
            hint="Pass a model made by AutoModelForSequenceClassification or AutoModelForCausalLM.",
        )
    name = type(model).__name__
    heads = HEADS[task]
    # A class of the user's own may be called anything; those of transformers say what they are for.
    is_of_transformers = type(model).__module__.startswith("transformers.")
    if is_of_transformers and (not name.endswith(heads) or _is_encoder_decoder(model, task)):
        raise InputError(
            f"{name} is not a model for {task}.",
            hint="Use ModelVisualizer for sequence classifiers, "
            "GenerativeModelVisualizer for language models.",
        )
    if task == SEQUENCE_CLASSIFICATION and not hasattr(config, "num_labels"):
        raise InputError(f"{name} has no labels.", hint="Pass a sequence classifier.")
    return model


def _is_encoder_decoder(model: Any, task: str) -> bool:
    return task == CAUSAL_LM and bool(getattr(model.config, "is_encoder_decoder", False))


def accepted_tokenizer(tokenizer: Any) -> Any:
    """Return a tokenizer as it is; raise InputError where it is none."""
    if not (callable(tokenizer) and hasattr(tokenizer, "convert_ids_to_tokens")):
        raise InputError(
            f"{type(tokenizer).__name__} is not a transformers tokenizer.",
            hint="Pass AutoTokenizer.from_pretrained(…), or the name to load it from.",
        )
    return tokenizer


def refuse_changes(model: Any, options: LoadingOptions) -> None:
    """Refuse to move or convert a model of the user's own; saying what it already is does no harm."""
    if options.device_map is not None:
        raise InputError(
            "device_map is for models given by name: this one is loaded already.",
            hint="Load it with from_pretrained(…, device_map=…) and pass it without.",
        )
    wanted = None if options.device is None else device_of(options.device)
    held = next(model.parameters(), torch.empty(0)).device
    if wanted is not None and (wanted.type != held.type or wanted.index not in (None, held.index)):
        raise InputError(
            f"The model lies on {held}, not on {wanted}.", hint=f"Move it before: model.to('{wanted}')."
        )
    dtype = "auto" if options.dtype is None else number_type_of(options.dtype, held)
    if dtype not in ("auto", model.dtype):
        raise InputError(
            f"The model's weights are {model.dtype}, not {dtype}.",
            hint=f"Convert it before: model.to({dtype}).",
        )
