"""Checks that what a model computes is finite."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_understanding.errors import NumericalError


def is_finite(values: Tensor) -> bool:
    """Return whether all values are finite.

    Their sum is finite only if all of them are, and needs no memory; a sum that overflows says nothing.

    Args:
        values: The values.
    """
    values = values.detach()
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def require_finite(values: Tensor, what: str, find_layer: Callable[[], str | None] | None = None) -> None:
    """Raise unless all values are finite.

    Args:
        values: The values to check.
        what: Their name in the message.
        find_layer: Returns the first layer with such values; called only where a value is not finite.

    Raises:
        NumericalError: A value is NaN or infinite.
    """
    if is_finite(values):
        return
    layer = find_layer() if find_layer else None
    where = f"; the first layer with such values is {layer!r}" if layer else ""
    raise NumericalError(
        f"The {what} in {values.dtype} are not finite{where}.",
        hint="Load the model with dtype='float32'. If it already is, the checkpoint is damaged.",
    )


def first_broken_layer(model: torch.nn.Module, run: Callable[[], Any]) -> str | None:
    """Run the model once more and return the first module whose output is not finite.

    Args:
        model: The model, already guarded.
        run: Runs the model.

    Returns:
        The module's name, or ``None`` if there is none.
    """
    overflowing: list[str] = []

    def watch(name: str) -> Callable[[torch.nn.Module, Any, Any], None]:
        def check(_: torch.nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
                overflowing.append(name)

        return check

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return overflowing[0] if overflowing else None
