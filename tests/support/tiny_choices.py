"""Tiny seeded multiple choice models, strong enough to tell right from wrong (as ``tiny_models``)."""

from functools import cache
from typing import Any

import tiny_qa
import torch
from transformers import AutoModelForMultipleChoice

from model_understanding import MultipleChoiceVisualizer

NAMES = (
    "bert",
    "roberta",
    "xlm-roberta",
    "distilbert",
    "albert",
    "electra",
    "deberta-v2",
    "mpnet",
    "modernbert",
    "xlnet",
)
QUESTION = "The king lived"
CHOICES = ("far away.", "by the sea 🙂", "in a wonderful film, שלום!")
INPUT = (QUESTION, CHOICES)


@cache
def build(name: str) -> Any:
    """Return a tiny model whose logits differ from choice to choice."""
    model = tiny_qa.constructed(AutoModelForMultipleChoice, *tiny_qa.ARCHITECTURES[name])

    def spread() -> float:
        logits = [float(model(**inputs_of(name, QUESTION, choice)).logits) for choice in CHOICES]
        return max(logits) - min(logits)

    return tiny_qa.strengthened(model, spread, least=0.3)


def visualizer_of(name: str, model: Any = None) -> MultipleChoiceVisualizer:
    """Return the visualizer of an architecture, over a shared model or one given."""
    return MultipleChoiceVisualizer(model=model or build(name), tokenizer=tiny_qa.tokenizer_of(name))


def inputs_of(name: str, question: str, choice: str) -> dict[str, torch.Tensor]:
    """Return what the model of an architecture is called with for one choice, ``(1, 1, T)``."""
    inputs = dict(tiny_qa.tokenizer_of(name)(question, choice, return_tensors="pt"))
    if name in ("distilbert", "modernbert"):
        inputs.pop("token_type_ids", None)
    return {key: values[None] for key, values in inputs.items()}
