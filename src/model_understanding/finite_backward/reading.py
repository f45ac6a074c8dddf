"""Read a target from the logits by plain operations, each of which has an exact rule."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_understanding.model.model import Model
from model_understanding.passes.target_values import CustomTarget, Entry, custom_value
from model_understanding.results import Target

Read = Callable[[Tensor, Any], Tensor]


def reader_of(model: Model, target: Target, entries: list[Entry], first: int) -> Read:
    """Return what reads a target from the logits of one text, in 64-bit precision.

    A log-probability near 0 is the difference of two numbers that are almost equal; 64 bits keep its digits.

    Args:
        model: The model.
        target: The target.
        entries: Its entries.
        first: The position of the first logits.
    """
    positions = [entry.position - first for entry in entries]
    weights = torch.tensor([entry.weight for entry in entries], dtype=torch.float64, device=model.device)
    lines = list(range(len(entries)))
    indices = [entry.index for entry in entries]
    against = [entry.against for entry in entries if entry.against is not None]
    transform = _transform(target.quantity, model.output_activation)

    def read(logits: Tensor, outputs: Any) -> Tensor:
        values = transform(logits[0][positions].double())
        chosen = values[lines, indices]
        if against:
            chosen = chosen - values[lines, against]
        return (chosen * weights).sum().reshape(1)

    return read


def custom_reader(function: CustomTarget) -> Read:
    """Return what reads a caller's function of the model's outputs."""
    return lambda logits, outputs: custom_value(function(outputs), gradients=True).reshape(1).double()


def _transform(quantity: str, activation: str) -> Callable[[Tensor], Tensor]:
    if quantity == "logit" or activation == "identity":
        return lambda lines: lines
    if activation == "sigmoid":
        return torch.sigmoid if quantity == "prob" else torch.nn.functional.logsigmoid
    if quantity == "prob":
        return lambda lines: torch.softmax(lines, -1)
    return lambda lines: torch.log_softmax(lines, -1)
