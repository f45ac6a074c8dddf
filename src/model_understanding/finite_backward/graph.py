"""Pieces of an autograd graph whose values and multipliers are chosen.

A multiplier takes the place of a gradient: of an output, the sum over any cut of ``⟨multiplier, change⟩`` is
the output's change between both runs.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor
from torch.autograd import Function

Rule = Callable[[Tensor], Any]
"""From the multiplier of a result to those of its operands."""


def at_value(operand: Tensor, value: Tensor) -> Tensor:
    """Return another value in the place of an operand; the multiplier passes unchanged."""
    return AtValue.apply(operand, [value])  # pyright: ignore[reportReturnType]


def with_value(result: Tensor, value: Tensor) -> Tensor:
    """Return a value to the bit, with the graph of a result that was computed elsewhere."""
    return WithValue.apply(result, [value])  # pyright: ignore[reportReturnType]


def with_slope(operand: Tensor, value: Tensor, slope: Tensor) -> Tensor:
    """Return the value of a function of single numbers, with its slope between both runs."""
    return WithSlope.apply(operand, [value], slope)  # pyright: ignore[reportReturnType]


def with_rule(value: Tensor, rule: Rule, *operands: Tensor) -> Tensor:
    """Return a value whose multiplier becomes those of its operands by a rule."""
    return WithRule.apply([value], rule, *operands)  # pyright: ignore[reportReturnType]


def watched(value: Tensor, note: Rule) -> Tensor:
    """Return a value, and hand the multiplier that reaches it to a function."""
    return Watched.apply(value, note)  # pyright: ignore[reportReturnType]


def nodes_behind(value: Tensor) -> Iterator[Any]:
    """Yield the nodes of the graph that a value comes from, each once."""
    seen: set[Any] = set()
    stack = [value.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            yield node
            stack += [operand for operand, _ in node.next_functions]


def keep_rules(value: Tensor, *, kept: bool) -> None:
    """Keep the rules behind a value for another backward pass, or let the next one release them."""
    for node in nodes_behind(value):
        if isinstance(node, WITH_RULE):
            node.is_kept = kept


class AtValue(Function):
    """See ``at_value``. In a list, a value does not count as an input and needs no copy."""

    @staticmethod
    def forward(ctx: Any, operand: Tensor, value: list[Tensor]) -> Tensor:
        """Return the value."""
        return value[0]

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> Any:
        """Return the multiplier of the operand."""
        return multipliers[0], None


class WithValue(Function):
    """See ``with_value``."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, value: list[Tensor]) -> Tensor:
        """Return the value."""
        return value[0]

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> Any:
        """Return the multiplier of the result."""
        return multipliers[0], None


class WithSlope(Function):
    """See ``with_slope``."""

    @staticmethod
    def forward(ctx: Any, operand: Tensor, value: list[Tensor], slope: Tensor) -> Tensor:
        """Return the value."""
        ctx.save_for_backward(slope)
        return value[0]

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> Any:
        """Return the multiplier of the operand."""
        (slope,) = ctx.saved_tensors
        return multipliers[0] * slope, None, None


class WithRule(Function):
    """See ``with_rule``."""

    @staticmethod
    def forward(ctx: Any, value: list[Tensor], rule: Rule, *operands: Tensor) -> Tensor:
        """Return the value."""
        ctx.rule, ctx.is_kept = rule, False
        return value[0]

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> Any:
        """Return the multipliers of the operands."""
        rule = ctx.rule
        if not ctx.is_kept:
            ctx.rule = None  # it holds tensors that nothing needs any more
        result = rule(multipliers[0])
        return None, None, *(result if isinstance(result, tuple) else (result,))


class Watched(Function):
    """An identity that says which multiplier has reached it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, note: Rule) -> Tensor:
        """Return the value."""
        ctx.note = note
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *multipliers: Tensor) -> Any:
        """Return the multiplier."""
        ctx.note(multipliers[0])
        return multipliers[0], None


OWN_NODES = tuple(node._backward_cls for node in (AtValue, WithValue, WithSlope, WithRule))  # pyright: ignore[reportAttributeAccessIssue]
WATCHED = Watched._backward_cls  # pyright: ignore[reportAttributeAccessIssue]
WITH_RULE = WithRule._backward_cls  # pyright: ignore[reportAttributeAccessIssue]
AT_VALUE = AtValue._backward_cls  # pyright: ignore[reportAttributeAccessIssue]
