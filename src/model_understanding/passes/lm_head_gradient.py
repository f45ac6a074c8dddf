"""Differentiate through a language model's head once for all targets, not once for each.

The head reads one position at a time. Targets at different positions therefore use different rows of its
input: one backward of their sum holds every target's gradient there, each in rows of its own. Targets that
read one position (a token beside several others) take turns, a backward for each round. Only below does each
target need a product of its own. The head is a fifth of a small model, or more.
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
    """The hidden states that the head read, ``(batch, positions, width)``; none where it was not seen."""

    states: Float[Tensor, "batch positions width"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SplitDirections:
    """What each target's backward starts from below the head.

    Targets that read one position are in different rounds.

    Args:
        states: The head's input.
        gradients: Of the sum of each round's targets with respect to it.
        owners: The target that reads each position in each round, −1 where none does.
        rounds: The round of each target.
    """

    states: Float[Tensor, "batch positions width"]
    gradients: Float[Tensor, "rounds batch positions width"]
    owners: Int[Tensor, "rounds batch positions"]
    rounds: Int[Tensor, " targets"]

    def between(self, start: int, end: int) -> Float[Tensor, "targets batch positions width"]:
        """Return the directions of the targets from a start to an end (exclusive)."""
        wanted, rounds = torch.arange(start, end, device=self.owners.device), self.rounds[start:end]
        return self.gradients[rounds] * (self.owners[rounds] == wanted[:, None, None])[..., None]


@contextmanager
def caught_head_input(model: torch.nn.Module, *, wanted: bool) -> Iterator[HeadInput]:
    """Keep what the output embeddings are given during one forward.

    Args:
        model: The model, already guarded.
        wanted: Whether anybody will ask; nothing is hooked otherwise.

    Yields:
        The head's input, filled in by the forward.
    """
    caught = HeadInput()
    head: Any = getattr(model, "get_output_embeddings", lambda: None)() if wanted else None
    if not isinstance(head, torch.nn.Module):
        yield caught
        return

    def keep(_: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        caught.states = arguments[0] if arguments and isinstance(arguments[0], Tensor) else None

    handle = head.register_forward_pre_hook(keep)
    try:
        yield caught
    finally:
        handle.remove()


def split_directions(
    caught: HeadInput,
    values: Float[Tensor, "batch targets"],
    leaf: Float[Tensor, "batch tokens width"],
    entries: Sequence[Entry],
    numbers: Sequence[int],
) -> SplitDirections | None:
    """Return where the targets' backwards start below the head, or nothing where they cannot be told apart.

    Args:
        caught: What the head read in the forward that gave the values.
        values: The targets' values.
        leaf: What they are differentiated by.
        entries: What the targets read.
        numbers: The targets that are differentiated, in the order of the directions.

    Returns:
        The directions; none where each target would need a backward of its own, where the head was not
        seen, or where values depend on the leaf past the head's input.
    """
    states = caught.states
    if len(numbers) < 2 or states is None or states.ndim != 3 or len(states) != len(values):
        return None
    first = leaf.shape[1] - states.shape[1]  # the head may have been given the last positions only
    read: dict[int, list[tuple[int, int]]] = {number: [] for number in numbers}
    for entry in entries:
        read[entry.target].append((entry.row, entry.position - first))
    rounds = _rounds([set(places) for places in read.values()])
    count = max(rounds) + 1
    if count == len(numbers) or not _all_paths_pass(values, states, leaf):
        return None
    owners = torch.full((count, *states.shape[:2]), -1)
    for place, (number, turn) in enumerate(zip(numbers, rounds, strict=True)):
        for row, position in read[number]:
            owners[turn, row, position] = place
    gradients = []
    for turn in range(count):
        members = [number for number, own in zip(numbers, rounds, strict=True) if own == turn]
        total = values[:, members].sum()
        gradients += torch.autograd.grad(total, states, retain_graph=turn < count - 1)
    device = states.device
    return SplitDirections(
        states, torch.stack(gradients), owners.to(device), torch.tensor(rounds, device=device)
    )


def _rounds(places: Sequence[set[tuple[int, int]]]) -> list[int]:
    """Return the first round for each target in which nobody before it reads one of its places.

    >>> _rounds([{(0, 3)}, {(0, 3)}, {(0, 4)}, {(0, 3), (0, 4)}])
    [0, 1, 0, 2]
    """
    taken: list[set[tuple[int, int]]] = []
    found = []
    for own in places:
        turn = next((turn for turn, held in enumerate(taken) if not held & own), len(taken))
        if turn == len(taken):
            taken.append(set())
        taken[turn] |= own
        found.append(turn)
    return found


def _all_paths_pass(values: Tensor, states: Tensor, leaf: Tensor) -> bool:
    """Return whether the graph leads from the values to the leaf through these states alone."""
    gate = (states.grad_fn, states.output_nr)
    todo, seen = [values.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(node, "variable", None) is leaf:
            return False
        todo += [following for following, number in node.next_functions if (following, number) != gate]
    return states.grad_fn is not None
