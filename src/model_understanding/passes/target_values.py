"""Read targets from logits: which rows, which entries, and how they become one number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.results import Target

Link = Literal["softmax", "sigmoid", "identity"]
TargetRows = Sequence[Sequence[Target]]
CustomTarget = Callable[[Any], Tensor]
Targets = Sequence[Target] | TargetRows | CustomTarget


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the logits that a target reads: row of the batch, target, position, class or token."""

    row: int
    target: int
    position: int
    index: int
    against: int | None
    weight: float


def for_each_row(targets: Sequence[Target] | TargetRows, rows: int) -> TargetRows:
    """Return the targets of each row of a batch.

    Raises:
        InputError: There are lists of targets, but not one for each row.
    """
    if isinstance(targets[0], Target):
        return [list(targets)] * rows  # pyright: ignore[reportReturnType]
    if len(targets) != rows:
        raise InputError(
            f"{len(targets)} lists of targets were given for {rows} texts.",
            hint="Give one list for each text.",
        )
    return targets  # pyright: ignore[reportReturnType]


def entries_of(targets: TargetRows) -> list[Entry]:
    """Return every entry that the targets of each row read; a classifier's position is 0.

    Args:
        targets: For each row of the batch its N targets.

    Returns:
        The entries, with the weight each has in its target's sum.
    """
    return [
        Entry(
            row=row,
            target=number,
            position=target.positions[place] if target.positions else 0,
            index=index,
            against=target.against[place] if target.against else None,
            weight=_weight(target),
        )
        for row, row_targets in enumerate(targets)
        for number, target in enumerate(row_targets)
        for place, index in enumerate(target.indices)
    ]


def read_values(
    logits: Float[Tensor, "batch positions classes"],
    first_position: int,
    entries: Sequence[Entry],
    targets: TargetRows,
    link: Link,
) -> Float[Tensor, "batch targets"]:
    """Return the value of each target, in 32-bit precision.

    Args:
        logits: The model's logits at consecutive positions.
        first_position: The position of the first of them.
        entries: The entries to read; all from these positions.
        targets: For each row of the batch its N targets, for their quantity.
        link: How this model's logits become probabilities.

    Returns:
        One value for each row and target; a target without an entry here gets 0.
    """
    device = logits.device
    rows = torch.tensor([entry.row for entry in entries], device=device)
    numbers = torch.tensor([entry.target for entry in entries], device=device)
    places = torch.tensor([entry.position - first_position for entry in entries], device=device)
    weights = torch.tensor([entry.weight for entry in entries], device=device)
    quantities = [targets[entry.row][entry.target].quantity for entry in entries]
    indices = torch.tensor([entry.index for entry in entries], device=device)
    lines, line_of = _lines(logits, rows, places)
    is_normalized = link == "softmax" and any(quantity != "logit" for quantity in quantities)
    log_sums = torch.logsumexp(lines, dim=1) if is_normalized else None

    def value(chosen: Tensor, index: Tensor, quantity: str) -> Tensor:
        own = line_of[chosen]
        log_sum = None if log_sums is None else log_sums[own]
        return _quantity(lines[own, index], log_sum, quantity, link)

    read = torch.zeros(len(entries), device=device)
    for quantity in dict.fromkeys(quantities):
        chosen = torch.tensor([i for i, q in enumerate(quantities) if q == quantity], device=device)
        read = read.index_add(0, chosen, value(chosen, indices[chosen], quantity))
        contrasted = [i for i in chosen.tolist() if entries[i].against is not None]
        if contrasted:
            others = torch.tensor([entries[i].against or 0 for i in contrasted], device=device)
            of_contrast = torch.tensor(contrasted, device=device)
            read = read.index_add(0, of_contrast, -value(of_contrast, others, quantity))
    shape = (len(targets), max(len(row) for row in targets))
    flat = torch.zeros(shape[0] * shape[1], device=device)
    return flat.index_add(0, rows * shape[1] + numbers, read * weights).view(shape)


def custom_value(value: object, *, gradients: bool) -> Float[Tensor, "1 1"]:
    """Return what a caller's function of the model's outputs gave, as the value of one target.

    Args:
        value: What it returned.
        gradients: Whether the value will be differentiated.

    Raises:
        InputError: It is not one number as a tensor, or has no gradient.
    """
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise InputError(
            f"The custom target must return one number as a tensor. Got {_described(value)}.",
            hint="Return for example outputs.logits[0, 1].",
        )
    if gradients and not value.requires_grad:
        raise InputError(
            "The custom target's value does not depend on the model's outputs by torch operations.",
            hint="Do not detach the outputs or convert them to numbers.",
        )
    return value.float().reshape(1, 1)


def _described(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _lines(
    logits: Float[Tensor, "batch positions classes"], rows: Tensor, places: Tensor
) -> tuple[Float[Tensor, "lines classes"], Tensor]:
    """Return the logits of each row and position that is read, and the line of each entry.

    A vocabulary is wide: where every position is read, nothing is copied, and targets that read the same
    position share its line.
    """
    flat = logits.flatten(0, 1)
    wanted, line_of = torch.unique(rows * logits.shape[1] + places, return_inverse=True)
    return (flat if len(wanted) == len(flat) else flat[wanted]).float(), line_of


def _quantity(
    logits: Float[Tensor, " entries"], log_sums: Float[Tensor, " entries"] | None, quantity: str, link: Link
) -> Float[Tensor, " entries"]:
    if quantity == "logit" or link == "identity":
        return logits
    if link == "sigmoid":
        log_probabilities = torch.nn.functional.logsigmoid(logits)
    else:
        assert log_sums is not None
        log_probabilities = logits - log_sums
    return log_probabilities.exp() if quantity == "prob" else log_probabilities


def _weight(target: Target) -> float:
    sign = -1.0 if target.quantity == "loss" else 1.0
    return sign / len(target.indices) if target.reduce == "mean" else sign
