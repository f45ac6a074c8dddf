"""What a ledger is compared with: activation patching both ways, and gradients times differences."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Value = Callable[[Tensor], Tensor]
"""From the logits of a batch to one number for each row."""


@dataclass(slots=True)
class Points:
    """The places of a model whose states are exchanged.

    Args:
        modules: One module for each layer.
        of_input: Whether what enters it is exchanged, not what it returns.
    """

    modules: Sequence[nn.Module]
    of_input: bool


@dataclass(slots=True)
class _Exchange:
    """Hooks that note states, and put others in their place."""

    points: Points
    layer: int | None = None
    tokens: Sequence[int] = ()
    states: Tensor | None = None
    noted: list[Tensor] = field(default_factory=list)

    def __call__(self, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        with ExitStack() as stack:
            for layer, module in enumerate(self.points.modules):
                if self.points.of_input:

                    def enter(module: Any, arguments: Any, keywords: Any, layer: int = layer) -> Any:
                        if arguments:
                            return (self._changed(layer, arguments[0]), *arguments[1:]), keywords
                        states = self._changed(layer, keywords["hidden_states"])
                        return arguments, {**keywords, "hidden_states": states}

                    stack.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
                else:

                    def leave(module: Any, arguments: Any, output: Any, layer: int = layer) -> Any:
                        if isinstance(output, Tensor):
                            return self._changed(layer, output)
                        return (self._changed(layer, output[0]), *output[1:])

                    stack.callback(module.register_forward_hook(leave).remove)
            return model(**inputs).logits

    def _changed(self, layer: int, states: Tensor) -> Tensor:
        self.noted.append(states)
        if layer != self.layer:
            return states
        assert self.states is not None
        changed = states.clone()
        rows = torch.arange(len(self.tokens))
        changed[rows, list(self.tokens)] = self.states[0, list(self.tokens)]
        return changed


def patched(
    model: nn.Module,
    points: Points,
    text: dict[str, Tensor],
    reference: dict[str, Tensor],
    value: Value,
    layers: Sequence[int],
) -> np.ndarray:
    """Return the effects of putting each state of the text into the reference, and the other way round.

    All tokens share a batch; in a causal model those from the first difference on.

    Returns:
        ``(directions, layers, tokens)``: what the text's states add to the reference's value, and what the
        reference's states take from the text's.
    """
    count = text["input_ids"].shape[1]
    first = int((text["input_ids"] != reference["input_ids"])[0].nonzero()[0])
    tokens = list(range(first if _is_causal(model) else 0, count))
    with torch.no_grad():
        plain = [_Exchange(points), _Exchange(points)]
        values = [value(run(model, inputs)) for run, inputs in zip(plain, (text, reference), strict=True)]
        effects = np.zeros((2, len(layers), count))
        for row, layer in enumerate(layers):
            both = []
            for states, inputs in ((plain[0].noted[layer], reference), (plain[1].noted[layer], text)):
                batch = {name: tensor.expand(len(tokens), -1) for name, tensor in inputs.items()}
                run = _Exchange(points, layer, tokens, states)
                both.append(value(run(model, batch)))
            effects[0, row, tokens] = (both[0] - values[1]).numpy()
            effects[1, row, tokens] = (values[0] - both[1]).numpy()
    return effects


def gradients_times_differences(
    model: nn.Module,
    points: Points,
    text: dict[str, Tensor],
    reference: dict[str, Tensor],
    value: Value,
    layers: Sequence[int],
) -> np.ndarray:
    """Return ``gradient · difference`` of each state, the gradient taken on the reference."""
    runs = [_Exchange(points), _Exchange(points)]
    with torch.no_grad():
        runs[0](model, text)
    embeddings = model.get_input_embeddings()(reference["input_ids"]).detach().requires_grad_()  # pyright: ignore
    inputs = {name: tensor for name, tensor in reference.items() if name != "input_ids"}
    output = value(runs[1](model, {**inputs, "inputs_embeds": embeddings})).sum()
    states = [runs[1].noted[layer] for layer in layers]
    gradients = torch.autograd.grad(output, states)
    return np.stack(
        [
            (gradient * (runs[0].noted[layer] - state.detach())).sum(-1)[0].numpy()
            for gradient, layer, state in zip(gradients, layers, states, strict=True)
        ]
    )


def _is_causal(model: nn.Module) -> bool:
    return "CausalLM" in type(model).__name__
