"""Read what sentence-transformers saves: a transformer, the layers after it, prompts and a similarity.

``modules.json`` lists the modules and the folder of each. Versions differ in the modules' full names, in the
keys of a pooling's configuration, and in whether the transformer is in the root (newer) or a folder of its
own (``0_Transformer``). Nothing is imported by the names that a folder gives.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers.utils.hub import cached_file

from model_understanding.errors import InputError, LoadingError, UnsafeModelError
from model_understanding.loading.checkpoint_checks import refuse_missing_folder
from model_understanding.loading.options import LoadingOptions
from model_understanding.loading.sentence_encoder import (
    POOLING_MODES,
    SENTENCE_EMBEDDING,
    SIMILARITIES,
    TOKEN_EMBEDDINGS,
    Dense,
    LayerNorm,
    Normalize,
    Pooling,
)
from model_understanding.loading.translate_errors import translate_errors

MODULES = "modules.json"
_SUPPORTED = ("Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout")
_FEATURES = (TOKEN_EMBEDDINGS, SENTENCE_EMBEDDING)
_TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_FORMER_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    name: getattr(nn, name)
    for name in (
        "Identity",
        "Tanh",
        "ReLU",
        "GELU",
        "SiLU",
        "Sigmoid",
        "LeakyReLU",
        "ELU",
        "Softplus",
        "Mish",
    )
}


@dataclass(frozen=True, slots=True)
class SentenceFolder:
    """What a folder of sentence-transformers says besides the transformer's own files.

    Args:
        transformer: The transformer's folder inside the checkpoint; empty for the checkpoint itself.
        layers: The layers after it.
        similarity: How embeddings are compared.
        max_length: The maximum number of tokens of a text.
        lower_case: Whether texts are lowercased before they are tokenized.
        prompts: Texts to put before a text, by name.
        default_prompt: The name of the one for every text.
    """

    transformer: str
    layers: tuple[nn.Module, ...]
    similarity: str
    max_length: int | None
    lower_case: bool
    prompts: dict[str, str]
    default_prompt: str | None


def is_sentence_folder(checkpoint: str, options: LoadingOptions) -> bool:
    """Return whether a checkpoint is one of sentence-transformers' that embeds texts.

    Its cross-encoders are sequence classifiers, which newer versions save with a list of modules too.

    Args:
        checkpoint: The hub id or folder.
        options: How to load it.
    """
    read = _Reader(checkpoint, options)
    with translate_errors(checkpoint):
        if read.path(MODULES) is None:
            return False
        settings = read.json("config_sentence_transformers.json") or {}
    return settings.get("model_type", "SentenceTransformer") == "SentenceTransformer"


def read_sentence_folder(checkpoint: str, options: LoadingOptions) -> SentenceFolder:
    """Read a folder of sentence-transformers, except for its transformer.

    Args:
        checkpoint: The hub id or folder.
        options: How to load it.

    Raises:
        InputError: It embeds texts in a way that is not supported.
        LoadingError: A file is missing or damaged.
        UnsafeModelError: Weights are stored in a pickle, or code of the checkpoint's own would run.
    """
    read = _Reader(checkpoint, options)
    with translate_errors(checkpoint):
        modules = read.json(MODULES)
        settings = read.json("config_sentence_transformers.json") or {}
        if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
            raise LoadingError(
                f"{MODULES} of {checkpoint!r} is not a list of modules.", hint="Download the model again."
            )
        kinds = [_kind_of(checkpoint, module) for module in modules]
        if kinds[:1] != ["Transformer"] or "Transformer" in kinds[1:] or "Pooling" not in kinds:
            raise InputError(
                f"{checkpoint!r} consists of {', '.join(kinds) or 'no modules'}, not of a Transformer and a "
                "Pooling after it.",
                hint="Pass a sentence encoder of that form. For any other model use BlackBoxVisualizer, "
                "which needs only a function from texts to numbers.",
            )
        transformer, *others = (_folder_of(checkpoint, module) for module in modules)
        config = next(filter(None, (read.json(name, transformer) for name in _TRANSFORMER_CONFIGS)), {})
        _require_hidden_states(checkpoint, config)
        layers = [
            layer
            for kind, folder in zip(kinds[1:], others, strict=True)
            if (layer := _layer_of(kind, folder, read)) is not None
        ]
    limit = config.get("max_seq_length") or _nested(config, "processing_kwargs", "text", "max_length")
    similarity = settings.get("similarity_fn_name") or "cosine"
    if similarity not in SIMILARITIES:
        raise InputError(
            f"{checkpoint!r} compares embeddings by {similarity!r}. Allowed: {', '.join(SIMILARITIES)}.",
            hint="Pass similarity='cosine' to compare them by their cosine.",
        )
    prompts = {name: prompt for name, prompt in (settings.get("prompts") or {}).items() if prompt}
    default = settings.get("default_prompt_name")
    return SentenceFolder(
        transformer=transformer,
        layers=tuple(layers),
        similarity=similarity,
        max_length=limit if isinstance(limit, int) and limit > 0 else None,
        lower_case=bool(config.get("do_lower_case")),
        prompts=prompts,
        default_prompt=default if default in prompts else None,
    )


class _Reader:
    """Reads files of a checkpoint, from a folder or the hub.

    Args:
        checkpoint: The hub id or folder.
        options: How to load it.
    """

    def __init__(self, checkpoint: str, options: LoadingOptions) -> None:
        refuse_missing_folder(checkpoint)
        self.checkpoint = checkpoint
        self.allows_pickle = options.allow_pickle
        given = {
            "revision": options.revision,
            "token": options.token,
            "local_files_only": options.local_files_only or None,
        }
        self._arguments = {name: value for name, value in given.items() if value is not None}

    def path(self, name: str, folder: str = "") -> Path | None:
        """Return the local path of a file, or ``None`` if the checkpoint does not have it."""
        if Path(self.checkpoint).is_dir():
            path = Path(self.checkpoint) / folder / name
            return path if path.is_file() else None
        found = cached_file(
            self.checkpoint,
            name,
            subfolder=folder,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            **self._arguments,
        )
        return None if found is None else Path(found)

    def json(self, name: str, folder: str = "") -> Any:
        """Return what a file of JSON contains, or ``None`` if the checkpoint does not have it."""
        path = self.path(name, folder)
        if path is None:
            return None
        try:
            return json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            place = PurePosixPath(folder) / name
            raise LoadingError(
                f"{place} of {self.checkpoint!r} is not valid JSON: {error}.",
                hint="Download the model again.",
            ) from error

    def weights(self, folder: str) -> Mapping[str, Tensor]:
        """Return the weights of a module in a folder of its own."""
        path = self.path("model.safetensors", folder)
        if path is not None:
            return load_file(path)
        pickle = self.path("pytorch_model.bin", folder)
        if pickle is None:
            raise LoadingError(
                f"{self.checkpoint!r} lacks the weights of {folder}: model.safetensors.",
                hint="Download the model again.",
            )
        if not self.allows_pickle:
            raise UnsafeModelError(
                f"{self.checkpoint!r} stores weights in a pickle ({folder}/pytorch_model.bin), which can run "
                "code when loaded.",
                hint="Convert it to safetensors, or pass allow_pickle=True (--allow-pickle) if you trust it.",
            )
        return torch.load(pickle, map_location="cpu", weights_only=True)


def _kind_of(checkpoint: str, module: Mapping[str, Any]) -> str:
    """Return the class name of a module of sentence-transformers; any other one would run code."""
    full_name = str(module.get("type"))
    package, *_, name = full_name.split(".")
    if package != "sentence_transformers":
        raise UnsafeModelError(
            f"{checkpoint!r} contains a module of its own code: {full_name}.",
            hint="Pass its transformer and tokenizer with pooling=…, or use BlackBoxVisualizer, which needs "
            "only a function from texts to numbers.",
        )
    if name not in _SUPPORTED:
        raise InputError(
            f"{checkpoint!r} contains the module {name}, which is not supported. "
            f"Supported: {', '.join(_SUPPORTED)}.",
            hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
        )
    return name


def _folder_of(checkpoint: str, module: Mapping[str, Any]) -> str:
    """Return the folder of a module, which must be inside the checkpoint."""
    folder = str(module.get("path") or "")
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\\" in folder or ":" in folder:
        raise UnsafeModelError(
            f"{checkpoint!r} refers to a module outside its own folder: {folder!r}.",
            hint="Do not load this checkpoint.",
        )
    return folder


def _require_hidden_states(checkpoint: str, config: Mapping[str, Any]) -> None:
    """Refuse a transformer of which something other than the hidden states of a text is pooled."""
    task = config.get("transformer_task") or "feature-extraction"
    method = _nested(config, "modality_config", "text", "method") or "forward"
    output = _nested(config, "modality_config", "text", "method_output_name") or "last_hidden_state"
    if (task, method, output) != ("feature-extraction", "forward", "last_hidden_state"):
        raise InputError(
            f"{checkpoint!r} pools {output} of {method} ({task}), not the last hidden states.",
            hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
        )


def _layer_of(kind: str, folder: str, read: _Reader) -> nn.Module | None:
    """Return the layer in a folder; ``None`` for one that does nothing outside of training."""
    config = read.json("config.json", folder) or {}
    if kind == "Pooling":
        return Pooling(_pooling_modes(read.checkpoint, config), bool(config.get("include_prompt", True)))
    if kind == "Dense":
        return _dense(folder, config, read)
    if kind == "LayerNorm":
        weights = _named(folder, read, "norm.weight", "norm.bias")
        norm = nn.LayerNorm(len(weights["norm.weight"]))
        return LayerNorm(_with(norm, weights["norm.weight"], weights["norm.bias"]))
    if kind == "Normalize":
        return Normalize(*_feature_names(read.checkpoint, config))
    return None


def _pooling_modes(checkpoint: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modes of a pooling; several are joined in this order."""
    stated = config.get("pooling_mode")
    if isinstance(stated, str):
        stated = [stated]
    if stated is None:
        stated = [mode for key, mode in _FORMER_POOLING_KEYS.items() if config.get(key)] or ["mean"]
    for mode in stated:
        if mode not in POOLING_MODES:
            raise InputError(
                f"{checkpoint!r} has the pooling {mode!r}. Supported: {', '.join(POOLING_MODES)}.",
                hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
            )
    return tuple(stated)


def _dense(folder: str, config: Mapping[str, Any], read: _Reader) -> Dense:
    name = str(config.get("activation_function") or "torch.nn.modules.activation.Tanh")
    package, *_, activation = name.split(".")
    if package != "torch" or activation not in _ACTIVATIONS:
        raise InputError(
            f"{read.checkpoint!r} has a dense layer with the activation {name!r}. "
            f"Supported: {', '.join(_ACTIVATIONS)} of torch.nn.",
            hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
        )
    weights = _named(folder, read, "linear.weight")
    residual = None
    if config.get("use_residual"):
        extra = weights.get("residual.weight")
        residual = nn.Identity() if extra is None else _linear(extra, None)
    return Dense(
        _linear(weights["linear.weight"], weights.get("linear.bias")),
        _ACTIVATIONS[activation](),
        residual,
        *_feature_names(read.checkpoint, config),
    )


def _feature_names(checkpoint: str, config: Mapping[str, Any]) -> tuple[str, str]:
    """Return which feature a layer reads, and which it writes."""
    source = str(config.get("module_input_name") or SENTENCE_EMBEDDING)
    target = str(config.get("module_output_name") or source)
    for name in (source, target):
        if name not in _FEATURES:
            raise InputError(
                f"{checkpoint!r} has a layer for {name!r}. Supported: {', '.join(_FEATURES)}.",
                hint="Use BlackBoxVisualizer, which needs only a function from texts to numbers.",
            )
    return source, target


def _named(folder: str, read: _Reader, *names: str) -> Mapping[str, Tensor]:
    """Return the weights of a module, which must have these."""
    weights = read.weights(folder)
    if missing := [name for name in names if name not in weights]:
        raise LoadingError(
            f"The weights of {folder} in {read.checkpoint!r} lack {', '.join(missing)}.",
            hint="Download the model again.",
        )
    return weights


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    outputs, inputs = weight.shape
    return _with(nn.Linear(inputs, outputs, bias=bias is not None, device="meta"), weight, bias)


def _with(module: Any, weight: Tensor, bias: Tensor | None) -> Any:
    """Return a module with other weights."""
    module.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        module.bias = nn.Parameter(bias, requires_grad=False)
    return module


def _nested(config: Any, *keys: str) -> Any:
    for key in keys:
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def stated_modes(pooling: Any) -> tuple[str, ...]:
    """Return the modes of a pooling that a caller names.

    Args:
        pooling: A mode, or several.

    Raises:
        InputError: There is no such mode.
    """
    modes = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    for mode in modes:
        if mode not in POOLING_MODES:
            raise InputError(
                f"Unknown pooling {mode!r}. Allowed: {', '.join(POOLING_MODES)}.", hint="Pass pooling='mean'."
            )
    return modes
