"""Load a model and its tokenizer safely, and record where they come from."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from model_understanding.demo_models import DEMO_MODELS, demo_model_folder
from model_understanding.errors import InputError, LoadingError, UnsafeModelError
from model_understanding.results import Provenance
from model_understanding.tasks import CAUSAL_LM, SEQUENCE_CLASSIFICATION

_CLASSES: dict[str, Any] = {
    SEQUENCE_CLASSIFICATION: AutoModelForSequenceClassification,
    CAUSAL_LM: AutoModelForCausalLM,
}
# Implementations that are part of torch, transformers or a package the user installed; anything else in a
# configuration (``someone/repository``) would download and run code, even when the caller asks for eager.
_KNOWN_ATTENTION = frozenset(
    {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention"}
)
_KNOWN_EXPERTS = frozenset({"eager", "batched_mm", "grouped_mm"})


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
        return self.model.get_input_embeddings().weight.device if _has_table(self.model) else self.model.device


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
    """

    device: str | torch.device | None = None
    dtype: str | torch.dtype | None = None
    revision: str | None = None
    token: str | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False


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
    if isinstance(given, str | Path):
        return _load_by_name(str(given), tokenizer, task, options)
    if not isinstance(given, torch.nn.Module):  # a pipeline
        tokenizer = tokenizer or getattr(given, "tokenizer", None)
        given = getattr(given, "model", None)
    if not isinstance(given, torch.nn.Module):
        raise InputError(
            f"Cannot explain an object of type {type(name_or_model or model).__name__}.",
            hint="Pass a name, a folder, a transformers model with its tokenizer, or a pipeline.",
        )
    if tokenizer is None:
        raise InputError("A loaded model needs its tokenizer.", hint="Pass tokenizer=…, an object or a name.")
    given = _checked_model(given, task)
    if isinstance(tokenizer, str | Path):
        tokenizer = _load_tokenizer(str(tokenizer), {}, options)
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
    config = _load_config(name, options)
    architectures = getattr(config, "architectures", None) or []
    for architecture in architectures:
        if architecture.endswith("ForSequenceClassification"):
            return SEQUENCE_CLASSIFICATION
        if architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
            return CAUSAL_LM
    raise InputError(
        f"{name!r} names {', '.join(architectures) or 'no architecture'}: "
        "neither a sequence classifier nor a causal language model.",
        hint=f"Pass --task {SEQUENCE_CLASSIFICATION} or --task {CAUSAL_LM}.",
    )


def _load_by_name(name: str, tokenizer: Any, task: str, options: LoadingOptions) -> LoadedModel:
    place, extra, shown = name, {}, name
    if name.startswith("demo:"):
        place = str(demo_model_folder(name))
        if DEMO_MODELS[name].task != task:
            raise InputError(
                f"{name} is a model for {DEMO_MODELS[name].task}, not for {task}.",
                hint="Use GenerativeModelVisualizer for language models and ModelVisualizer for classifiers.",
            )
    elif name.endswith(".gguf"):
        path = Path(name)
        if not path.is_file():
            raise LoadingError(f"There is no file {name}.", hint="Check the path.")
        place, extra = str(path.parent), {"gguf_file": path.name}
    config = _load_config(place, options, extra)
    loaded, untrained = _load_weights(place, config, task, options, extra)
    if tokenizer is None or isinstance(tokenizer, str | Path):
        source = place if tokenizer is None else str(tokenizer)
        tokenizer = _load_tokenizer(source, extra if tokenizer is None else {}, options)
    cautions = ()
    if untrained:
        shown_keys = ", ".join(untrained[:3]) + (" …" if len(untrained) > 3 else "")
        cautions = (f"untrained head: this explains random weights ({shown_keys})",)
    model = _checked_model(loaded, task)
    return LoadedModel(model, tokenizer, task, _provenance(shown, task, model, tokenizer, options, cautions))


def _load_config(place: str, options: LoadingOptions, extra: dict[str, Any] | None = None) -> Any:
    hub = _hub_arguments(options)
    with _plain_errors(place):
        raw, _ = transformers.PretrainedConfig.get_config_dict(place, **hub, **(extra or {}))
        _refuse_foreign_kernels(place, raw)
        config = AutoConfig.from_pretrained(
            place, trust_remote_code=options.trust_remote_code, **hub, **(extra or {})
        )
    _refuse_foreign_kernels(place, config.to_dict())
    return config


def _refuse_foreign_kernels(place: str, values: Any) -> None:
    """Refuse a configuration that names code of the hub as its attention or experts implementation."""
    if isinstance(values, dict):
        for key, value in values.items():
            known = None
            if "attn_implementation" in str(key):
                known = _KNOWN_ATTENTION
            elif "experts_implementation" in str(key):
                known = _KNOWN_EXPERTS
            if known is not None:
                named = value.values() if isinstance(value, dict) else [value]
                foreign = [one for one in named if one is not None and one not in known]
                if foreign:
                    raise UnsafeModelError(
                        f"The configuration of {place!r} asks for the kernel {foreign[0]!r}, which would be "
                        f"downloaded and run. Allowed: {', '.join(sorted(known))}.",
                        hint=f"Remove {key!r} from its config.json if you trust the weights.",
                    )
            _refuse_foreign_kernels(place, value)
    elif isinstance(values, list):
        for value in values:
            _refuse_foreign_kernels(place, value)


def _load_weights(
    place: str, config: Any, task: str, options: LoadingOptions, extra: dict[str, Any]
) -> tuple[Any, list[str]]:
    device = torch.device(options.device or _best_device())
    dtype = options.dtype or ("float32" if device.type == "cpu" else "auto")
    if isinstance(dtype, str) and dtype != "auto" and not isinstance(getattr(torch, dtype, None), torch.dtype):
        raise InputError(
            f"There is no number type {dtype!r}.", hint="Use float32, bfloat16, float16 or auto."
        )
    if not extra and not options.allow_pickle:
        _refuse_pickle_only(place)
    with _plain_errors(place):
        model, information = _CLASSES[task].from_pretrained(
            place,
            config=config,
            dtype=dtype,
            use_safetensors=None if extra or options.allow_pickle else True,
            trust_remote_code=options.trust_remote_code,
            output_loading_info=True,
            **_hub_arguments(options),
            **extra,
        )
    if getattr(model, "hf_device_map", None) is None and not getattr(model, "is_quantized", False):
        model = model.to(device)
    return model.eval(), sorted(information["missing_keys"])


def _refuse_pickle_only(place: str) -> None:
    folder = Path(place)
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pth", ".pkl"})
    if pickles:
        raise UnsafeModelError(
            f"{place!r} holds its weights as a pickle ({pickles[0]}), which can run code when it is read.",
            hint="Convert it to safetensors, or pass allow_pickle=True (--allow-pickle) if you trust it.",
        )


def _load_tokenizer(place: str, extra: dict[str, Any], options: LoadingOptions) -> Any:
    if place in DEMO_MODELS:
        place = str(demo_model_folder(place))
    with _plain_errors(place):
        return AutoTokenizer.from_pretrained(
            place, trust_remote_code=options.trust_remote_code, **_hub_arguments(options), **extra
        )


def _hub_arguments(options: LoadingOptions) -> dict[str, Any]:
    wanted = {"revision": options.revision, "token": options.token}
    return {name: value for name, value in wanted.items() if value is not None}


class _plain_errors:  # noqa: N801  (reads as a statement: ``with _plain_errors(place)``)
    """Turn what transformers raises while loading into this package's errors."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if error is None or isinstance(error, LoadingError | InputError) or not isinstance(error, Exception):
            return
        said = " ".join(str(error).split())
        first = said.split(". ")[0][:300].rstrip(".")
        if "trust_remote_code" in said:
            raise UnsafeModelError(
                f"{self.place!r} needs code of its own to be run.",
                hint="Read that code; if you trust it, pass trust_remote_code=True with a revision.",
            ) from error
        if "safetensors" in said and isinstance(error, OSError):
            raise UnsafeModelError(
                f"{self.place!r} has no weights as safetensors: {first}.",
                hint="Convert it, or pass allow_pickle=True (--allow-pickle) if you trust its pickle.",
            ) from error
        if "weights_only" in said or type(error).__name__ == "UnpicklingError":
            raise UnsafeModelError(
                f"The pickle of {self.place!r} holds more than weights.", hint="Do not load it."
            ) from error
        raise LoadingError(
            f"Cannot load {self.place!r}: {first}.",
            hint="Check the name or folder, and that it holds config.json, weights and a tokenizer.",
        ) from error


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
    if task == SEQUENCE_CLASSIFICATION and not hasattr(config, "num_labels"):
        raise InputError(f"{name} has no labels.", hint="Pass a sequence classifier.")
    is_classifier = name.endswith("ForSequenceClassification")
    if is_classifier != (task == SEQUENCE_CLASSIFICATION) and name.endswith(
        ("ForSequenceClassification", "ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForTokenClassification")
    ):
        raise InputError(
            f"{name} is not a model for {task}.",
            hint="Use ModelVisualizer for sequence classifiers, GenerativeModelVisualizer for language models.",
        )
    return model


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
