"""How ledgers agree with activation patching both ways, beside gradients times differences."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tiny
import torch
from pairs import CLASSIFIER, LANGUAGE_MODEL
from patching import Points, gradients_times_differences, patched
from torch import Tensor

from model_understanding import GenerativeModelVisualizer, ModelVisualizer

Row = dict[str, Any]
_STEP = 3  # of a language model's 30 blocks, every third is patched


def language_model(known: set[str]) -> Iterator[Row]:
    """Yield the row of each pair of prompts: the difference of the logits of both answers."""
    visualizer: Any = GenerativeModelVisualizer("demo:smollm2")
    blocks = list(visualizer.model.model.layers)
    points = {
        "residual": Points(blocks, of_input=True),
        "attention": Points([block.self_attn for block in blocks], of_input=False),
        "mlp": Points([block.mlp for block in blocks], of_input=False),
    }
    for kind, text, reference in LANGUAGE_MODEL:
        if text not in known:
            inputs = [visualizer.tokenizer(each, return_tensors="pt") for each in (text, reference)]
            answers = _answers(visualizer.model, inputs)
            layers = range(0, len(blocks), _STEP)
            yield {"kind": kind, **_row(visualizer, text, reference, inputs, points, answers, layers)}


def classifier(known: set[str]) -> Iterator[Row]:
    """Yield the row of each pair of texts: the difference of the logits of both classes."""
    visualizer: Any = ModelVisualizer("demo:sentiment")
    blocks = list(visualizer.model.bert.encoder.layer)
    points = {
        "residual": Points(blocks, of_input=True),
        "attention": Points([block.attention.output.dense for block in blocks], of_input=False),
        "mlp": Points([block.output.dense for block in blocks], of_input=False),
    }
    for kind, text, reference in CLASSIFIER:
        if text not in known:
            inputs = [visualizer.tokenizer(each, return_tensors="pt") for each in (text, reference)]
            yield {
                "kind": kind,
                **_row(visualizer, text, reference, inputs, points, None, range(len(blocks))),
            }


def experts(known: set[str]) -> Iterator[Row]:
    """Yield the row of each pair of prompts of tiny mixtures of experts: residual streams alone."""
    for name in ("mixtral", "gpt-oss"):
        visualizer = tiny.visualizer_of(name)
        blocks = list(visualizer.model.model.layers)
        for text, reference in tiny.PAIRS:
            key = f"{name}: {text} / {reference}"
            if key in known:
                continue
            inputs = [visualizer.tokenizer(each, return_tensors="pt") for each in (text, reference)]
            for each in inputs:
                each.pop("token_type_ids", None)
            points = {"residual": Points(blocks, of_input=True)}
            row = _row(visualizer, text, reference, inputs, points, (42, 57), range(len(blocks)))
            yield {**row, "key": key, "model": name}


def _answers(model: Any, inputs: Sequence[Any]) -> tuple[int, int]:
    """Return the likeliest next tokens of both prompts; where they agree, the text's first and second."""
    with torch.no_grad():
        lines = [model(**each).logits[0, -1] for each in inputs]
    target, against = (int(line.argmax()) for line in lines)
    return target, against if target != against else int(lines[0].argsort()[-2])


def _row(
    visualizer: Any,
    text: str,
    reference: str,
    inputs: Any,
    points: dict[str, Points],
    answers: tuple[int, int] | None,
    layers: range,
) -> Row:
    row: Row = {"key": text, "reference": reference, "tokens": int(inputs[0]["input_ids"].shape[1])}
    if len({each["input_ids"].shape for each in inputs}) > 1:
        return {**row, "omitted": "other lengths"}
    model = visualizer.model
    options: Row = {"target": 1, "against": 0}
    if answers is not None:
        options = {"target": [answers[0]], "against": answers[1], "quantity": "logit"}

    def value(logits: Tensor) -> Tensor:
        if answers is None:
            return logits[:, 1] - logits[:, 0]
        return logits[:, -1, answers[0]] - logits[:, -1, answers[1]]

    visualizer.compute_ledger(text, reference, **options)  # measures what is measured once for a model
    started = time.process_time()
    ledger = visualizer.compute_ledger(text, reference, **options)
    seconds = time.process_time() - started
    row |= {"difference": ledger.difference, "gap": float(ledger.gaps.max()), "seconds": seconds}
    row["routing"] = ledger.corrections.get("routing", 0.0)
    for part, place in points.items():
        started = time.process_time()
        directions = patched(model, place, *inputs, value, layers)
        effects = directions.mean(0)
        if part == "residual":
            row["patching_seconds"] = (time.process_time() - started) * len(place.modules) / len(layers)
        gradients = gradients_times_differences(model, place, *inputs, value, layers)
        found = getattr(ledger, part)[list(layers)]
        row[part], row[f"{part}_gradient"] = _correlation(found, effects), _correlation(gradients, effects)
        row[f"{part}_directions"] = _correlation(*directions)
        row[f"{part}_size"] = float(np.abs(effects).max() / abs(ledger.difference))
    return row


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
