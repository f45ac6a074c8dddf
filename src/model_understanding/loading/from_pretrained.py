"""Read a checkpoint's config, weights and tokenizer with transformers, after checking each."""

from typing import Any

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PretrainedConfig,
)

from model_understanding.loading.checkpoint_checks import (
    refuse_damaged_weights,
    refuse_foreign_kernels,
    refuse_impossible_sizes,
    refuse_missing_layers,
    refuse_missing_weights,
    refuse_pickles,
    refuse_unknown_quantization,
    refuse_unusable_folder,
    require_vocabulary,
)
from model_understanding.loading.options import (
    LoadingOptions,
    resolve_device,
    resolve_device_map,
    resolve_dtype,
)
from model_understanding.loading.supported import other_task_error, refuse_other_task
from model_understanding.loading.translate_errors import translate_errors
from model_understanding.targets.names import (
    CAUSAL_LM,
    MASKED_LM,
    MULTIPLE_CHOICE,
    QUESTION_ANSWERING,
    SEQ2SEQ_LM,
    SEQUENCE_CLASSIFICATION,
    SIMILARITY,
    TOKEN_CLASSIFICATION,
)

_AUTO_CLASSES: dict[str, Any] = {
    SEQUENCE_CLASSIFICATION: AutoModelForSequenceClassification,
    CAUSAL_LM: AutoModelForCausalLM,
    TOKEN_CLASSIFICATION: AutoModelForTokenClassification,
    QUESTION_ANSWERING: AutoModelForQuestionAnswering,
    MASKED_LM: AutoModelForMaskedLM,
    SEQ2SEQ_LM: AutoModelForSeq2SeqLM,
    MULTIPLE_CHOICE: AutoModelForMultipleChoice,
    SIMILARITY: AutoModel,
}


def load_config(checkpoint: str, options: LoadingOptions, gguf_file: str | None = None) -> Any:
    """Return a checkpoint's config.

    Args:
        checkpoint: The hub id or folder.
        options: How to load it.
        gguf_file: The ``.gguf`` file in the folder, if the checkpoint is one.

    Raises:
        LoadingError: It cannot be read, or names an unknown quantization.
        UnsafeModelError: It names code on the hub.
    """
    arguments = _arguments(options, gguf_file)
    if gguf_file is None:
        refuse_unusable_folder(checkpoint)
    with translate_errors(checkpoint, gguf_file):
        raw_config, _ = PretrainedConfig.get_config_dict(checkpoint, **arguments)
        refuse_foreign_kernels(checkpoint, raw_config)
        refuse_impossible_sizes(checkpoint, raw_config)
        config = AutoConfig.from_pretrained(
            checkpoint, trust_remote_code=options.trust_remote_code, **arguments
        )
    refuse_foreign_kernels(checkpoint, config.to_dict())
    refuse_unknown_quantization(checkpoint, config)
    return config


def load_weights(
    checkpoint: str, config: Any, task: str, options: LoadingOptions, gguf_file: str | None = None
) -> tuple[Any, list[str]]:
    """Return a checkpoint's model on its device, and the names of the weights that the checkpoint lacks.

    Args:
        checkpoint: The hub id or folder.
        config: Its config.
        task: The task to load it for.
        options: How to load it.
        gguf_file: The ``.gguf`` file in the folder, if the checkpoint is one.

    Raises:
        InputError: It is a model of a task that is not explained.
        LoadingError: The weights are missing in whole or in part, damaged, or do not fit the config.
        UnsafeModelError: They are stored in a pickle.
    """
    refuse_other_task(checkpoint, config, task)
    device = resolve_device(options.device)
    placement = {} if options.device_map is None else {"device_map": resolve_device_map(options)}
    dtype = resolve_dtype(options.dtype, device)
    with translate_errors(checkpoint, gguf_file):
        if gguf_file is None:
            refuse_missing_weights(checkpoint)
            refuse_damaged_weights(checkpoint)
            if not options.allow_pickle:
                refuse_pickles(checkpoint, config, _arguments(options))
        try:
            model, loading_info = _AUTO_CLASSES[task].from_pretrained(
                checkpoint,
                config=config,
                dtype=dtype,
                use_safetensors=None if gguf_file or options.allow_pickle else True,
                trust_remote_code=options.trust_remote_code,
                output_loading_info=True,
                **placement,
                **_arguments(options, gguf_file),
            )
        except ValueError as error:
            if "Unrecognized configuration class" in str(error):
                raise other_task_error(checkpoint, config, task) from error
            raise
    untrained = sorted(loading_info["missing_keys"])
    refuse_missing_layers(checkpoint, model, untrained)
    if getattr(model, "hf_device_map", None) is None and not getattr(model, "is_quantized", False):
        model = model.to(device)
    return model.eval(), untrained


def load_tokenizer(checkpoint: str, options: LoadingOptions, gguf_file: str | None = None) -> Any:
    """Return a checkpoint's tokenizer.

    Args:
        checkpoint: The hub id or folder.
        options: How to load it.
        gguf_file: The ``.gguf`` file in the folder, if the checkpoint is one.

    Raises:
        LoadingError: There is none.
        UnsafeModelError: It would run code of its own.
    """
    if gguf_file is None:
        refuse_unusable_folder(checkpoint)
    with translate_errors(checkpoint, gguf_file):
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint, trust_remote_code=options.trust_remote_code, **_arguments(options, gguf_file)
        )
    require_vocabulary(checkpoint, tokenizer)
    return tokenizer


def _arguments(options: LoadingOptions, gguf_file: str | None = None) -> dict[str, Any]:
    """Return the arguments of every ``from_pretrained``: revision, token and place, where given."""
    arguments = {
        "revision": options.revision,
        "token": options.token,
        "gguf_file": gguf_file,
        "subfolder": options.subfolder,
        "local_files_only": options.local_files_only or None,
    }
    return {name: value for name, value in arguments.items() if value is not None}
