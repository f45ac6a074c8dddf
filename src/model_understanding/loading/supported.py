"""Check that a model and a tokenizer are of a kind that can be explained."""

from typing import Any

import torch

from model_understanding.errors import InputError
from model_understanding.loading.options import LoadingOptions, resolve_device, resolve_dtype
from model_understanding.loading.wrappers import config_of, device_of, dtype_of, without_adapter
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION

HEADS = {
    SEQUENCE_CLASSIFICATION: ("ForSequenceClassification",),
    CAUSAL_LM: ("ForCausalLM", "LMHeadModel", "GenerationDecoder", "ForConditionalGeneration"),
}
"""Suffixes of the transformers classes for each task."""

_MAY_GET_A_HEAD = (*HEADS[SEQUENCE_CLASSIFICATION], *HEADS[CAUSAL_LM], "ForMaskedLM", "ForPreTraining")
_OTHER_TASKS = (
    "ForQuestionAnswering",
    "ForQuestionAnsweringSimple",
    "ForTokenClassification",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
)

WHICH_VISUALIZER = (
    "Use ModelVisualizer (--task sequence-classification) for sequence classifiers, "
    "GenerativeModelVisualizer (--task causal-lm) for causal language models."
)


def refuse_other_task(checkpoint: str, config: Any, task: str | None) -> None:
    """Refuse a checkpoint of a task that is not explained, which would load with an untrained head.

    Args:
        checkpoint: The hub id or folder.
        config: Its config.
        task: The task to load it for, if it is known.

    Raises:
        InputError: It is such a checkpoint.
    """
    for architecture in getattr(config, "architectures", None) or ():
        is_seq2seq = getattr(config, "is_encoder_decoder", False) and (
            architecture.endswith(("ForConditionalGeneration", "MTModel"))
            or (task == CAUSAL_LM and not architecture.endswith(HEADS[CAUSAL_LM]))
        )
        is_other = "For" in architecture and not architecture.endswith(_MAY_GET_A_HEAD)
        if is_seq2seq or architecture.endswith(_OTHER_TASKS) or (task is None and is_other):
            raise other_task_error(checkpoint, config)


def other_task_error(checkpoint: str, config: Any) -> InputError:
    """Return the error that says what a checkpoint is, and what is explained.

    Args:
        checkpoint: The hub id or folder.
        config: Its config.
    """
    architectures = getattr(config, "architectures", None) or [f"a model of type {config.model_type!r}"]
    return InputError(
        f"{checkpoint!r} is {', '.join(architectures)}, which is neither a sequence classifier "
        "(…ForSequenceClassification) nor a causal language model (…ForCausalLM).",
        hint="Pass a model of one of these two kinds. For any other model use BlackBoxVisualizer in Python, "
        "which needs only a function from texts to numbers.",
    )


def check_model(model: Any, task: str) -> None:
    """Check that a model can be explained for a task.

    Args:
        model: The model.
        task: The task.

    Raises:
        InputError: It is no transformers model, or none for this task, or compiled by ``torch.jit``.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            "A model compiled by torch.jit cannot be explained: its code is no longer Python.",
            hint="Pass the model as it was before torch.jit.trace or torch.jit.script. For a saved one "
            "BlackBoxVisualizer needs only a function from texts to numbers.",
        )
    # A class of the user's own may have any name; those of transformers are named after their task.
    core = without_adapter(model)
    name, config = type(core).__name__, config_of(core)
    is_of_transformers = type(core).__module__.startswith("transformers.")
    is_encoder_decoder = task == CAUSAL_LM and getattr(config, "is_encoder_decoder", False)
    if is_of_transformers and (not name.endswith(HEADS[task]) or is_encoder_decoder):
        raise InputError(f"{name} is not a {task} model.", hint=WHICH_VISUALIZER)


def check_tokenizer(tokenizer: Any) -> None:
    """Raise InputError unless an object is a transformers tokenizer."""
    if not (callable(tokenizer) and hasattr(tokenizer, "convert_ids_to_tokens")):
        raise InputError(
            f"An object of type {type(tokenizer).__name__} is not a transformers tokenizer.",
            hint="Pass AutoTokenizer.from_pretrained(…), or the name or folder to load it from.",
        )


def check_placement(model: Any, options: LoadingOptions) -> None:
    """Check that a loaded model already has the requested device and dtype, since it is not changed.

    Args:
        model: The model.
        options: The requested options.

    Raises:
        InputError: The model would have to be moved or converted.
    """
    if options.device_map is not None:
        raise InputError(
            "device_map applies only to models loaded by name; this model is already loaded.",
            hint="Load it with from_pretrained(…, device_map=…), and pass it without device_map.",
        )
    model_device = device_of(model)
    device = None if options.device is None else resolve_device(options.device)
    if device is not None and (
        device.type != model_device.type or device.index not in (None, model_device.index)
    ):
        raise InputError(
            f"The model is on {model_device}, not on {device}.", hint=f"Move it first: model.to('{device}')."
        )
    dtype = "auto" if options.dtype is None else resolve_dtype(options.dtype, model_device)
    if dtype not in ("auto", dtype_of(model)):
        raise InputError(
            f"The model's weights are {dtype_of(model)}, not {dtype}.",
            hint=f"Convert it first: model.to({dtype}).",
        )
