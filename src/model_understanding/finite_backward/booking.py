"""The rules of two models that read one text: what weights that differ change is booked to their module.

Where an operation is affine in what depends on the text, with constants c0 in one model and c1 in the other,
``f(x1; c1) − f(x0; c0) = ½ (f′(c0) + f′(c1)) (x1 − x0) + f(x̄; c1) − f(x̄; c0)`` holds exactly, bars for the
mean of both runs. So the multiplier m passes on through the mean of both derivatives, and
``⟨m, f(x̄; c1) − f(x̄; c0)⟩`` is what the constants change. No difference of weights is ever computed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_rule
from model_understanding.finite_backward.pairing import Pairing, are_same
from model_understanding.finite_backward.two_models import Book, TwoModels, Unit

_LEFT_UNEXPLAINED = 1e-3  # of what passes a unit: more means that it is no linear map
_WITHOUT_BACKWARD = "NotImplemented"  # in the name of a node whose operation has no derivative


def owner_of(pairing: Pairing, owners: frozenset[str]) -> str:
    """Return the module to book to: the one that runs if the weights are its own, else their only owner."""
    return next(iter(owners)) if len(owners) == 1 else pairing.where


def affine_of_both(pairing: Pairing, call: Call, two: TwoModels) -> Any:
    """Run an operation that is affine in what depends on the text, with each model's constants.

    Args:
        pairing: Both runs.
        call: The call.
        two: Both models.

    Returns:
        What the function returns.
    """
    operands = call.tensors()
    owners = two.owners_of(operand for operand in operands if not operand.requires_grad)
    wanted = [None if operand.requires_grad and not owners else operand for operand in operands]
    known = pairing.counterparts(call, wanted, note=owner_of(pairing, owners))
    if known is None:
        return call.run()
    constants = [place for place, operand in enumerate(operands) if not operand.requires_grad]
    differing = [place for place in constants if _differ(two, operands[place], known[place])]
    if not differing:
        return call.run()
    owner = pairing.note
    plain = call.out_of_place() if call.is_in_place else call
    is_possible = all(operands[place].is_floating_point() for place in differing)
    if not is_possible or call.name == "__setitem__" or any(each is None for each in known):
        why = f"an index, mask or number of {call.name} in {pairing.where} differs between the models"
        return pairing.refused_if_reached(call.run(), why)
    value = plain.value()
    if not isinstance(value, Tensor):
        why = f"a constant of {call.name} in {pairing.where} differs between the models"
        return pairing.refused_if_reached(call.run(), why)
    places = [place for place, operand in enumerate(operands) if operand.requires_grad]
    own = [operand.detach() for operand in operands]
    overwritten = operands[0] if call.is_in_place else None
    if overwritten is not None:
        own[0] = own[0].clone()

    def rule(m: Tensor) -> tuple[Tensor, ...]:
        means = [torch.lerp(known[place], own[place], 0.5) for place in places]
        if call.name == "linear" and places == [0]:
            return (_linear(two.book, owner, m, means[0], known, own, differing),)
        sides = [_at(plain, means, places, each, m) for each in (known, own)]
        two.book(owner, m * (sides[1][0] - sides[0][0]))
        return tuple((a + b) / 2 for a, b in zip(sides[0][1], sides[1][1], strict=True))

    result = with_rule(_changeable(value), rule, *(operands[place] for place in places))
    return result if overwritten is None else overwritten.copy_(result)


def unit_of_both(pairing: Pairing, unit: Unit, x: Any, output: Any, two: TwoModels) -> Any:
    """Give the output of a unit its multipliers: each model's own module says what it makes of the input.

    Where one of the modules has no derivative, as with weights that are stored in few bits, the other's
    stands for both: ``f1(x1) − f0(x0) = (f1(x1) − f0(x1)) + (f0(x1) − f0(x0))``.

    Args:
        pairing: Both runs.
        unit: The unit.
        x: Its input.
        output: What it returned.
        two: Both models.

    Returns:
        The output, or ``None`` if it stays as it is.
    """
    if not (isinstance(x, Tensor) and x.requires_grad):
        two.note(output, frozenset({unit.name}))
        return None
    if not isinstance(output, Tensor):
        return pairing.refused_if_reached(output, f"{unit.name} is built otherwise in each model")
    known = pairing.counterparts(Call(_unit, (x,), {}), [x, output.detach()])
    if known is None:  # it depends on the text, whatever the module made of it
        if output.requires_grad:
            return output
        return with_rule(_changeable(output), lambda m: torch.zeros_like(x), x)
    x0, x1, change = known[0], x.detach(), output.detach() - known[1]

    def rule(m: Tensor) -> Tensor:
        mean = torch.lerp(x0, x1, 0.5)
        slopes = [_slope(module, mean, m) for module in (unit.reference, unit.text)]
        present = [slope for slope in slopes if slope is not None]
        if not present:
            if not pairing.reached:
                pairing.reached.append(f"neither model's {unit.name} has a derivative")
            return torch.zeros_like(x1)
        at = mean if len(present) == 2 else x1 if slopes[1] is None else x0
        with torch.no_grad():
            passed = m * (unit.text(at) - unit.reference(at))
        result = sum(present[1:], present[0]) / len(present)
        two.book(unit.name, passed)
        total = (m * change).double()
        missing = total.sum() - passed.double().sum() - (result * (x1 - x0)).double().sum()
        if float(missing.abs()) > _LEFT_UNEXPLAINED * float(total.abs().sum()):
            why = f"{unit.name} is more than a linear map, and is built otherwise in each model"
            pairing.reached.append(why)
        return result

    return with_rule(_changeable(output.detach()), rule, x)


def _changeable(value: Tensor) -> Tensor:
    """Return a value that a model may overwrite: of a view, that a rule made, autograd refuses it."""
    return value.clone() if value._is_view() else value


def _unit() -> None:
    """Stand in the record for a unit."""


def _differ(two: TwoModels, constant: Tensor, other: Tensor) -> bool:
    return not two.is_shared(constant) and not are_same(constant, other)


def _linear(
    book: Book,
    owner: str,
    m: Tensor,
    mean: Tensor,
    reference: Sequence[Tensor],
    text: Sequence[Tensor],
    differing: Sequence[int],
) -> Tensor:
    """Return the multiplier of a linear map's input; two products book its weights and pass it on."""
    if 2 in differing:
        book(owner, m * (text[2] - reference[2]))
    if 1 not in differing:
        return m @ text[1]
    first, second = m @ reference[1], m @ text[1]
    book(owner, (second - first) * mean)
    return (first + second) / 2


def _at(
    call: Call, means: Sequence[Tensor], places: Sequence[int], constants: Sequence[Tensor], m: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """Return what a call gives at the mean of both runs with one model's constants, and its multipliers."""
    leaves = [mean.detach().requires_grad_() for mean in means]
    by_place = dict(zip(places, leaves, strict=True))
    with torch.enable_grad():
        value = call.with_tensors([by_place.get(place, each) for place, each in enumerate(constants)])
    slopes = torch.autograd.grad(value, leaves, m, allow_unused=True)
    return value.detach(), [
        torch.zeros_like(leaf) if slope is None else slope for leaf, slope in zip(leaves, slopes, strict=True)
    ]


def _slope(module: nn.Module, mean: Tensor, m: Tensor) -> Tensor | None:
    """Return the multiplier of a module's input; ``None`` if it has no derivative."""
    leaf = mean.detach().requires_grad_()
    with torch.enable_grad():
        value = module(leaf)
        if not value.requires_grad or _WITHOUT_BACKWARD in value.grad_fn.name():
            return None
        try:
            return torch.autograd.grad(value, leaf, m)[0]
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:  # the operation has no backward
            return None
