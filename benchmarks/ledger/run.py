"""Measures ledgers against activation patching, both ways, on minimal pairs: agreement and time.

Run with ``scripts/bench ledger``. Each pair is a row of ``results.jsonl``; ``--table`` only prints it.
"""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import table
import torch
from pairs import CLASSIFIER, LANGUAGE_MODEL
from patching import Points, gradients_times_differences, patched

from model_understanding import GenerativeModelVisualizer, ModelVisualizer

RESULTS = Path(__file__).parent / "results.jsonl"


def language_model_row(visualizer: Any, kind: str, text: str, reference: str) -> dict[str, Any]:
    """Return the row of a pair of prompts: the difference of the logits of both answers."""
    model, tokenizer = visualizer.model, visualizer.tokenizer
    inputs = [tokenizer(each, return_tensors="pt") for each in (text, reference)]
    with torch.no_grad():
        lines = [model(**each).logits[0, -1] for each in inputs]
    target, against = (int(line.argmax()) for line in lines)
    if target == against:
        against = int(lines[0].argsort()[-2])
    blocks = list(model.model.layers)
    points = {
        "residual": Points(blocks, of_input=True),
        "attention": Points([block.self_attn for block in blocks], of_input=False),
        "mlp": Points([block.mlp for block in blocks], of_input=False),
    }
    options = {"target": [target], "against": against, "quantity": "logit"}

    def value(logits: torch.Tensor) -> torch.Tensor:
        return logits[:, -1, target] - logits[:, -1, against]

    layers = range(0, len(blocks), 2)
    return _row(visualizer, kind, text, reference, inputs, points, value, options, layers)


def classifier_row(visualizer: Any, kind: str, text: str, reference: str) -> dict[str, Any]:
    """Return the row of a pair of texts: the difference of the logits of both classes."""
    model, tokenizer = visualizer.model, visualizer.tokenizer
    inputs = [tokenizer(each, return_tensors="pt") for each in (text, reference)]
    blocks = list(model.bert.encoder.layer)
    points = {
        "residual": Points(blocks, of_input=True),
        "attention": Points([block.attention.output.dense for block in blocks], of_input=False),
        "mlp": Points([block.output.dense for block in blocks], of_input=False),
    }

    def value(logits: torch.Tensor) -> torch.Tensor:
        return logits[:, 1] - logits[:, 0]

    options = {"target": 1, "against": 0}
    layers = range(len(blocks))
    return _row(visualizer, kind, text, reference, inputs, points, value, options, layers)


def _row(
    visualizer: Any,
    kind: str,
    text: str,
    reference: str,
    inputs: Any,
    points: dict[str, Points],
    value: Any,
    options: dict[str, Any],
    layers: range,
) -> dict[str, Any]:
    model = visualizer.model
    visualizer.compute_ledger(text, reference, **options)  # what is measured once for a model
    started = time.process_time()
    ledger = visualizer.compute_ledger(text, reference, **options)
    seconds = time.process_time() - started
    row: dict[str, Any] = {"kind": kind, "text": text, "reference": reference, "tokens": len(ledger.tokens)}
    row |= {"difference": ledger.difference, "gap": float(ledger.gaps.max()), "seconds": seconds}
    for part, place in points.items():
        started = time.process_time()
        effects = patched(model, place, *inputs, value, layers)
        if part == "residual":
            row["patching_seconds"] = (time.process_time() - started) * len(place.modules) / len(layers)
        gradients = gradients_times_differences(model, place, *inputs, value, layers)
        found = getattr(ledger, part)[list(layers)]
        row[part] = _correlation(found, effects)
        row[f"{part}_gradient"] = _correlation(gradients, effects)
    return row


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def main() -> None:
    """Measure every pair, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the table without measuring")
    parser.add_argument("--out", type=Path, default=RESULTS, help="results file (default: the committed one)")
    options = parser.parse_args()
    if not options.table:
        logging.disable(logging.WARNING)
        torch.set_num_threads(1)
        with options.out.open("w", encoding="utf-8") as file:
            for name, kind, measure, pairs in (
                ("demo:sentiment", ModelVisualizer, classifier_row, CLASSIFIER),
                ("demo:smollm2", GenerativeModelVisualizer, language_model_row, LANGUAGE_MODEL),
            ):
                visualizer = kind(name)
                for pair in pairs:
                    lengths = {len(visualizer.tokenizer(text)["input_ids"]) for text in pair[1:]}
                    if len(lengths) > 1:
                        print(f"left out, of other lengths: {pair}")
                        continue
                    row = {"model": name, **measure(visualizer, *pair)}
                    file.write(json.dumps(row) + "\n")
                    file.flush()
    rows = [json.loads(line) for line in options.out.read_text(encoding="utf-8").splitlines()]
    print(table.written(rows))


if __name__ == "__main__":
    main()
