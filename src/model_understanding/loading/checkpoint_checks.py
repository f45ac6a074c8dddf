"""What a checkpoint may not hold: looked at before anything of it is loaded."""

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING
from transformers.utils.hub import cached_file

from model_understanding.errors import LoadingError, UnsafeModelError

# Implementations that are part of torch, transformers or a package the user installed; anything else in a
# configuration (``someone/repository``) would download and run code, even when the caller asks for eager.
_KNOWN_ATTENTION = frozenset(
    {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention"}
)
_KNOWN_EXPERTS = frozenset({"eager", "batched_mm", "grouped_mm"})
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl"})
_INDEX = "model.safetensors.index.json"


def refuse_foreign_kernels(place: str, values: Any) -> None:
    """Refuse a configuration that names code of the hub as its attention or experts implementation.

    Args:
        place: The hub id or folder.
        values: The configuration as plain values; its parts are looked at too.

    Raises:
        UnsafeModelError: It names a foreign kernel.
    """
    if isinstance(values, list):
        for value in values:
            refuse_foreign_kernels(place, value)
    if not isinstance(values, dict):
        return
    for key, value in values.items():
        known = None
        if "attn_implementation" in str(key):
            known = _KNOWN_ATTENTION
        elif "experts_implementation" in str(key):
            known = _KNOWN_EXPERTS
        for named in _leaves(value) if known else ():
            if known and named is not None and named not in known:
                raise UnsafeModelError(
                    f"The configuration of {place!r} asks for the kernel {named!r}, which would be "
                    f"downloaded and run. Allowed: {', '.join(sorted(known))}.",
                    hint=f"Remove {key!r} from its config.json if you trust the weights.",
                )
        refuse_foreign_kernels(place, value)


def refuse_unusable_folder(place: str) -> None:
    """Refuse a path that leads nowhere, to a file, or to an adapter without its base model.

    Args:
        place: The hub id or folder.

    Raises:
        LoadingError: It is a path and holds no model.
    """
    folder = Path(place)
    if not place.strip():
        raise LoadingError("The model's name is empty.", hint="Pass a name, a folder or a loaded model.")
    if folder.is_file():
        raise LoadingError(f"{place!r} is a file, not a model's folder.", hint="Pass the folder it lies in.")
    is_path = place.startswith((".", "/", "~")) or "\\" in place or place.count("/") > 1
    if is_path and not folder.exists():
        raise LoadingError(
            f"There is no folder {place!r}.", hint="Check the path, or pass the name of a model on the hub."
        )
    if (folder / "adapter_config.json").is_file():
        # transformers leaves the adapter out, without a word, where peft is not installed.
        raise LoadingError(
            f"{place!r} holds an adapter, which would not take part.",
            hint="Merge it into its base model and save that, or pass the model with its adapter as model=….",
        )


def refuse_unknown_quantization(place: str, config: Any) -> None:
    """Refuse weights in a number format that transformers would read as if they were plain numbers.

    Args:
        place: The hub id or folder.
        config: Its configuration.

    Raises:
        LoadingError: The format is unknown.
    """
    quantization = getattr(config, "quantization_config", None)
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    if method is not None and str(method) not in {*AUTO_QUANTIZATION_CONFIG_MAPPING, "bitsandbytes"}:
        raise LoadingError(
            f"The weights of {place!r} are quantized by {method!r}, which transformers does not know.",
            hint="Load a version of the model that is not quantized.",
        )


def refuse_pickles(place: str, config: Any, hub: dict[str, Any]) -> None:
    """Refuse weights that are a pickle, or of which a part is.

    Args:
        place: The hub id or folder.
        config: Its configuration, which may name the file of the weights.
        hub: Revision and token.

    Raises:
        UnsafeModelError: A pickle would be read.
    """
    named = getattr(config, "transformers_weights", None)
    files = [str(named)] if named else []
    index = str(named) if str(named).endswith(".index.json") else _INDEX
    found = cached_file(
        place,
        index,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **hub,
    )
    if found is not None:
        shards = json.loads(Path(found).read_text("utf-8"))["weight_map"]
        files = sorted({str(file) for file in shards.values()})
    folder = Path(place)
    if not files and folder.is_dir() and not (folder / "model.safetensors").is_file():
        files = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    for file in files:
        if not file.endswith((".safetensors", ".safetensors.index.json")):
            raise UnsafeModelError(
                f"{place!r} holds its weights as a pickle ({file}), which can run code when it is read.",
                hint="Convert it to safetensors, or pass allow_pickle=True (--allow-pickle) if you trust it.",
            )
        if PurePosixPath(file).name != file or "\\" in file:
            raise UnsafeModelError(
                f"{place!r} names weights outside its own folder: {file!r}.", hint="Do not load it."
            )


def refuse_missing_weights(place: str) -> None:
    """Refuse a folder that holds no weights of any kind.

    Args:
        place: The hub id or folder.

    Raises:
        LoadingError: It is such a folder.
    """
    folder = Path(place)
    if folder.is_dir() and not any(path.suffix in {".safetensors", *_PICKLES} for path in folder.iterdir()):
        raise LoadingError(
            f"{place!r} holds no weights.", hint="Pass a folder with model.safetensors beside config.json."
        )


def require_vocabulary(place: str, tokenizer: Any) -> None:
    """Refuse a tokenizer without words: what transformers makes up where a checkpoint has none.

    Args:
        place: The hub id or folder it was loaded from.
        tokenizer: The tokenizer.

    Raises:
        LoadingError: Every text would be unknown tokens, or none.
    """
    if len(tokenizer) < 1000 and len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) <= 2:
        raise LoadingError(
            f"{place!r} holds no tokenizer.",
            hint="Pass tokenizer=…: a tokenizer, or the name of the model it was trained from.",
        )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value
