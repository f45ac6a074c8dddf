"""Planted changes: one module of a model is changed on purpose, among small changes everywhere."""

import copy
from typing import Any

import torch
from alone import Reader
from torch import Tensor, nn

AROUND, RANK = 0.01, 4  # size of the changes everywhere, relative to the weights, and their rank
RANDOM = 0.2  # size of the planted random change, relative to the weights
EDIT = 0.2  # what the planted edit changes of its module's output on the text


def linear_maps(model: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear maps in a model's blocks by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and ".layer" in name
    }


def drawn(model: nn.Module, index: int, generator: torch.Generator) -> str:
    """Return the name of a random linear map: kinds take turns, depths are drawn."""
    kinds: dict[str, list[str]] = {}
    for name in linear_maps(model):
        kinds.setdefault(".".join(part for part in name.split(".") if not part.isdigit()), []).append(name)
    names = [*kinds.values()][index % len(kinds)]
    return names[int(torch.randint(len(names), (), generator=generator))]


def planted(model: Any, name: str, change: Tensor, generator: torch.Generator) -> Any:
    """Return a copy of a model with a change of one module, and a small random one of each other."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for key, module in linear_maps(changed).items():
            small = random_change(module.weight, AROUND, RANK, generator)
            module.weight.add_(change if key == name else small)
    return changed


def random_change(weight: Tensor, size: float, rank: int, generator: torch.Generator) -> Tensor:
    """Return a random change of some rank, whose size is a share of that of the weights."""
    rows, columns = weight.shape
    change = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator)
    return change * (size * weight.detach().norm() / change.norm())


def edit(model: Any, name: str, reader: Reader) -> Tensor:
    """Return a change of rank one that acts on a text: the step that moves its answer most, to first order.

    Its right vector is a direction of the module's inputs on this text and its left one a direction of its
    outputs that moves the answer, as in ROME and MEMIT: together the first singular pair of the answer's
    gradient with respect to the weights. Plain autograd in a copy of the model, without the project.
    """
    work = copy.deepcopy(model).requires_grad_(False)
    module = work.get_submodule(name)
    module.weight.requires_grad_(True)
    seen: dict[str, Tensor] = {}
    module.register_forward_hook(lambda _, x, y: seen.update(x=x[0].detach()[0], y=y.detach()[0]))
    reader.tensor(work).backward()
    left, _, right = torch.linalg.svd(module.weight.grad, full_matrices=False)
    change = torch.outer(left[:, 0], right[0])
    return change * (EDIT * seen["y"].norm() / (seen["x"] @ change.T).norm())
