"""Check that a model and a tokenizer are of a kind that can be explained."""

from typing import Any

import torch
from transformers import MODEL_FOR_MASKED_LM_MAPPING

from model_understanding.errors import InputError
from model_understanding.loading.options import LoadingOptions, resolve_device, resolve_dtype
from model_understanding.loading.wrappers import config_of, device_of, dtype_of, without_adapter
from model_understanding.targets.names import (
    CAUSAL_LM,
    KINDS,
    MASKED_LM,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SEQ2SEQ_LM,
    SEQUENCE_CLASSIFICATION,
    SIMILARITY,
    TOKEN_CLASSIFICATION,
)

HEADS = {
    SEQUENCE_CLASSIFICATION: ("ForSequenceClassification",),
    CAUSAL_LM: ("ForCausalLM", "LMHeadModel", "GenerationDecoder", "ForConditionalGeneration"),
    TOKEN_CLASSIFICATION: ("ForTokenClassification",),
    QUESTION_ANSWERING: ("ForQuestionAnswering", "ForQuestionAnsweringSimple"),
    MASKED_LM: ("ForMaskedLM", "WithLMHeadModel"),
    SEQ2SEQ_LM: ("ForConditionalGeneration", "MTModel", "EncoderDecoderModel", "ForTextToText"),
    MULTIPLE_CHOICE: ("ForMultipleChoice",),
    SIMILARITY: ("Model",),
}
"""Suffixes of the transformers classes for each task."""

VISUALIZERS = {
    SEQUENCE_CLASSIFICATION: ("ModelVisualizer", "a sequence classifier"),
    CAUSAL_LM: ("GenerativeModelVisualizer", "a causal language model"),
    TOKEN_CLASSIFICATION: ("TokenClassificationVisualizer", "a token classifier"),
    QUESTION_ANSWERING: ("QuestionAnsweringVisualizer", "a question answering model"),
    MASKED_LM: ("MaskedLMVisualizer", "a masked language model"),
    SEQ2SEQ_LM: ("Seq2SeqVisualizer", "an encoder–decoder language model"),
    MULTIPLE_CHOICE: ("MultipleChoiceVisualizer", "a multiple choice model"),
    SIMILARITY: ("SimilarityVisualizer", "a text encoder"),
}
"""The class that explains models of each task, and what they are."""

SUPPORTED = (
    "Supported are "
    + ", ".join(f"{kind.partition(' ')[2]}s ({task})" for task, (_, kind) in VISUALIZERS.items())
    + ". For any other model use BlackBoxVisualizer in Python, which needs only a function from texts to "
    "numbers."
)

_MAKES_HEADS = (CAUSAL_LM, MASKED_LM, SEQUENCE_CLASSIFICATION)
"""Tasks whose checkpoints are often trained further with another head, which is then untrained."""
_SEARCH_FOR_SPANS = tuple(f"{kind}ForQuestionAnswering" for kind in ("XLNet", "XLM", "Flaubert"))
_NOT_ABOUT_TEXTS = {
    f"{kind}ForQuestionAnswering": about
    for about, kinds in {"pictures": ("Lxmert", "Vilt", "Blip"), "tables": ("Tapas",)}.items()
    for kind in kinds
}
_ONLY_DECODERS = ("ForCausalLM", "LMHeadModel", "GenerationDecoder")
_TAKES_HEAD = (SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION, QUESTION_ANSWERING, MULTIPLE_CHOICE, CAUSAL_LM)


def task_of_architecture(architecture: str, config: Any) -> str | None:
    """Return the task of a transformers class; ``None`` for one of another kind.

    Args:
        architecture: The name of the class.
        config: Its config, which says whether it is an encoder–decoder.
    """
    if architecture.endswith(_ONLY_DECODERS):  # BartForCausalLM may keep the whole model's config
        return CAUSAL_LM
    other = CAUSAL_LM if getattr(config, "is_encoder_decoder", False) else SEQ2SEQ_LM
    tasks = (task for task in HEADS if task not in (other, SIMILARITY))
    return next((task for task in tasks if architecture.endswith(HEADS[task])), None)


def is_of_task(architecture: str, config: Any, task: str) -> bool:
    """Return whether a transformers class is of a task; BART and XLM fill in masks besides their own task.

    Args:
        architecture: The name of the class.
        config: Its config.
        task: The task.
    """
    classes: Any = MODEL_FOR_MASKED_LM_MAPPING._model_mapping
    fills_masks = task == MASKED_LM and architecture in classes.values()
    return fills_masks or task_of_architecture(architecture, config) == task


def has_masked_head(architecture: str, config: Any) -> bool:
    """Return whether a checkpoint of a class for pretraining loads as a masked language model.

    Args:
        architecture: The name of the class, such as ``BertForPreTraining``.
        config: Its config.
    """
    is_masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING
    return architecture.endswith("ForPreTraining") and is_masked


def task_of_module(module: torch.nn.Module) -> str:
    """Return the task of a loaded model: that of its class, or of the class that it is derived from.

    Args:
        module: The model, perhaps with an adapter.

    Raises:
        InputError: Its class names no task, or one of another kind.
    """
    core = without_adapter(module)
    config, name = config_of(core), type(core).__name__
    for kind in type(core).__mro__:
        task = task_of_architecture(kind.__name__, config)
        if task is not None:
            return task
    if not type(core).__module__.startswith("transformers."):
        raise InputError(
            f"Cannot determine the task of a {name}: its class does not name it.",
            hint=f"Pass task=…: one of {', '.join(KINDS)}.",
        )
    if "For" in name or name.endswith("HeadsModel"):
        is_masked = has_masked_head(name, config)
        hint = "Load it with AutoModelForMaskedLM, or pass its name." if is_masked else SUPPORTED
        raise InputError(f"{name} is not supported.", hint=hint)
    raise InputError(
        f"{name} has no head, so it answers nothing that could be explained.",
        hint="Load it with the head of a task, or pass pooling='mean' to explain the similarity of texts.",
    )


def refuse_other_task(checkpoint: str, config: Any, task: str | None) -> None:
    """Refuse a checkpoint that would load for a task with an untrained head, or not at all.

    Args:
        checkpoint: The hub id or folder.
        config: Its config.
        task: The task to load it for, if it is known.

    Raises:
        InputError: It is such a checkpoint.
    """
    for architecture in getattr(config, "architectures", None) or ():
        _refuse_other_questions(repr(checkpoint), architecture)
        own = task_of_architecture(architecture, config)
        if own == task or (own is None and "For" not in architecture):
            continue
        if task in (None, MASKED_LM) and has_masked_head(architecture, config):
            continue
        if task is not None and is_of_task(architecture, config, task):
            continue
        is_pretrained = own in _MAKES_HEADS or architecture.endswith("ForPreTraining")
        if task is None:
            if own is None:
                raise other_task_error(checkpoint, config, task)
        elif task != SIMILARITY and not (is_pretrained and task in _TAKES_HEAD):
            raise other_task_error(checkpoint, config, task)


def other_task_error(checkpoint: str, config: Any, task: str | None) -> InputError:
    """Return the error that says what a checkpoint is, and with what it is explained.

    Args:
        checkpoint: The hub id or folder.
        config: Its config.
        task: The task that it does not load for.
    """
    architectures = getattr(config, "architectures", None) or [f"a model of type {config.model_type!r}"]
    named = f"{checkpoint!r} is {', '.join(architectures)}"
    tasks = [task_of_architecture(architecture, config) for architecture in architectures]
    own = next((own for own in tasks if own not in (None, task)), None)
    if own is not None:
        visualizer, kind = VISUALIZERS[own]
        return InputError(f"{named}, {kind}.", hint=f"Use {visualizer} (--task {own}).")
    return InputError(f"{named}, which is not supported.", hint=SUPPORTED)


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
    own = task_of_architecture(name, config)
    if is_of_transformers:
        _refuse_other_questions("The model", name)
    if is_of_transformers and not is_of_task(name, config, task) and task != SIMILARITY:
        if own is None:
            raise InputError(f"{name} is not {VISUALIZERS[task][1]}.", hint=SUPPORTED)
        visualizer, kind = VISUALIZERS[own]
        raise InputError(
            f"{name} is {kind}, not {VISUALIZERS[task][1]}.", hint=f"Use {visualizer} (--task {own})."
        )


def _refuse_other_questions(model: str, architecture: str) -> None:
    """Raise InputError for heads called question answering that have no start and end logits of tokens."""
    if architecture in _NOT_ABOUT_TEXTS:
        raise InputError(
            f"{model} is {architecture}, which answers questions about {_NOT_ABOUT_TEXTS[architecture]}.",
            hint=SUPPORTED,
        )
    if architecture in _SEARCH_FOR_SPANS:
        raise InputError(
            f"{model} is {architecture}, whose head searches for the best spans itself: its tokens have no "
            "start and end logits.",
            hint=f"Pass a model that was trained as {architecture}Simple, or of another architecture.",
        )


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
