"""The effect of each module alone, measured without the project: put it into the other model, run that.

Modules of one block share a batch, each row with one of them. Blocks before it compute what they computed
before, so the batch starts at that block.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Effects = dict[str, float]
BLOCKS = "model.layers."
"""Where the language model's blocks are; all modules of the classifier are rows of one batch."""


class Reader:
    """Runs a model on a text and returns the log-probability of an answer."""

    def __init__(self, encoded: Mapping[str, Any], answer: int) -> None:
        self._encoded = {name: encoded[name] for name in ("input_ids", "attention_mask")}
        self._answer = answer

    def value(self, model: Any) -> float:
        """Return the value."""
        with torch.no_grad():
            return float(self.tensor(model))

    def tensor(self, model: Any) -> Tensor:
        """Return the value with its graph."""
        return self._read(model(**self._encoded))[0]

    def _read(self, outputs: Any) -> Tensor:
        logits = outputs.logits if outputs.logits.ndim == 2 else outputs.logits[:, -1]
        return logits.double().log_softmax(-1)[:, self._answer]

    @torch.no_grad()
    def values_with(self, model: Any, donor: Any, names: Iterable[str]) -> Effects:
        """Return the value with each of some modules of another model alone in a model."""
        by_layer: dict[int, list[str]] = {}
        for name in names:
            layer = int(name.removeprefix(BLOCKS).split(".")[0]) if name.startswith(BLOCKS) else 0
            by_layer.setdefault(layer, []).append(name)
        layers = getattr(getattr(model, "model", None), "layers", None)
        states = () if layers is None else model(**self._encoded, output_hidden_states=True).hidden_states
        values = Effects()
        for layer, own in by_layer.items():
            given = {name: tensor.repeat(len(own), 1) for name, tensor in self._encoded.items()}
            with _one_in_each_row(model, donor, own):
                if layers is None or layer == 0:
                    outputs = model(**given)
                else:
                    given["inputs_embeds"] = states[layer].repeat(len(own), 1, 1)
                    del given["input_ids"]
                    model.model.layers = layers[layer:]
                    outputs = model(**given, use_cache=False, logits_to_keep=1)
                    model.model.layers = layers
            values |= dict(zip(own, self._read(outputs).tolist(), strict=True))
        return values


def effects_of(reader: Reader, first: Any, other: Any, names: Iterable[str]) -> Effects:
    """Return what the value of a model loses if a module of another one takes the place of its own, alone.

    Args:
        reader: What runs a model.
        first: The model whose modules are taken.
        other: The model into which they are put, without an adapter's wrapper around it.
        names: The modules.
    """
    value = reader.value(other)
    return {name: value - each for name, each in reader.values_with(other, first, names).items()}


def best_share(reader: Reader, first: Any, other: Any, names: Iterable[str], count: int) -> float:
    """Return how much of a difference comes back with the best modules restored, which are found by trying.

    Each module in turn is the one that brings back most together with those before it.
    """
    value, other_value = reader.value(first), reader.value(other)
    sign = 1 if other_value > value else -1
    left, own = set(names), dict[str, nn.Module]()
    best = other_value
    for _ in range(count):
        values = reader.values_with(other, first, sorted(left))
        name = min(values, key=lambda name: sign * values[name])
        best = values[name]
        left.remove(name)
        own[name] = other.get_submodule(name)
        other.set_submodule(name, first.get_submodule(name))
    for name, module in own.items():
        other.set_submodule(name, module)
    return (other_value - best) / (other_value - value)


def agreement(values: Effects, effects: Effects) -> dict[str, float]:
    """Return how the values of modules agree with their effects: correlations, and who is first.

    Returns:
        Spearman's and Pearson's correlation, the place of the module with the largest value in the order of
        effects, by magnitude, and how large its effect is against the largest.
    """
    ours, truth = np.array([*values.values()]), np.array([effects[name] for name in values])
    first = int(np.abs(ours).argmax())
    return {
        "spearman": float(np.corrcoef(_ranks(ours), _ranks(truth))[0, 1]),
        "pearson": float(np.corrcoef(ours, truth)[0, 1]),
        "first": int((np.abs(truth) > np.abs(truth[first])).sum()) + 1,
        "of_largest": float(np.abs(truth[first]) / np.abs(truth).max()),
    }


def _ranks(values: np.ndarray) -> np.ndarray:
    return values.argsort().argsort()  # no two effects are the same


def place_of(name: str, values: Effects) -> int:
    """Return the place of a module by the magnitude of its value."""
    return sum(abs(value) > abs(values[name]) for value in values.values()) + 1


@contextmanager
def _one_in_each_row(model: nn.Module, donor: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Let each row of a batch have one module of another model, and all others its own ones."""
    count = len(names)

    def hook_of(row: int, other: nn.Module) -> Any:
        def hook(_: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            mine = inputs[0] if len(inputs[0]) == 1 else inputs[0][row : row + 1]
            mixed = output.expand(count, *output.shape[1:]).clone()
            mixed[row] = other(mine)[0]
            return mixed

        return hook

    with ExitStack() as stack:
        for row, name in enumerate(names):
            hook = hook_of(row, donor.get_submodule(name))
            stack.callback(model.get_submodule(name).register_forward_hook(hook).remove)
        yield
