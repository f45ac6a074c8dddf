"""Modify the backward pass of any architecture without patching it.

A torch function mode, active for one forward pass and in one thread, intercepts every operation of the model
and changes the gradient of some: norms, activations, products of two tensors, attention. Values do not
change. Activations made of primitive operations (GPT-2's tanh GELU) are one unit, delimited by hooks on their
modules. If an operation that needs a rule was not intercepted, the model is refused.
"""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from model_understanding.backward_rules import activations, attention, norms
from model_understanding.backward_rules.rules import (
    BackwardRules,
    depends,
    scale_arriving_gradient,
    with_scaled_gradient,
)
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.attention_layout import require_attention_in_every_layer
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model, measured_once
from model_understanding.model.operations import CONTRACTIONS, MULTIPLICATIONS
from model_understanding.model.probes import probe_texts, unchanged_modules
from model_understanding.model.settings import by_layer
from model_understanding.passes.checkpointing import block_context
from model_understanding.passes.runner import BackwardRule

_HINT = "Use method='default' or 'leave_one_out': both work for every model."


def modified_backward(model: Model, rules: BackwardRules, method: str) -> BackwardRule:
    """Return the rule for ``Runner.gradients`` that modifies the backward pass.

    Args:
        model: The model.
        rules: The rules.
        method: The method's name, for error messages.

    Returns:
        A function that makes a context for one forward pass.

    Raises:
        UnsupportedModelError: The model has layers without softmax attention; or, when the context closes, a
            norm, an activation or an attention layer was not intercepted.
    """
    name = model.name
    layers = _attention_count(model, method)
    heads = set(by_layer(model.config.get_text_config(), "num_attention_heads"))

    @contextmanager
    def context() -> Iterator[None]:
        mode = ModifiedBackward(rules, heads)
        with ExitStack() as hooks:
            for handle in mode.hooks(model.module):
                hooks.callback(handle.remove)
            token = block_context.set(mode.recomputation)
            try:
                with mode:
                    yield
            finally:
                block_context.reset(token)
        unhandled = list(dict.fromkeys(mode.unhandled))
        if mode.attention_layers != layers:
            unhandled.append(f"{mode.attention_layers} attention layers instead of {layers}")
        if unhandled:
            implementation = getattr(model.config, "_attn_implementation", None)
            raise UnsupportedModelError(
                f"The rules of {method} do not cover {name} with attn_implementation={implementation!r}: "
                f"found {', '.join(unhandled)}.",
                hint=f"Load it with attn_implementation='sdpa' or 'eager'. {_HINT}"
                if implementation not in ("sdpa", "eager")
                else _HINT,
            )

    return context


def _attention_count(model: Model, method: str) -> int:
    """Return how often a forward pass of a model must show softmax attention.

    Raises:
        UnsupportedModelError: Some layers have no softmax attention.
    """
    if getattr(model.config, "is_encoder_decoder", False) or model.reads_two_sequences:
        return _attention_modules_run(model)
    return require_attention_in_every_layer(model, method, _HINT)


@measured_once
def _attention_modules_run(model: Model) -> int:
    """Return how often a forward pass calls attention modules that contain no others."""
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    named = [part for part in model.module.modules() if "attention" in type(part).__name__.lower()]
    inner = [
        part for part in named if not any(other in named for other in part.modules() if other is not part)
    ]
    with ExitStack() as hooks, guarded(model.module, gradients=False), unchanged_modules(model.module):
        for part in inner:
            hooks.callback(part.register_forward_hook(count).remove)
        model.forward(probe_texts(model)[0])
    return calls


class ModifiedBackward(TorchFunctionMode):
    """The function mode that changes the gradients of operations during the model's forward pass.

    Args:
        rules: The rules.
        head_counts: Numbers of heads that attention layers have.
    """

    def __init__(self, rules: BackwardRules, head_counts: Collection[int]) -> None:
        super().__init__()
        self.rules = rules
        self.head_counts = head_counts
        self.attention_layers = 0
        self.norms = 0
        self.activations = 0
        self.unhandled: list[str] = []
        self._thread = threading.get_ident()
        self._is_running = False
        self._depth = 0
        self._norms_before: list[int] = []
        self._handlers = self._table()

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        handler = self._handlers.get(getattr(function, "__name__", ""))
        if handler is None or not self._is_running or self._depth or not torch.is_grad_enabled():
            return function(*arguments, **keywords)
        return handler(function, arguments, keywords)

    def hooks(self, model: nn.Module) -> Iterator[Any]:
        """Register hooks on a model and yield their handles.

        Args:
            model: The model. Hooks on it limit the rules to its forward pass, so that they do not apply to a
                target computed from its outputs.

        Yields:
            The handles, which the caller removes.
        """
        yield model.register_forward_pre_hook(self._begin)
        yield model.register_forward_hook(self._end, always_call=True)
        yield from self._hooks_inside(model)

    @contextmanager
    def recomputation(self, block: nn.Module) -> Iterator[None]:
        """Recompute a block under the same rules, in the backward pass.

        Args:
            block: The block, which activation checkpointing recomputes, on a GPU in a separate thread.

        Yields:
            Nothing.
        """
        state = self._thread, self._is_running
        self._thread, self._is_running = threading.get_ident(), True
        try:
            with ExitStack() as hooks:
                for handle in self._hooks_inside(block):
                    hooks.callback(handle.remove)
                with self:
                    yield
        finally:
            self._thread, self._is_running = state

    def _hooks_inside(self, model: nn.Module) -> Iterator[Any]:
        for module in model.modules():
            if activations.is_activation(module):
                yield module.register_forward_pre_hook(self._begin_unit)
                yield module.register_forward_hook(self._end_unit, always_call=True)
            elif _is_norm(module):
                yield module.register_forward_pre_hook(self._begin_norm)
                yield module.register_forward_hook(self._end_norm)

    def _is_own_thread(self) -> bool:
        return threading.get_ident() == self._thread

    def _begin(self, module: nn.Module, arguments: Any) -> None:
        self._is_running = self._is_running or self._is_own_thread()

    def _end(self, module: nn.Module, arguments: Any, output: Any) -> None:
        self._is_running = self._is_running and not self._is_own_thread()

    def _begin_unit(self, module: nn.Module, arguments: Any) -> None:
        self._depth += self._is_own_thread()

    def _end_unit(self, module: nn.Module, arguments: Any, output: Any) -> Any:
        if not self._is_own_thread():
            return None
        self._depth -= 1
        x = arguments[0] if arguments else None
        if self._depth or not depends(output):
            return None
        if not isinstance(x, Tensor) or x.shape != output.shape:
            self.unhandled.append(f"an activation {type(module).__name__} that is not elementwise")
            return None
        return self._activated(x, output)

    def _begin_norm(self, module: nn.Module, arguments: Any) -> None:
        if self._is_own_thread():
            self._norms_before.append(self.norms)

    def _end_norm(self, module: nn.Module, arguments: Any, output: Any) -> None:
        if self._is_own_thread() and self._norms_before.pop() == self.norms and depends(output):
            self.unhandled.append(f"a norm {type(module).__name__} whose statistics were not intercepted")

    def _table(self) -> dict[str, Callable[[Any, Any, Any], Any]]:
        table: dict[str, Callable[[Any, Any, Any], Any]] = {
            "layer_norm": self._layer_norm,
            "rms_norm": self._rms_norm,
            "scaled_dot_product_attention": self._fused_attention,
            "softmax": self._softmax,
            "baddbmm": self._added_contraction,
        }
        table |= dict.fromkeys(norms.STATISTICS, self._statistic)
        table |= dict.fromkeys(activations.ELEMENTWISE, self._activation)
        table |= dict.fromkeys(MULTIPLICATIONS, self._multiplication)
        table |= dict.fromkeys(CONTRACTIONS, self._contraction)
        table |= dict.fromkeys(activations.PARTS, self._unknown)
        if self.rules.activations == "slope":
            table |= dict.fromkeys(activations.UNKNOWN, self._unknown)
        return table

    def _layer_norm(self, function: Any, arguments: Any, keywords: Any) -> Any:
        if not depends(_first(arguments, keywords)):
            return function(*arguments, **keywords)
        self.norms += 1
        return norms.layer_norm(*arguments, **keywords)

    def _rms_norm(self, function: Any, arguments: Any, keywords: Any) -> Any:
        if not depends(_first(arguments, keywords)):
            return function(*arguments, **keywords)
        self.norms += 1
        return norms.rms_norm(*arguments, **keywords)

    def _statistic(self, function: Any, arguments: Any, keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        if not depends(result):
            return result
        exponent = {"rsqrt": -0.5, "sqrt": 0.5}.get(function.__name__)
        if exponent is None:
            exponent = keywords.get("exponent", arguments[1] if len(arguments) > 1 else None)
        if norms.is_statistic(exponent, result):
            self.norms += 1
            return result.detach()
        if not (isinstance(exponent, int | float) and exponent in (1, 2)):
            self.unhandled.append(f"{function.__name__} outside of a norm or an activation")
        return result

    def _activation(self, function: Any, arguments: Any, keywords: Any) -> Any:
        x = _first(arguments, keywords)
        if not depends(x):
            return function(*arguments, **keywords)
        if keywords.get("inplace"):
            keywords = {**keywords, "inplace": False}
        is_gate = not function.__name__.startswith("cl")  # clamp and clip are no gates
        return self._activated(x, function(*arguments, **keywords), is_gate=is_gate)

    def _activated(self, x: Tensor, value: Tensor, *, is_gate: bool = True) -> Tensor:
        self.activations += 1
        if self.rules.activations == "slope":
            value = activations.with_slope(x, value)
        if is_gate:
            activations.mark_as_activation(value, x)
        return value

    def _unknown(self, function: Any, arguments: Any, keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        if depends(result):
            self.unhandled.append(f"{function.__name__} outside of a norm or an activation")
        return result

    def _multiplication(self, function: Any, arguments: Any, keywords: Any) -> Any:
        first, second = arguments[0], _second(arguments, keywords)
        if not (depends(first) and depends(second)):
            result = function(*arguments, **keywords)
            constant = second if depends(first) else first
            if depends(result) and not isinstance(constant, Tensor):
                activations.mark_as_multiple(result, first if depends(first) else second)
            return result
        gates = [activations.is_activation_output(operand) for operand in (first, second)]
        if function.__name__ == "mul_" and any(gates):
            self.unhandled.append("a gate that overwrites its input")
        for x, factor in ((first, second), (second, first)):
            if activations.is_self_gated(x, factor):
                result = x * (factor if self.rules.activations == "gradient" else factor.detach())
                activations.mark_as_activation(result, x)
                return result
        if self.rules.gates == "constant" and gates[0] != gates[1]:
            return first.detach() * second if gates[0] else first * second.detach()
        return scale_arriving_gradient(function(*arguments, **keywords), 0.5)

    def _contraction(self, function: Any, arguments: Any, keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        operands = [*arguments, *keywords.values()]
        if function.__name__ == "einsum" and isinstance(arguments[1], list | tuple):
            operands = arguments[1]
        count = sum(depends(operand) for operand in operands)
        return scale_arriving_gradient(result, 1 / count) if count > 1 else result

    def _added_contraction(self, function: Any, arguments: Any, keywords: Any) -> Any:
        operands = dict(zip(("input", "batch1", "batch2"), arguments, strict=False)) | keywords
        if depends(operands["batch1"]) and depends(operands["batch2"]):
            halved = {name: with_scaled_gradient(operands[name], 0.5) for name in ("batch1", "batch2")}
            operands |= halved
        return torch.baddbmm(**operands)

    def _fused_attention(self, function: Any, arguments: Any, keywords: Any) -> Any:
        self.attention_layers += 1
        if depends(keywords.get("attn_mask", arguments[3] if len(arguments) > 3 else None)):
            self.unhandled.append("an attention mask that depends on the text's embeddings")
        return attention.fused_attention(self.rules, *arguments, **keywords)

    def _softmax(self, function: Any, arguments: Any, keywords: Any) -> Any:
        scores = _first(arguments, keywords)
        result = function(*arguments, **keywords)
        axis = keywords.get("dim", arguments[1] if len(arguments) > 1 else None)
        if scores.ndim == 4 and axis in (-1, 3) and scores.shape[1] in self.head_counts:
            self.attention_layers += 1
            return attention.softmax(self.rules, scores, result)
        return result.detach() if self.rules.weights == "constant" else result


def _first(arguments: Any, keywords: Any) -> Any:
    return arguments[0] if arguments else keywords.get("input")


def _second(arguments: Any, keywords: Any) -> Any:
    return arguments[1] if len(arguments) > 1 else keywords.get("other")


def _is_norm(module: nn.Module) -> bool:
    is_batch_norm = isinstance(module, nn.modules.batchnorm._NormBase)  # linear in evaluation mode
    has_parts = next(module.children(), None) is not None
    return "norm" in type(module).__name__.lower() and not has_parts and not is_batch_norm
