"""Two models on one text, whichever kind of model they are."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from model_understanding.errors import InputError
from model_understanding.model_diff.compute import ModelPair, model_diff
from model_understanding.results import ModelDiff, Target
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.base import Visualizer

VisualizerT = TypeVar("VisualizerT", bound=Visualizer)


def other_visualizer(visualizer: VisualizerT, other: Any) -> VisualizerT:
    """Return the visualizer of a model that is compared with a visualizer's.

    Args:
        visualizer: The visualizer of the first model.
        other: A visualizer of the same kind, a loaded model, or the name or folder to load one from, on the
            same device and in the same dtype.

    Raises:
        InputError: It is something else, or a visualizer of another kind.
        LoadingError: The model cannot be loaded.
    """
    kind = type(visualizer)
    if isinstance(other, kind):
        return other
    if isinstance(other, Visualizer):
        raise InputError(
            f"The models are of different kinds: {visualizer.task} and {other.task}.",
            hint="Compare two models of one kind.",
        )
    model = visualizer.runner.model
    if isinstance(other, nn.Module):
        return kind(model=other, tokenizer=visualizer.tokenizer)
    if isinstance(other, str | Path):
        return kind(other, device=str(model.device), dtype=str(model.dtype).removeprefix("torch."))
    raise InputError(
        f"Cannot compare with an object of type {type(other).__name__}.",
        hint="Pass a model, the name or folder of one, or a visualizer.",
    )


def computed_model_diff(
    pair: ModelPair,
    text: Encoding,
    other_text: Encoding,
    targets: Sequence[Target],
    function: Callable[[Any], Any] | None,
    restore: int | None,
) -> ModelDiff:
    """Return how the difference between two models on a text is distributed over their weights.

    Args:
        pair: Both models.
        text: The text as the first model reads it.
        other_text: The text as the other model reads it.
        targets: What is explained: one target.
        function: The caller's function of a model's outputs, where that is the target.
        restore: Of how many modules to measure what comes back if they are restored.

    Raises:
        InputError: There are several targets, or the models read the text as different tokens.
    """
    if len(targets) != 1:
        raise InputError(
            f"A diff explains one target. Got {len(targets)}.", hint="Pass one target at a time."
        )
    require_same_tokens(text, other_text)
    return model_diff(pair, text, targets[0], function, restore)


def require_same_tokens(text: Encoding, other: Encoding) -> None:
    """Raise InputError unless both models read a text as the same tokens."""
    if text.inputs.keys() == other.inputs.keys() and all(
        values.shape == other.inputs[name].shape and torch.equal(values, other.inputs[name])
        for name, values in text.inputs.items()
    ):
        return
    counts = [each.ids.shape[1] for each in (text, other)]
    pieces = [each.tokens[0].pieces for each in (text, other)]
    differing = next((pair for pair in zip(*pieces, strict=False) if pair[0] != pair[1]), None)
    where = f"; first “{differing[0]}” and “{differing[1]}”" if differing is not None else ""
    raise InputError(
        f"The models read this text as different tokens: {counts[0]} and {counts[1]} of them{where}.",
        hint="Compare models that share a tokenizer. For others, save a report of each and compare those.",
    )
