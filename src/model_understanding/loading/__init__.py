"""Load a model and its tokenizer safely, and record where they come from."""

import importlib.util
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from model_understanding.demo_models import DEMO_MODELS, demo_model_folder
from model_understanding.errors import InputError, LoadingError, MissingExtraError
from model_understanding.loading.checkpoint import (
    refuse_foreign_kernels,
    refuse_missing_weights,
    refuse_pickles,
    refuse_unknown_quantization,
    refuse_unusable_folder,
    require_vocabulary,
)
from model_understanding.loading.plain_errors import plain_errors
from model_understanding.results import Provenance
from model_understanding.tasks import CAUSAL_LM, SEQUENCE_CLASSIFICATION

_CLASSES: dict[str, Any] = {
    SEQUENCE_CLASSIFICATION: AutoModelForSequenceClassification,
    CAUSAL_LM: AutoModelForCausalLM,
}
_HEADS = {
    SEQUENCE_CLASSIFICATION: ("ForSequenceClassification",),
    CAUSAL_LM: ("ForCausalLM", "LMHeadModel", "GenerationDecoder", "ForConditionalGeneration"),
}


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to be explained.

    Args:
        model: The transformers model.
        tokenizer: Its tokenizer.
        task: ``sequence-classification`` or ``causal-lm``.
        provenance: Where they come from.
    """

    model: Any
    tokenizer: Any
    task: str
    provenance: Provenance

    @property
    def device(self) -> torch.device:
        """Where the model's inputs must lie."""
        table = self.model.get_input_embeddings() if _has_table(self.model) else None
        found = self.model.device if table is None else table.weight.device
        if found.type != "meta":
            return found
        # Offloaded weights lie nowhere; accelerate's hook on the table knows where it will run.
        place = getattr(getattr(table, "_hf_hook", None), "execution_device", None)
        return torch.device("cpu" if place is None else place)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingOptions:
    """How to load a model that is given by name.

    Args:
        device: Where to put it; a GPU where there is one, when left out.
        dtype: Number type of the weights; when left out the checkpoint's own on an accelerator, and
            32-bit floats on a CPU.
        revision: Commit, branch or tag on the hub.
        token: Access token of the hub.
        trust_remote_code: Run code that comes with the checkpoint.
        allow_pickle: Load weights from pickles, which can run code.
        device_map: Spread the weights over devices, as transformers does it: ``"auto"`` or modules and
            their devices. Gradient methods refuse a model of which weights are left in memory or on disk.
    """

    device: str | torch.device | None = None
    dtype: str | torch.dtype | None = None
    revision: str | None = None
    token: str | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False
    device_map: str | dict[str, Any] | None = None


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
        return _load_by_name(str(given), tokenizer, task, options)
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
    given = _checked_model(given, task)
    _refuse_changes(given, options)
    if isinstance(tokenizer, str | Path):
        tokenizer = _load_tokenizer(str(tokenizer), {}, options)
    tokenizer = _checked_tokenizer(tokenizer)
    name = getattr(given.config, "_name_or_path", "") or type(given).__name__
    return LoadedModel(given, tokenizer, task, _provenance(name, task, given, tokenizer, options, ()))


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
    config = _load_config(str(Path(name).expanduser()) if name.startswith("~") else name, options)
    architectures = getattr(config, "architectures", None) or []
    for architecture in architectures:
        if architecture.endswith("ForSequenceClassification"):
            return SEQUENCE_CLASSIFICATION
        if architecture.endswith(_HEADS[CAUSAL_LM]):
            return CAUSAL_LM
    raise InputError(
        f"{name!r} names {', '.join(architectures) or 'no architecture'}: "
        "neither a sequence classifier nor a causal language model.",
        hint=f"Pass --task {SEQUENCE_CLASSIFICATION} or --task {CAUSAL_LM}.",
    )


def _load_by_name(name: str, tokenizer: Any, task: str, options: LoadingOptions) -> LoadedModel:
    place, extra = name, {}
    if name.startswith("demo:"):
        place = str(demo_model_folder(name))
        if DEMO_MODELS[name].task != task:
            raise InputError(
                f"{name} is a model for {DEMO_MODELS[name].task}, not for {task}.",
                hint="Use GenerativeModelVisualizer for language models and ModelVisualizer for classifiers.",
            )
    elif name.endswith(".gguf"):
        path = Path(name).expanduser()
        if not path.is_file():
            raise LoadingError(f"There is no file {name}.", hint="Check the path.")
        _require_gguf(name)
        place, extra = str(path.parent), {"gguf_file": path.name}
    elif name.startswith("~"):
        place = str(Path(name).expanduser())
    config = _load_config(place, options, extra)
    loaded, untrained = _load_weights(place, config, task, options, extra)
    if tokenizer is None:
        tokenizer = _load_tokenizer(place, extra, options)
    elif isinstance(tokenizer, str | Path):
        tokenizer = _load_tokenizer(str(tokenizer), {}, options)
    cautions = ()
    if untrained:
        shown_keys = ", ".join(untrained[:3]) + (" …" if len(untrained) > 3 else "")
        cautions = (f"untrained head: this explains random weights ({shown_keys})",)
    model, tokenizer = _checked_model(loaded, task), _checked_tokenizer(tokenizer)
    return LoadedModel(model, tokenizer, task, _provenance(name, task, model, tokenizer, options, cautions))


def _require_gguf(name: str) -> None:
    for package in ("gguf", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"Reading {name} needs the package {package}, which is not installed.",
                hint='Run: pip install "model-understanding[gguf]"',
            )


def _load_config(place: str, options: LoadingOptions, extra: dict[str, Any] | None = None) -> Any:
    hub = _hub_arguments(options)
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


def _load_weights(
    place: str, config: Any, task: str, options: LoadingOptions, extra: dict[str, Any]
) -> tuple[Any, list[str]]:
    device = _device(options.device)
    spread = {} if options.device_map is None else {"device_map": _device_map(options)}
    dtype = _number_type(options.dtype, device)
    hub = _hub_arguments(options)
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


def _device(wanted: str | torch.device | None) -> torch.device:
    """Return the device asked for, when it can hold a number and give it back."""
    if wanted is None:
        return torch.device(_best_device())
    try:
        torch.zeros(1, device=wanted).item()
        return torch.device(wanted)
    except (RuntimeError, AssertionError, TypeError) as error:  # torch without CUDA asserts
        raise InputError(
            f"There is no device {str(wanted)!r} here.", hint=f"Use {_best_device()}, or leave it out."
        ) from error


def _device_map(options: LoadingOptions) -> str | dict[str, Any]:
    """Return the map asked for, when it can be followed."""
    if options.device is not None:
        raise InputError(
            f"Give either a device or a device_map. Got {options.device!r} and {options.device_map!r}.",
            hint="Leave device out: the map says where the weights go.",
        )
    if importlib.util.find_spec("accelerate") is None:
        raise MissingExtraError(
            "device_map needs the package accelerate, which is not installed.",
            hint="Run: pip install accelerate",
        )
    assert options.device_map is not None
    return options.device_map


def _number_type(wanted: str | torch.dtype | None, device: torch.device) -> str | torch.dtype:
    """Return the number type asked for; ``auto`` is the checkpoint's own."""
    if wanted is None:
        return torch.float32 if device.type == "cpu" else "auto"
    if wanted == "auto":
        return "auto"
    found = getattr(torch, wanted.removeprefix("torch."), None) if isinstance(wanted, str) else wanted
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(
            f"There is no number type {str(wanted)!r} for weights.",
            hint="Use float32, bfloat16, float16 or auto.",
        )
    return found


def _load_tokenizer(place: str, extra: dict[str, Any], options: LoadingOptions) -> Any:
    if place in DEMO_MODELS:
        place = str(demo_model_folder(place))
    if not extra:
        place = str(Path(place).expanduser()) if place.startswith("~") else place
        refuse_unusable_folder(place)
    with plain_errors(place):
        tokenizer = AutoTokenizer.from_pretrained(
            place, trust_remote_code=options.trust_remote_code, **_hub_arguments(options), **extra
        )
    require_vocabulary(place, tokenizer)
    return tokenizer


def _hub_arguments(options: LoadingOptions) -> dict[str, Any]:
    wanted = {"revision": options.revision, "token": options.token}
    return {name: value for name, value in wanted.items() if value is not None}


def _checked_model(model: Any, task: str) -> Any:
    """Refuse a model that cannot be explained as asked, before anything is computed."""
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
    heads = _HEADS[task]
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


def _checked_tokenizer(tokenizer: Any) -> Any:
    if not (callable(tokenizer) and hasattr(tokenizer, "convert_ids_to_tokens")):
        raise InputError(
            f"{type(tokenizer).__name__} is not a transformers tokenizer.",
            hint="Pass AutoTokenizer.from_pretrained(…), or the name to load it from.",
        )
    return tokenizer


def _refuse_changes(model: Any, options: LoadingOptions) -> None:
    """Refuse to move or convert a model of the user's own; saying what it already is does no harm."""
    if options.device_map is not None:
        raise InputError(
            "device_map is for models given by name: this one is loaded already.",
            hint="Load it with from_pretrained(…, device_map=…) and pass it without.",
        )
    wanted = None if options.device is None else _device(options.device)
    held = next(model.parameters(), torch.empty(0)).device
    if wanted is not None and (wanted.type != held.type or wanted.index not in (None, held.index)):
        raise InputError(
            f"The model lies on {held}, not on {wanted}.", hint=f"Move it before: model.to('{wanted}')."
        )
    dtype = "auto" if options.dtype is None else _number_type(options.dtype, held)
    if dtype not in ("auto", model.dtype):
        raise InputError(
            f"The model's weights are {model.dtype}, not {dtype}.",
            hint=f"Convert it before: model.to({dtype}).",
        )


def _provenance(
    name: str, task: str, model: Any, tokenizer: Any, options: LoadingOptions, cautions: tuple[str, ...]
) -> Provenance:
    return Provenance(
        model=name,
        task=task,
        architecture=type(model).__name__,
        tokenizer=type(tokenizer).__name__,
        revision=getattr(model.config, "_commit_hash", None) or options.revision,
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        attention_implementation=getattr(model.config, "_attn_implementation", None),
        versions={
            "model-understanding": version("model-understanding"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numpy": version("numpy"),
        },
        cautions=cautions,
    )


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _has_table(model: Any) -> bool:
    try:
        return hasattr(model.get_input_embeddings(), "weight")
    except (AttributeError, NotImplementedError):
        return False
