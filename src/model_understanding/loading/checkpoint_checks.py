"""Refuse unsafe, incomplete or unreadable checkpoints before anything of them is loaded."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING
from transformers.utils.hub import cached_file

from model_understanding.errors import LoadingError, UnsafeModelError
from model_understanding.loading.wrappers import input_embeddings

# Implementations that are part of torch, transformers or an installed package; any other value in a
# config (``someone/repository``) would download and run code, even when the caller asks for eager.
_KNOWN_ATTENTION = frozenset(
    {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention"}
)
_KNOWN_EXPERTS = frozenset({"eager", "batched_mm", "grouped_mm"})
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl"})
_READ_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})
_INDEX = "model.safetensors.index.json"
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_GGUF_MAGIC = b"GGUF"
_MOST_LAYERS, _MOST_LABELS = 10_000, 1_000_000


def refuse_foreign_kernels(checkpoint: str, config: Any) -> None:
    """Refuse a config that names code on the hub as its attention or experts implementation.

    Args:
        checkpoint: The hub id or folder.
        config: The config as plain values, or a part of it; nested parts are checked too.

    Raises:
        UnsafeModelError: It names a foreign kernel.
    """
    if isinstance(config, list):
        for part in config:
            refuse_foreign_kernels(checkpoint, part)
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        allowed: frozenset[str] = frozenset()
        if "attn_implementation" in str(key):
            allowed = _KNOWN_ATTENTION
        elif "experts_implementation" in str(key):
            allowed = _KNOWN_EXPERTS
        for kernel in _leaves(value) if allowed else ():
            if kernel is not None and kernel not in allowed:
                raise UnsafeModelError(
                    f"The config of {checkpoint!r} requests the kernel {kernel!r}, which would be "
                    f"downloaded and run. Allowed: {', '.join(sorted(allowed))}.",
                    hint=f"Remove {key!r} from its config.json if you trust the weights.",
                )
        refuse_foreign_kernels(checkpoint, value)


def refuse_unusable_folder(checkpoint: str) -> None:
    """Refuse a path that does not exist, is a file, or contains an adapter without its base model.

    Args:
        checkpoint: The hub id or folder.

    Raises:
        LoadingError: It is a path and contains no model.
    """
    refuse_missing_folder(checkpoint)
    folder = Path(checkpoint)
    if folder.is_file():
        raise LoadingError(
            f"{checkpoint!r} is a file, not a model folder.", hint="Pass the folder that contains it."
        )
    files = list(folder.iterdir()) if folder.is_dir() else []
    is_safe = any(path.suffix == ".safetensors" for path in files)
    # Weights in other formats are not read: who downloads one format leaves pointers for the others.
    read = _READ_SUFFIXES if is_safe else _READ_SUFFIXES | _PICKLES
    _refuse_lfs_pointers([path for path in files if path.suffix in read])
    if (folder / "adapter_config.json").is_file():
        # transformers silently ignores the adapter if peft is not installed.
        raise LoadingError(
            f"{checkpoint!r} contains an adapter, which would be ignored.",
            hint="Merge it into its base model and save that, or pass the model with its adapter as model=….",
        )


def refuse_missing_folder(checkpoint: str) -> None:
    """Refuse an empty name, and a path that does not exist.

    Args:
        checkpoint: The hub id or folder.

    Raises:
        LoadingError: It is neither.
    """
    if not checkpoint.strip():
        raise LoadingError("The model name is empty.", hint="Pass a model name, a folder or a loaded model.")
    is_path = checkpoint.startswith((".", "/", "~")) or "\\" in checkpoint or checkpoint.count("/") > 1
    if is_path and not Path(checkpoint).exists():
        raise LoadingError(
            f"The folder {checkpoint!r} does not exist.",
            hint="Check the path, or pass the name of a model on the Hugging Face Hub.",
        )


def _refuse_lfs_pointers(paths: Sequence[Path]) -> None:
    """Refuse files to be read in whose place git left a pointer to a large file."""
    for path in sorted(paths):
        if path.is_file() and path.stat().st_size < 1024 and path.read_bytes().startswith(_LFS_POINTER):
            raise LoadingError(
                f"{str(path.parent)!r} contains a git-lfs pointer in place of {path.name}: its content was "
                "never downloaded.",
                hint="Run git lfs pull in that folder, or download the model again.",
            )


def refuse_impossible_sizes(checkpoint: str, config: Any) -> None:
    """Refuse a config whose sizes would fill the memory before any weight is read.

    Args:
        checkpoint: The hub id or folder.
        config: The config as plain values, or a part of it; nested parts are checked too.

    Raises:
        LoadingError: It has more layers or labels than any model.
    """
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        size = (
            len(value)
            if key in ("id2label", "label2id", "layer_types") and hasattr(value, "__len__")
            else value
        )
        is_layers = re.search(r"(^|_)layers?($|_types$)", str(key)) is not None
        most = _MOST_LAYERS if is_layers else _MOST_LABELS if "label" in str(key) else None
        if most is not None and isinstance(size, int | float) and size > most:
            raise LoadingError(
                f"The config of {checkpoint!r} says {key} = {size:,}; at most {most:,} are accepted.",
                hint="Fix its config.json, or download the model again.",
            )
        refuse_impossible_sizes(checkpoint, value)


def refuse_unknown_quantization(checkpoint: str, config: Any) -> None:
    """Refuse weights in a quantized format that transformers would read as plain numbers.

    Args:
        checkpoint: The hub id or folder.
        config: Its config.

    Raises:
        LoadingError: The format is unknown.
    """
    quantization = getattr(config, "quantization_config", None)
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    if method is not None and str(method) not in {*AUTO_QUANTIZATION_CONFIG_MAPPING, "bitsandbytes"}:
        raise LoadingError(
            f"The weights of {checkpoint!r} are quantized with {method!r}, which transformers does not "
            "support.",
            hint="Load an unquantized version of the model.",
        )


def refuse_pickles(checkpoint: str, config: Any, hub: dict[str, Any]) -> None:
    """Refuse weights that are stored in a pickle, entirely or in part.

    Args:
        checkpoint: The hub id or folder.
        config: Its config, which may name the file of the weights.
        hub: Revision and token.

    Raises:
        UnsafeModelError: A pickle would be read.
    """
    configured_file = getattr(config, "transformers_weights", None)
    files = [str(configured_file)] if configured_file else []
    index_path = cached_file(
        checkpoint,
        str(configured_file) if str(configured_file).endswith(".index.json") else _INDEX,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        **hub,
    )
    if index_path is not None:
        shards = json.loads(Path(index_path).read_text("utf-8"))["weight_map"]
        files = sorted({str(file) for file in shards.values()})
    folder = Path(checkpoint)
    if not files and folder.is_dir() and not (folder / "model.safetensors").is_file():
        files = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    for file in files:
        if PurePosixPath(file).name != file or "\\" in file:
            raise UnsafeModelError(
                f"{checkpoint!r} refers to weights outside its own folder: {file!r}.",
                hint="Do not load this checkpoint.",
            )
        if not file.endswith((".safetensors", ".safetensors.index.json")):
            raise UnsafeModelError(
                f"{checkpoint!r} stores its weights in a pickle ({file}), which can run code when loaded.",
                hint="Convert it to safetensors, or pass allow_pickle=True (--allow-pickle) if you trust it.",
            )


def refuse_missing_weights(checkpoint: str) -> None:
    """Refuse a folder that contains no weights of any kind, or not all the files that its index names.

    Args:
        checkpoint: The hub id or folder.

    Raises:
        LoadingError: It is such a folder.
    """
    folder = Path(checkpoint)
    if not folder.is_dir():
        return
    names = {path.name for path in folder.iterdir()}
    for index in sorted(
        name for name in names if name.endswith((".safetensors.index.json", ".bin.index.json"))
    ):
        if index.removesuffix(".index.json") in names:
            continue  # the weights in one file, which transformers prefers
        shards = {
            str(shard) for shard in json.loads((folder / index).read_text("utf-8"))["weight_map"].values()
        }
        inside = {shard for shard in shards if PurePosixPath(shard).name == shard}
        if missing := sorted(inside - names):
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise LoadingError(
                f"{checkpoint!r} lacks {missing[0]}{others}, one of the {len(shards)} files of weights that "
                f"its {index} names.",
                hint="Download the model again; the download was probably interrupted.",
            )
    if any(Path(name).suffix in {".safetensors", *_PICKLES} for name in names):
        return
    if gguf := sorted(name for name in names if name.lower().endswith(".gguf")):
        raise LoadingError(
            f"{checkpoint!r} contains GGUF files, which are passed by their own name.",
            hint=f"Pass {str(folder / gguf[0])!r}.",
        )
    raise LoadingError(
        f"{checkpoint!r} contains no weights.",
        hint="Pass a folder that contains config.json and model.safetensors.",
    )


def refuse_damaged_weights(checkpoint: str) -> None:
    """Refuse a folder with a safetensors file that is cut short or damaged; only headers are read.

    Args:
        checkpoint: The hub id or folder.

    Raises:
        LoadingError: It is such a folder.
    """
    folder = Path(checkpoint)
    for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise LoadingError(
                f"{path.name} of {checkpoint!r} is damaged or cut short: {str(error).rstrip('.')}.",
                hint="Download the model again.",
            ) from error


def refuse_damaged_gguf(path: Path) -> None:
    """Refuse a file that does not start as every GGUF file does.

    Args:
        path: The file.

    Raises:
        LoadingError: It is no GGUF file.
    """
    _refuse_lfs_pointers([path])
    with path.open("rb") as file:
        start = file.read(len(_GGUF_MAGIC))
    if start != _GGUF_MAGIC:
        raise LoadingError(
            f"{str(path)!r} is not a GGUF file: it starts with {start!r}, not {_GGUF_MAGIC!r}.",
            hint="Download it again, or pass the folder of a model that transformers saved.",
        )


def refuse_missing_layers(checkpoint: str, model: Any, missing: Sequence[str]) -> None:
    """Refuse weights that lack a layer or the embeddings, which transformers fills with random numbers.

    A missing head is another matter: it is what a base model lacks for a task, and results say so.

    Args:
        checkpoint: The hub id or folder.
        model: The loaded model.
        missing: The names of the weights that the checkpoint lacks.

    Raises:
        LoadingError: Weights inside a numbered layer of the base model are missing, or its embeddings.
    """
    table = input_embeddings(model)
    embeddings = {f"{name}.weight" for name, part in model.named_modules() if part is table}
    if lacking := embeddings & set(missing):
        raise LoadingError(
            f"{checkpoint!r} lacks its embeddings: {min(lacking)}. They would be random.",
            hint="Download the model again; its config.json may also describe another model.",
        )
    base = f"{getattr(model, 'base_model_prefix', '')}."
    layers = [name for name in missing if name.startswith(base) and re.search(r"\.\d+\.", name)]
    if layers:
        others = f" and {len(layers) - 1} more" if len(layers) > 1 else ""
        raise LoadingError(
            f"{checkpoint!r} lacks weights of its layers: {layers[0]}{others}. They would be random.",
            hint="Download the model again; its config.json may also describe another model.",
        )


def require_vocabulary(checkpoint: str, tokenizer: Any) -> None:
    """Refuse a tokenizer without a vocabulary, which transformers creates where a checkpoint has none.

    Args:
        checkpoint: The hub id or folder it was loaded from.
        tokenizer: The tokenizer.

    Raises:
        LoadingError: It would turn every text into unknown tokens, or into none.
    """
    if len(tokenizer) < 1000 and len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) <= 2:
        raise LoadingError(
            f"{checkpoint!r} contains no tokenizer.",
            hint="Pass tokenizer=…: a tokenizer, or the name of the model it was trained from.",
        )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value
