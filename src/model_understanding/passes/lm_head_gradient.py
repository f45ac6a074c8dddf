"""Differentiate through a language model's head once for all targets, not once per target.

The head processes each position by itself, so targets at different positions depend on different rows of its
input: a single backward pass of their sum gives the gradient of each target there. Targets at the same
position (contrasts with several tokens) are put into different rounds, with one backward pass per round. Only
the layers below the head need a product per target. The head is a fifth or more of a small model.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model_understanding.passes.target_values import Entry


@dataclass(slots=True)
class HeadInput:
    """The head's input, ``(batch, positions, width)``; ``None`` if it was not recorded."""

    states: Float[Tensor, "batch positions width"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class HeadGradients:
    """The gradient of each target with respect to the head's input.

    Targets at the same position are in different rounds.

    Args:
        states: The head's input.
        gradients: Gradient of the sum of each round's targets with respect to it.
        owners: Index of the target at each position in each round; −1 if there is none.
        rounds: The round of each target.
    """

    states: Float[Tensor, "batch positions width"]
    gradients: Float[Tensor, "rounds batch positions width"]
    owners: Int[Tensor, "rounds batch positions"]
    rounds: Int[Tensor, " targets"]

    def of_targets(self, start: int, end: int) -> Float[Tensor, "targets batch positions width"]:
        """Return the gradients of the targets from a start to an end (exclusive)."""
        targets, rounds = torch.arange(start, end, device=self.owners.device), self.rounds[start:end]
        return self.gradients[rounds] * (self.owners[rounds] == targets[:, None, None])[..., None]


@contextmanager
def recorded_head_input(model: torch.nn.Module, *, enabled: bool) -> Iterator[HeadInput]:
    """Record the input of the language model's head during one forward pass.

    Args:
        model: The model, already guarded.
        enabled: Whether to record it; if not, no hook is registered.

    Yields:
        The head's input, filled in by the forward pass.
    """
    head_input = HeadInput()
    head: Any = getattr(model, "get_output_embeddings", lambda: None)() if enabled else None
    if not isinstance(head, torch.nn.Module):
        yield head_input
        return

    def record(_: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        head_input.states = arguments[0] if arguments and isinstance(arguments[0], Tensor) else None

    handle = head.register_forward_pre_hook(record)
    try:
        yield head_input
    finally:
        handle.remove()


def head_gradients_of(
    head_input: HeadInput,
    values: Float[Tensor, "batch targets"],
    leaf: Float[Tensor, "batch tokens width"],
    entries: Sequence[Entry],
    targets: Sequence[int],
) -> HeadGradients | None:
    """Return the gradients of the targets with respect to the head's input, if one pass serves several.

    Args:
        head_input: The head's input in the forward pass that computed the values.
        values: The targets' values.
        leaf: The embeddings or hidden states.
        entries: The logits that the targets read.
        targets: Indices of the targets to differentiate.

    Returns:
        The gradients; ``None`` if every target would need its own backward pass, the head's input was not
        recorded, or the values depend on the leaf by a path that bypasses it.
    """
    states = head_input.states
    if len(targets) < 2 or states is None or states.ndim != 3 or len(states) != len(values):
        return None
    first = leaf.shape[1] - states.shape[1]  # the head may have run on the last positions only
    cells: dict[int, list[tuple[int, int]]] = {target: [] for target in targets}  # (row, position)
    for entry in entries:
        cells[entry.target].append((entry.row, entry.position - first))
    rounds = _rounds([set(target_cells) for target_cells in cells.values()])
    count = max(rounds) + 1
    if count == len(targets) or not _all_paths_pass(values, states, leaf):
        return None
    owners = torch.full((count, *states.shape[:2]), -1)
    for i, (target, round_) in enumerate(zip(targets, rounds, strict=True)):
        for row, position in cells[target]:
            owners[round_, row, position] = i
    gradients = []
    for current in range(count):
        members = [target for target, round_ in zip(targets, rounds, strict=True) if round_ == current]
        total = values[:, members].sum()
        gradients += torch.autograd.grad(total, states, retain_graph=current < count - 1)
    device = states.device
    return HeadGradients(
        states, torch.stack(gradients), owners.to(device), torch.tensor(rounds, device=device)
    )


def _rounds(cells: Sequence[set[tuple[int, int]]]) -> list[int]:
    """Return for each target the first round in which no earlier target reads one of its cells.

    >>> _rounds([{(0, 3)}, {(0, 3)}, {(0, 4)}, {(0, 3), (0, 4)}])
    [0, 1, 0, 2]
    """
    taken: list[set[tuple[int, int]]] = []  # by round
    rounds = []
    for target_cells in cells:
        round_ = next((i for i, used in enumerate(taken) if not used & target_cells), len(taken))
        if round_ == len(taken):
            taken.append(set())
        taken[round_] |= target_cells
        rounds.append(round_)
    return rounds


def _all_paths_pass(values: Tensor, states: Tensor, leaf: Tensor) -> bool:
    """Return whether every path of the graph from the values to the leaf passes through the states."""
    gate = (states.grad_fn, states.output_nr)
    todo, seen = [values.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(node, "variable", None) is leaf:
            return False
        todo += [following for following, output in node.next_functions if (following, output) != gate]
    return states.grad_fn is not None
