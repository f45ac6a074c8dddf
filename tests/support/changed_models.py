"""Copies of models with other weights, and what plain torch says of them."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from model_understanding import GenerativeModelVisualizer, ModelDiff

TEXT = "The film was wonderful, but a dull plot is bad."


def changed(visualizer: Any, change: Callable[[str, torch.Tensor], torch.Tensor | None]) -> Any:
    """A visualizer of a copy of the model, with other weights."""
    model = copy.deepcopy(visualizer.model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            added = change(name, weight)
            if added is not None:
                weight.add_(added)
    return type(visualizer)(model=model, tokenizer=visualizer.tokenizer)


def noise(size: float) -> Callable[[str, torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def change(_: str, weight: torch.Tensor) -> torch.Tensor:
        return size * torch.randn(weight.shape, generator=generator) * weight.square().mean().sqrt()

    return change


def value_of(visualizer: Any, diff: ModelDiff, model: Any = None) -> torch.Tensor:
    """The target in plain torch."""
    encoded = visualizer.tokenizer(TEXT, return_tensors="pt")
    model = (model or visualizer.model).eval()
    names = {"input_ids", "attention_mask", "token_type_ids"} & encoded.keys()
    logits = model(**{name: encoded[name] for name in names}).logits
    (index,) = diff.target.indices
    if isinstance(visualizer, GenerativeModelVisualizer):
        return logits[0, -1].double().log_softmax(-1)[index]
    return logits[0, index]
