"""Checks that gradients can pass through a model: no offloaded weights, no layers without a derivative."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.errors import UnsupportedModelError

_OFF_DEVICE = ("cpu", "disk")


def require_whole(model: nn.Module) -> None:
    """Raise if weights are offloaded: gradients need them again after the forward pass.

    A model on one device passes, and so does one that ``device_map`` spreads over accelerators alone.

    Args:
        model: The model.

    Raises:
        UnsupportedModelError: Some weights are kept in memory or on disk and loaded for each forward pass.
    """
    offloaded = [name for name, weight in model.named_parameters() if weight.device.type == "meta"]
    devices = {str(device) for device in (getattr(model, "hf_device_map", None) or {}).values()}
    is_split = len(devices) > 1 and bool(devices & set(_OFF_DEVICE))
    if not offloaded and not is_split:
        return
    device_map = f" (device_map: {', '.join(sorted(devices))})" if devices else ""
    first = f", the first is {offloaded[0]!r}" if offloaded else ""
    raise UnsupportedModelError(
        f"{len(offloaded)} weights of {type(model).__name__} are offloaded{first}{device_map}: gradient "
        "methods need all weights on accelerators, or the whole model on one device.",
        hint="Load the whole model on one device, if need be in a smaller dtype, or use a perturbation "
        "method, such as leave_one_out.",
    )


@contextmanager
def watched_gradients(model: nn.Module) -> Iterator[None]:
    """Raise if a linear layer blocks the gradient during one forward pass.

    Kernels of quantized layers may have no derivative. The gradient would then bypass such a layer through
    the residual stream, and be finite and wrong.

    Args:
        model: The model, already guarded.

    Yields:
        Nothing.

    Raises:
        UnsupportedModelError: A layer's output has no gradient although its input requires one.
    """

    def watch(name: str) -> Any:
        def check(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            states = arguments[0] if arguments else None
            if not (isinstance(states, Tensor) and states.requires_grad and isinstance(output, Tensor)):
                return
            if torch.is_grad_enabled() and not _is_differentiable(output, states):
                raise UnsupportedModelError(
                    f"No gradient passes through layer {name!r} of {type(model).__name__} "
                    f"({type(module).__module__}.{type(module).__name__}).",
                    hint="Load the model unquantized, or use a perturbation method, such as leave_one_out.",
                )

        return check

    handles = [
        module.register_forward_hook(watch(name))
        for name, module in model.named_modules()
        if any(word in type(module).__name__.lower() for word in ("linear", "conv1d"))
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_differentiable(output: Tensor, states: Tensor) -> bool:
    """Return whether every operation from the input states to an output has a derivative."""
    if not output.requires_grad:
        return False
    todo, seen = [output.grad_fn], {states.grad_fn}
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if "NotImplemented" in node.name():
            return False
        todo += [following for following, _ in node.next_functions]
    return True
