"""How to load a model that is given by name, and what each choice comes to on this machine."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import torch

from model_understanding.errors import InputError, MissingExtraError


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


def hub_arguments(options: LoadingOptions) -> dict[str, Any]:
    """Return the commit and the token to name to the hub, where they were given."""
    wanted = {"revision": options.revision, "token": options.token}
    return {name: value for name, value in wanted.items() if value is not None}


def device_of(wanted: str | torch.device | None) -> torch.device:
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


def device_map_of(options: LoadingOptions) -> str | dict[str, Any]:
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


def number_type_of(wanted: str | torch.dtype | None, device: torch.device) -> str | torch.dtype:
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


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
