"""A folder that holds an adapter of peft: put on a copy of its base that shares the weights."""

import warnings
from pathlib import Path

from torch import nn

from model_understanding.errors import LoadingError, UnsafeModelError
from model_understanding.model.own_copy import OwnCopy


def is_adapter(name: str) -> bool:
    """Return whether a name is that of a folder with an adapter."""
    return (Path(name).expanduser() / "adapter_config.json").is_file()


def with_adapter(base: nn.Module, folder: str, *, allow_pickle: bool = False) -> nn.Module:
    """Return a model with an adapter; the base stays as it is, and its weights are not copied.

    Args:
        base: The base model.
        folder: The folder of the adapter.
        allow_pickle: Whether to load weights from pickles, which can run code.

    Raises:
        LoadingError: peft is not installed, or the adapter does not fit the model.
        UnsafeModelError: The adapter's weights are a pickle, which was not allowed.
    """
    path = Path(folder).expanduser()
    try:
        from peft import PeftModel
    except ImportError:
        raise LoadingError(
            f"{folder!r} contains an adapter, which needs peft.", hint="Install it: pip install peft."
        ) from None
    if not allow_pickle and not (path / "adapter_model.safetensors").is_file():
        raise UnsafeModelError(
            f"The adapter in {folder!r} has no weights in safetensors, and pickles can run code.",
            hint="Save it again as safetensors, or pass allow_pickle=True (--allow-pickle) if you trust it.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft asks transformers by former names
            return PeftModel.from_pretrained(OwnCopy(base).module, str(path)).eval()  # pyright: ignore
    except Exception as error:  # peft raises whatever its parts do
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LoadingError(
            f"The adapter in {folder!r} cannot be put on {type(base).__name__}: {reason[:200]}",
            hint="Pass as first model the one that the adapter was trained on.",
        ) from error
