"""Read a checkpoint's configuration, weights and tokenizer, each looked at before it is used."""

from typing import Any

import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from model_understanding.loading.checkpoint_checks import (
    refuse_foreign_kernels,
    refuse_missing_weights,
    refuse_pickles,
    refuse_unknown_quantization,
    refuse_unusable_folder,
    require_vocabulary,
)
from model_understanding.loading.options import (
    LoadingOptions,
    device_map_of,
    device_of,
    hub_arguments,
    number_type_of,
)
from model_understanding.loading.translate_errors import plain_errors
from model_understanding.targets.names import CAUSAL_LM, SEQUENCE_CLASSIFICATION

_CLASSES: dict[str, Any] = {
    SEQUENCE_CLASSIFICATION: AutoModelForSequenceClassification,
    CAUSAL_LM: AutoModelForCausalLM,
}


def load_config(place: str, options: LoadingOptions, extra: dict[str, Any] | None = None) -> Any:
    """Return a checkpoint's configuration.

    Args:
        place: The hub id or folder.
        options: How to load it.
        extra: What else transformers is told: the file of a ``.gguf`` checkpoint.

    Raises:
        LoadingError: It cannot be read, or names a number format that is unknown.
        UnsafeModelError: It names code of the hub.
    """
    hub = hub_arguments(options)
    if not extra:
        refuse_unusable_folder(place)
    with plain_errors(place):
        raw, _ = transformers.PretrainedConfig.get_config_dict(place, **hub, **(extra or {}))
        refuse_foreign_kernels(place, raw)
        config = AutoConfig.from_pretrained(
            place, trust_remote_code=options.trust_remote_code, **hub, **(extra or {})
        )
    refuse_foreign_kernels(place, config.to_dict())
    refuse_unknown_quantization(place, config)
    return config


def load_weights(
    place: str, config: Any, task: str, options: LoadingOptions, extra: dict[str, Any]
) -> tuple[Any, list[str]]:
    """Return a checkpoint's model on its device, and the weights that the checkpoint lacks.

    Args:
        place: The hub id or folder.
        config: Its configuration.
        task: What to load it for.
        options: How to load it.
        extra: As ``load_config`` takes it.

    Raises:
        LoadingError: The weights are missing or do not fit the configuration.
        UnsafeModelError: They are a pickle.
    """
    device = device_of(options.device)
    spread = {} if options.device_map is None else {"device_map": device_map_of(options)}
    dtype = number_type_of(options.dtype, device)
    hub = hub_arguments(options)
    with plain_errors(place):
        if not extra:
            refuse_missing_weights(place)
            if not options.allow_pickle:
                refuse_pickles(place, config, hub)
        model, information = _CLASSES[task].from_pretrained(
            place,
            config=config,
            dtype=dtype,
            use_safetensors=None if extra or options.allow_pickle else True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            **spread,
            **hub,
            **extra,
        )
    if getattr(model, "hf_device_map", None) is None and not getattr(model, "is_quantized", False):
        model = model.to(device)
    return model.eval(), sorted(information["missing_keys"])


def load_tokenizer(place: str, options: LoadingOptions, extra: dict[str, Any] | None = None) -> Any:
    """Return a checkpoint's tokenizer.

    Args:
        place: The hub id or folder.
        options: How to load it.
        extra: As ``load_config`` takes it.

    Raises:
        LoadingError: There is none.
        UnsafeModelError: It needs code of its own to be run.
    """
    if not extra:
        refuse_unusable_folder(place)
    with plain_errors(place):
        tokenizer = AutoTokenizer.from_pretrained(
            place, trust_remote_code=options.trust_remote_code, **hub_arguments(options), **(extra or {})
        )
    require_vocabulary(place, tokenizer)
    return tokenizer
