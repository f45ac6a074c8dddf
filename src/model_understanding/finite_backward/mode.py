"""The function mode under which both runs of a model pass.

It sees every operation on a tensor that depends on the embeddings. During the reference's run it records
what rules will need; during the text's run each operation keeps its value and gets the graph that its rule
says. No architecture is named, and nothing is patched. What has no rule is refused as soon as a multiplier
reaches it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_understanding.backward_rules.activations import is_activation
from model_understanding.finite_backward import (
    affine,
    fused_attention,
    norms,
    one_to_one,
    products,
    softmax,
    solves,
)
from model_understanding.finite_backward.booking import unit_of_both
from model_understanding.finite_backward.calls import PROPERTIES, Call, name_of, tensors_in
from model_understanding.finite_backward.composites import QUOTIENTS, Composite, composite_of
from model_understanding.finite_backward.experts import ExpertPairing
from model_understanding.finite_backward.graph import with_slope, with_value
from model_understanding.finite_backward.pairing import Pairing
from model_understanding.finite_backward.selections import EXTREMES, ORDERS, extreme, ordered
from model_understanding.finite_backward.two_models import Unit
from model_understanding.model.operations import LINEAR_MAPS

RULES: dict[str, Callable[[Pairing, Call], Any]] = {
    **dict.fromkeys(affine.NAMES, affine.affine),
    **dict.fromkeys(products.NAMES, products.degree_two),
    **dict.fromkeys(one_to_one.NAMES, one_to_one.one_to_one),
    **dict.fromkeys(softmax.NAMES, softmax.softmax_family),
    **dict.fromkeys(norms.NAMES, norms.norm),
    **dict.fromkeys(EXTREMES, extreme),
    **dict.fromkeys(ORDERS, ordered),
    fused_attention.NAME: fused_attention.fused_attention,
    solves.NAME: solves.triangular_solve,
}
"""The rule of each operation by its name; those in ``composites.py`` are taken apart first."""


class Around(Protocol):
    """Sees a call, and runs it or another in its place."""

    def __call__(self, call: Call, run: Callable[[Call], Any]) -> Any:
        """Return what the model continues with."""
        ...


_PROBED = 64  # entries on which a function of unknown kind is tried


class FinitePairing(TorchFunctionMode):
    """The mode of both runs.

    Args:
        pairing: Both runs.
        module: The model's module.
    """

    def __init__(self, pairing: Pairing, module: nn.Module) -> None:
        super().__init__()
        self._pairing = pairing
        self._experts = ExpertPairing(pairing, module)
        self._seen = 0
        self._before = 0, 0
        self._watched: dict[nn.Module, list[nn.Module]] = {}
        self._run: Callable[[Call], Any] = self._paired

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        two = self._pairing.two
        name = name_of(function)
        if two is not None and (name == "__get__" or not torch.is_grad_enabled()):
            # weight.T is made of weights, too, and so is what rotary embeddings compute without gradients.
            return two.run_constant(Call(function, arguments, keywords))
        if name in PROPERTIES or self._pairing.is_paused or not torch.is_grad_enabled():
            return function(*arguments, **keywords)
        call = Call(function, arguments, keywords)
        if not call.depends:
            return call.run() if two is None else two.run_constant(call)
        self._seen += 1
        return self._run(call)

    @contextmanager
    def around(self, watches: Sequence[Around]) -> Iterator[None]:
        """Let functions see each call that depends on the text, and run it.

        One mode for all of them: each further one would see every call, and those of the others.

        Args:
            watches: The functions, the outermost last.
        """
        self._run = self._paired
        for watch in watches:
            self._run = partial(watch, run=self._run)
        with self:
            yield
        self._run = self._paired

    def _paired(self, call: Call) -> Any:
        is_affine = RULES.get(call.name) is affine.affine
        if is_affine and call.name not in QUOTIENTS:  # most calls
            return affine.affine(self._pairing, call)
        if call.is_in_place and not is_affine:
            return self._in_place(call)
        result = self._with_rule(call)
        if self._experts.counts and call.name in LINEAR_MAPS:
            self._experts.note_projection(result)
        return result

    def hooks(self, module: nn.Module) -> Iterator[Any]:
        """Register the hooks on experts and activations; yield their handles."""
        yield from self._experts.hooks(module)
        self._pairing.module = module
        if module not in self._watched:
            # An activation may be a function of autograd's own.
            self._watched[module] = [
                part
                for part in module.modules()
                if (not part._modules and is_activation(part)) or self._unit(part)
            ]
        for part in self._watched[module]:
            yield part.register_forward_pre_hook(self._enter)
            yield part.register_forward_hook(self._leave)

    def _with_rule(self, call: Call) -> Any:
        composite = composite_of(call) or self._apart_from_weights(call)
        if composite is not None:
            with self:  # its parts are paired one by one
                result = composite(call)
            return with_value(result, call.value()) if not self._pairing.is_recording else result
        rule = RULES.get(call.name)
        return rule(self._pairing, call) if rule else self._without_rule(call)

    def _apart_from_weights(self, call: Call) -> Composite | None:
        """Return what computes a norm whose weights differ between two models, apart from them."""
        two = self._pairing.two
        if two is None or call.name not in norms.NAMES:
            return None
        owners = two.owners_of(tensor for tensor in call.tensors() if not tensor.requires_grad)
        return norms.then_weighted if owners else None

    def _without_rule(self, call: Call) -> Any:
        result = call.run()
        operands = call.tensors()
        depends = [value for value in tensors_in(result) if value.requires_grad]
        if not depends or all(any(value is operand for operand in operands) for value in depends):
            return result  # a comparison, a size, or an operand itself
        if self._pairing.is_recording:
            return result
        return self._pairing.refused_if_reached(
            result, f"{call.name} in {self._pairing.where} has no exact rule"
        )

    def _in_place(self, call: Call) -> Any:
        overwritten = call.argument(0, "input")
        result = self._with_rule(_recorded_as_overwriting(call))
        overwritten.copy_(result)
        return overwritten

    def _enter(self, module: nn.Module, arguments: Any) -> None:
        self._before = self._seen, len(self._pairing.inexact)
        if self._unit(module) is not None:
            self._pairing.is_paused = True

    def _unit(self, module: nn.Module) -> Unit | None:
        two = self._pairing.two
        return None if two is None else two.units.get(module)

    def _leave(self, module: nn.Module, arguments: Any, output: Any) -> Any:
        x = arguments[0] if arguments else None
        unit, two = self._unit(module), self._pairing.two
        if unit is not None and two is not None:
            self._pairing.is_paused = False
            return unit_of_both(self._pairing, unit, x, output, two)
        if (
            self._pairing.is_paused
            or not (isinstance(output, Tensor) and isinstance(x, Tensor))
            or output is x
            or not output.requires_grad
        ):
            return None
        return self._activation(module, x, output)

    def _activation(self, module: nn.Module, x: Tensor, output: Tensor) -> Tensor | None:
        """Give an activation its slope as a whole where its operations have no rule or are not seen.

        Some are functions of autograd's own, such as BLOOM's GELU; others choose by the sign of their input,
        such as xIELU. What is no function of single numbers stays as it is, and is found in the graph.
        """
        with self._pairing.paused():
            known = self._pairing.counterparts(Call(module.forward, (x,), {}), [], [x])
            seen, inexact = self._before
            is_exact = self._seen > seen and len(self._pairing.inexact) == inexact
            if known is None or known[0] is None or is_exact or not _is_one_to_one(module, x, output):
                return None
            with torch.no_grad():
                slope = one_to_one.slope_between(module.forward, known[0], x.detach())
            del self._pairing.inexact[inexact:]
            return with_slope(x, output.detach(), slope)


def _recorded_as_overwriting(call: Call) -> Call:
    """Return the call that overwrites nothing, on a copy of what would be overwritten."""
    plain = call.out_of_place()
    first = call.argument(0, "input")
    if not isinstance(first, Tensor) or not call.arguments:
        return plain
    return Call(plain.function, (first.clone(), *plain.arguments[1:]), plain.keywords)


def _is_one_to_one(module: nn.Module, x: Tensor, output: Tensor) -> bool:
    """Return whether an activation computes each number from one: some alone give what they give together."""
    if x.shape != output.shape:
        return False
    with torch.no_grad():
        part = module.forward(x.detach().reshape(-1)[:_PROBED])
    return torch.allclose(part, output.detach().reshape(-1)[:_PROBED], rtol=1e-4, atol=1e-6)
