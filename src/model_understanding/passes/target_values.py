"""Read the values of targets from logits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.model.precision import precise
from model_understanding.results import Target
from model_understanding.targets.classification import OutputActivation

_SATURATED = -0.01  # log-probability above which 32 bits leave it fewer than five digits

TargetRows = Sequence[Sequence[Target]]
CustomTarget = Callable[[Any], Tensor]
Targets = Sequence[Target] | TargetRows | CustomTarget


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the logits that a target reads.

    Args:
        row: Row of the batch.
        target: Index of the target.
        position: Position of the logits; 0 for a classifier.
        index: The class or token.
        against: The class or token that it is contrasted with.
        weight: The entry's weight in the target's sum.
        is_loss: Whether the target is a loss, which is that of one forward pass over the whole text.
    """

    row: int
    target: int
    position: int
    index: int
    against: int | None
    weight: float
    is_loss: bool = False


def for_each_row(targets: Sequence[Target] | TargetRows, rows: int) -> TargetRows:
    """Return the targets of each row of a batch.

    Raises:
        InputError: The number of lists of targets is not the number of rows.
    """
    if isinstance(targets[0], Target):
        return [list(targets)] * rows  # pyright: ignore[reportReturnType]
    if len(targets) != rows:
        raise InputError(
            f"Got {len(targets)} lists of targets for {rows} texts.", hint="Pass one list per text."
        )
    return targets  # pyright: ignore[reportReturnType]


def entries_of(targets: TargetRows) -> list[Entry]:
    """Return every entry that the targets of each row read.

    Args:
        targets: N targets for each row of the batch.

    Returns:
        The entries, with their weights in the target's sum.
    """
    return [
        Entry(
            row=row,
            target=target_index,
            position=target.positions[i] if target.positions else 0,
            index=index,
            against=target.against[i] if target.against else None,
            weight=_weight(target),
            is_loss=target.quantity == "loss",
        )
        for row, row_targets in enumerate(targets)
        for target_index, target in enumerate(row_targets)
        for i, index in enumerate(target.indices)
    ]


def read_values(
    logits: Float[Tensor, "batch positions classes"],
    first_position: int,
    entries: Sequence[Entry],
    targets: TargetRows,
    activation: OutputActivation,
) -> Float[Tensor, "batch targets"]:
    """Return the value of each target, in 32-bit precision or better.

    Args:
        logits: The model's logits at consecutive positions.
        first_position: The first of these positions.
        entries: The entries to read, all at these positions.
        targets: N targets for each row of the batch, which give the quantities.
        activation: The function that turns the model's logits into probabilities.

    Returns:
        One value for each row and target; 0 for a target without entries.
    """
    device = logits.device
    rows = torch.tensor([entry.row for entry in entries], device=device)
    columns = torch.tensor([entry.target for entry in entries], device=device)
    positions = torch.tensor([entry.position - first_position for entry in entries], device=device)
    quantities = [targets[entry.row][entry.target].quantity for entry in entries]
    indices = torch.tensor([entry.index for entry in entries], device=device)
    lines, line_of = _lines(logits, rows, positions)
    weights = torch.tensor([entry.weight for entry in entries], device=device, dtype=lines.dtype)
    is_normalized = activation == "softmax" and any(quantity != "logit" for quantity in quantities)
    log_sums = torch.logsumexp(lines, dim=1) if is_normalized else None

    def value(selected: Tensor, index: Tensor, quantity: str) -> Tensor:
        line = line_of[selected]
        if quantity == "logit" or activation == "identity":
            return lines[line, index]
        if log_sums is None:
            log_probabilities = torch.nn.functional.logsigmoid(lines[line, index])
        else:
            log_probabilities = _log_softmax(lines, log_sums, line, index)
        return log_probabilities.exp() if quantity == "prob" else log_probabilities

    values = lines.new_zeros(len(entries))
    for quantity in dict.fromkeys(quantities):
        selected = torch.tensor([i for i, q in enumerate(quantities) if q == quantity], device=device)
        values = values.index_add(0, selected, value(selected, indices[selected], quantity))
        contrasted = [i for i in selected.tolist() if entries[i].against is not None]
        if contrasted:
            against = torch.tensor([entries[i].against or 0 for i in contrasted], device=device)
            selected = torch.tensor(contrasted, device=device)
            values = values.index_add(0, selected, -value(selected, against, quantity))
    shape = (len(targets), max(len(row) for row in targets))
    flat = lines.new_zeros(shape[0] * shape[1])
    return flat.index_add(0, rows * shape[1] + columns, values * weights).view(shape)


def custom_value(value: object, *, gradients: bool) -> Float[Tensor, "1 1"]:
    """Return the result of a caller's function of the model's outputs as the value of one target.

    Args:
        value: The function's result.
        gradients: Whether the value will be differentiated.

    Raises:
        InputError: The result is not a tensor with one number, or has no gradient.
    """
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise InputError(
            f"A custom target must return a tensor with one number. Got {_described(value)}.",
            hint="Return, for example, outputs.logits[0, 1].",
        )
    if gradients and not value.requires_grad:
        raise InputError(
            "The value of the custom target has no gradient with respect to the model's outputs.",
            hint="Compute it with torch operations; do not detach the outputs or convert them to numbers.",
        )
    return precise(value).reshape(1, 1)


def _described(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _lines(
    logits: Float[Tensor, "batch positions classes"], rows: Tensor, positions: Tensor
) -> tuple[Float[Tensor, "lines classes"], Tensor]:
    """Return the logits at each row and position that is read, and the index of each entry's line.

    Since vocabularies are large, nothing is copied if every position is read, and targets at the same
    position share a line.
    """
    flat = logits.flatten(0, 1)
    used, line_of = torch.unique(rows * logits.shape[1] + positions, return_inverse=True)
    return precise(flat if len(used) == len(flat) else flat[used]), line_of


def _log_softmax(
    lines: Float[Tensor, "lines classes"],
    log_sums: Float[Tensor, " lines"],
    line: Int[Tensor, " entries"],
    index: Int[Tensor, " entries"],
) -> Float[Tensor, " entries"]:
    """Return the log-probabilities of some entries of the lines.

    ``logit − logsumexp`` loses a probability near 1: two numbers that are almost equal are subtracted, in its
    gradient as well. There ``−log(1 + Σ_others exp(logit_other − logit))`` subtracts nothing.
    """
    logits = lines[line, index]
    values = logits - log_sums[line]
    saturated = (values > _SATURATED).nonzero()[:, 0]
    if not len(saturated):
        return values
    others = lines[line[saturated]].scatter(1, index[saturated, None], -torch.inf)
    exact = -torch.log1p(torch.exp(torch.logsumexp(others, dim=1) - logits[saturated]))
    return values.index_copy(0, saturated, exact)


def _weight(target: Target) -> float:
    sign = -1.0 if target.quantity == "loss" else 1.0
    return sign / len(target.indices) if target.reduce == "mean" else sign
