"""Read targets from the logits by plain operations, each of which has an exact rule."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from model_understanding.finite_backward.run import Read
from model_understanding.model.model import Model
from model_understanding.passes.target_values import CustomTarget, Entry, TargetRows, custom_value
from model_understanding.results import Target


def reader_of(model: Model, target: Target, entries: Sequence[Entry], first: int) -> Read:
    """Return what reads a target from the logits of one text, in 64-bit precision.

    Args:
        model: The model.
        target: The target.
        entries: Its entries.
        first: The position of the first logits.
    """
    read = reader_of_rows(model, [[target]], entries, first)
    return lambda logits, outputs: read(logits, outputs)[:, 0]


def reader_of_rows(model: Model, targets: TargetRows, entries: Sequence[Entry], first: int) -> Read:
    """Return what reads N targets of each text from the logits of B texts, ``(B, N)``, in 64-bit precision.

    A log-probability near 0 is the difference of two numbers that are almost equal; 64 bits keep its digits.

    Args:
        model: The model.
        targets: N targets of each text.
        entries: The entries to read, all of one forward pass; a target without entries is 0.
        first: The position of the first logits.
    """
    device, count = model.device, max(map(len, targets))
    lines = sorted({(entry.row, entry.position) for entry in entries})
    line_of = {line: index for index, line in enumerate(lines)}
    rows, positions = ([line[axis] for line in lines] for axis in (0, 1))
    by_quantity: dict[str, list[Entry]] = {}
    for entry in entries:
        by_quantity.setdefault(targets[entry.row][entry.target].quantity, []).append(entry)

    def read(logits: Tensor, outputs: Any) -> Tensor:
        of_lines = logits[rows, [position - first for position in positions]].double()
        total = of_lines.new_zeros(len(targets) * count)
        for quantity, group in by_quantity.items():
            values = _transform(quantity, model.output_activation)(of_lines)
            places = [line_of[entry.row, entry.position] for entry in group]
            chosen = values[places, [entry.index for entry in group]]
            contrasted = [i for i, entry in enumerate(group) if entry.against is not None]
            if contrasted:
                against = values[[places[i] for i in contrasted], [group[i].against for i in contrasted]]
                chosen = chosen.index_add(0, torch.tensor(contrasted, device=device), -against)
            weights = of_lines.new_tensor([entry.weight for entry in group])
            cells = [entry.row * count + entry.target for entry in group]
            total = total.index_add(0, torch.tensor(cells, device=device), chosen * weights)
        return total.view(len(targets), count)

    return read


def custom_reader(function: CustomTarget) -> Read:
    """Return what reads a caller's function of the outputs for one text."""
    return lambda logits, outputs: custom_value(function(outputs), gradients=True).reshape(1).double()


def _transform(quantity: str, activation: str) -> Callable[[Tensor], Tensor]:
    if quantity == "logit" or activation == "identity":
        return lambda lines: lines
    if activation == "sigmoid":
        return torch.sigmoid if quantity == "prob" else torch.nn.functional.logsigmoid
    if quantity == "prob":
        return lambda lines: torch.softmax(lines, -1)
    return lambda lines: torch.log_softmax(lines, -1)
