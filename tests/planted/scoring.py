"""How many of the planted words stand at the top of a method's scores."""

from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import numpy as np

from model_understanding import GenerativeModelVisualizer, MaskedLMVisualizer, ModelVisualizer
from model_understanding.registry import METHODS
from planted import training, vocabulary
from planted.tasks import TASKS, Task

TEXTS, SAMPLES, RANDOM_ORDERS = 12, 64, 200


@dataclass(frozen=True)
class Planted:
    """A trained model, texts of its task, and what is known about them.

    Args:
        task: The task.
        accuracy: Of the model on held-out texts.
        visualizer: The model's.
        texts: B texts.
        answers: The class or token that the model has to name, shape ``(B,)``.
        truth: Positions among the tokens, shape ``(B, k)``.
        ranked: Whether a position of each text takes part: no special token, no mask, and no word that all
            texts end with.
    """

    task: Task
    accuracy: float
    visualizer: Any
    texts: tuple[str, ...]
    answers: np.ndarray
    truth: np.ndarray
    ranked: np.ndarray


@cache
def planted(
    name: str, count: int = TEXTS, seed: int = 0, length: int | None = None, architecture: str | None = None
) -> Planted:
    """Return a task's model, trained once in a process for each seed, with texts that it never saw."""
    task = TASKS[name] if length is None else replace(TASKS[name], length=length)
    model = _model(task.draw, task.classes, seed, architecture)
    drawn = task.draw(np.random.default_rng(2 + 100 * seed), count, task.length)
    words = list(vocabulary.NUMBER)
    is_causal = task.classes is None and not task.is_masked
    kind: Any = GenerativeModelVisualizer if is_causal else ModelVisualizer
    kind = MaskedLMVisualizer if task.is_masked else kind
    tokenizer = vocabulary.of_a_language_model() if is_causal else vocabulary.of_a_classifier()
    ranked = np.zeros((count, task.length + (1 if is_causal else 2)), dtype=bool)
    ranked[:, 1:-1] = True  # [CLS] text [SEP], or <s> text marker
    if drawn.masks is not None:
        ranked[range(count), drawn.masks + 1] = False
    return Planted(
        task=task,
        accuracy=training.accuracy(model, task),
        visualizer=kind(model=model, tokenizer=tokenizer),
        texts=tuple(" ".join(words[number] for number in row) for row in drawn.ids),
        answers=drawn.answers,
        truth=drawn.truth + 1,
        ranked=ranked,
    )


@cache
def _model(draw: Any, classes: int | None, seed: int, architecture: str | None) -> Any:
    """Return the model of a task; tasks that differ in their length alone share it."""
    task = next(task for task in TASKS.values() if (task.draw, task.classes) == (draw, classes))
    return training.trained(task, seed, architecture)


def method_of(name: str) -> Any:
    """Return a registered method by its name: few samples, and words where it would score sentences."""
    method = METHODS.load(name)()
    defaults = {field.name: getattr(method, field.name) for field in fields(method)}
    changes: dict[str, Any] = {}
    if "samples" in defaults:
        changes["samples"] = min(defaults["samples"], SAMPLES)
    if defaults.get("unit") == "sentence":
        changes["unit"] = "word"
    return replace(method, **changes)


def precision(model: Planted, method: Any) -> float:
    """Return the mean share of planted words among a method's k greatest scores."""
    is_causal = model.task.classes is None and not model.task.is_masked
    options = {"target": "next"} if is_causal else {}
    found = model.visualizer.compute_saliency(list(model.texts), method=method, **options)
    shares = []
    rows = zip(found, model.answers, model.truth, model.ranked, strict=True)
    for attribution, answer, truth, ranked in rows:
        assert attribution.targets[0].indices == (answer,)  # what is explained is the right answer
        shares.append(_share(attribution.scores[0], truth, ranked))
    return float(np.mean(shares))


def random_precision(model: Planted) -> float:
    """Return what random orders of the same words reach."""
    generator = np.random.default_rng(3)
    return float(
        np.mean(
            [
                _share(generator.random(len(ranked)), truth, ranked)
                for truth, ranked in zip(model.truth, model.ranked, strict=True)
                for _ in range(RANDOM_ORDERS)
            ]
        )
    )


def _share(scores: np.ndarray, truth: np.ndarray, ranked: np.ndarray) -> float:
    """Return the share of truth among the greatest scores; words of one score share the places left."""
    own, wanted = scores[ranked], np.isin(np.flatnonzero(ranked), truth)
    count = len(truth)
    least = np.sort(own)[-count]
    above, level = own > least, own == least
    places = count - above.sum()
    return float((wanted[above].sum() + wanted[level].sum() * places / level.sum()) / count)
