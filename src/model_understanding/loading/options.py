"""How to load a model by name, and what each option means on this machine."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import torch

from model_understanding.errors import InputError, MissingExtraError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingOptions:
    """How to load a model by name.

    Args:
        device: The device to load it to; ``None`` for a GPU where there is one.
        dtype: The dtype of the weights; ``None`` for the checkpoint's own on an accelerator and for
            ``float32`` on a CPU.
        revision: Branch, tag or commit on the hub.
        token: Access token for the hub.
        trust_remote_code: Whether to run code that comes with the checkpoint.
        allow_pickle: Whether to load weights from pickles, which can run code.
        device_map: Distribute the weights over devices as transformers does: ``"auto"``, or modules and
            their devices. Gradient methods refuse a model with weights offloaded to memory or disk.
        local_files_only: Whether to look only in the cache, without asking the hub.
        subfolder: The folder of a checkpoint on the hub that the files are in.
        pooling: For the similarity of texts: how one embedding is made of hidden states; ``None`` for what
            the checkpoint says.
        similarity: How two embeddings are compared, likewise.
    """

    device: str | torch.device | None = None
    dtype: str | torch.dtype | None = None
    revision: str | None = None
    token: str | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False
    device_map: str | dict[str, Any] | None = None
    local_files_only: bool = False
    subfolder: str | None = None
    pooling: str | tuple[str, ...] | None = None
    similarity: str | None = None


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the requested device, or the best one of this machine for ``None``.

    Args:
        device: The device.

    Raises:
        InputError: It is unknown or not available.
    """
    if device is None:
        return torch.device(_best_device())
    try:
        torch.zeros(1, device=device).item()
        return torch.device(device)
    except (RuntimeError, AssertionError, TypeError) as error:  # torch without CUDA asserts
        raise InputError(
            f"The device {str(device)!r} is not available on this machine.",
            hint=f"Use device {_best_device()!r}, or leave the device out.",
        ) from error


def resolve_device_map(options: LoadingOptions) -> str | dict[str, Any]:
    """Return the requested device map.

    Args:
        options: Options with a device map.

    Raises:
        InputError: A device is given as well.
        MissingExtraError: accelerate is not installed.
    """
    if options.device is not None:
        raise InputError(
            "device and device_map cannot be combined. "
            f"Got device={str(options.device)!r} and device_map={options.device_map!r}.",
            hint="Leave device out: device_map already places the weights.",
        )
    if importlib.util.find_spec("accelerate") is None:
        raise MissingExtraError(
            "device_map requires the package accelerate, which is not installed.",
            hint="Run: pip install accelerate",
        )
    assert options.device_map is not None
    return options.device_map


def resolve_dtype(dtype: str | torch.dtype | None, device: torch.device) -> str | torch.dtype:
    """Return the requested dtype; ``auto`` is the checkpoint's own.

    Args:
        dtype: The dtype or its name; ``None`` for the default of the device.
        device: The device of the weights.

    Raises:
        InputError: It is no floating-point dtype.
    """
    if dtype is None:
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype == "auto":
        return "auto"
    resolved = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else dtype
    if not isinstance(resolved, torch.dtype) or not resolved.is_floating_point:
        raise InputError(
            f"Unknown dtype {str(dtype)!r}: weights need a floating-point dtype.",
            hint="Use float32, bfloat16, float16 or auto.",
        )
    return resolved


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
