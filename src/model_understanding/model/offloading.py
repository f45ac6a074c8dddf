"""Where a model's weights lie and what they are: what gradients can pass through, and what they cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.errors import UnsupportedModelError

_OFF_DEVICE = ("cpu", "disk")


def require_whole(model: nn.Module) -> None:
    """Raise unless all weights lie where they are used: gradients need them a second time.

    A model on one device passes, and so does one spread by ``device_map`` over accelerators alone.

    Args:
        model: The model.

    Raises:
        UnsupportedModelError: Some weights wait in memory or on disk and are fetched for each forward.
    """
    away = [name for name, weight in model.named_parameters() if weight.device.type == "meta"]
    places = {str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()}
    elsewhere = sorted(places & set(_OFF_DEVICE))
    if not away and not (elsewhere and len(places) > 1):
        return
    found = f" (device_map: {', '.join(sorted(places))})" if places else ""
    first = f", the first is {away[0]!r}" if away else ""
    raise UnsupportedModelError(
        f"{len(away)} weights of {type(model).__name__} are offloaded{first}{found}: gradient methods need "
        "all weights on accelerators, or the whole model on one device.",
        hint="Load it whole with device=…, in a smaller dtype, or use a method that only perturbs the text.",
    )


@contextmanager
def watched_gradients(model: nn.Module) -> Iterator[None]:
    """Refuse, during one forward, a linear layer that takes what has a gradient and passes none on.

    Kernels of quantized layers may have no derivative. The residual stream would lead around such a
    layer, and the gradient be finite and wrong.

    Args:
        model: The model, already guarded.

    Yields:
        Nothing.

    Raises:
        UnsupportedModelError: There is such a layer.
    """

    def watch(name: str) -> Any:
        def look(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            given = arguments[0] if arguments else None
            if not (isinstance(given, Tensor) and given.requires_grad and isinstance(output, Tensor)):
                return
            if torch.is_grad_enabled() and not _passes(output, given):
                raise UnsupportedModelError(
                    f"No gradient passes the layer {name!r} of {type(model).__name__} "
                    f"({type(module).__module__}.{type(module).__name__}).",
                    hint="Load the model unquantized, or use a method that only perturbs the text.",
                )

        return look

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


def _passes(output: Tensor, given: Tensor) -> bool:
    """Return whether every operation from an output back to what was given has a derivative."""
    if not output.requires_grad:
        return False
    todo, seen = [output.grad_fn], {given.grad_fn}
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if "NotImplemented" in node.name():
            return False
        todo += [following for following, _ in node.next_functions]
    return True
