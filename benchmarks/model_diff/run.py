"""Check the difference between two models against what it claims: ``scripts/bench model_diff``.

Three pairs of models on 20 texts each: does what is booked sum to the change of the answer, and how much of
it comes back if the 5 % of modules with the largest values are restored, or as many random ones? Then 20
planted changes: one module gets a random change of rank one among small ones everywhere; is it first?
"""

import argparse
import copy
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from table import write_table
from texts import FURTHER, LESSONS, PROMPTS, REVIEWS
from torch import nn

from model_understanding import GenerativeModelVisualizer, ModelDiff, ModelVisualizer

FOLDER = Path(__file__).parent
GROUP = 64  # weights that share a scale in the 4-bit rounding
RESTORED = 0.05  # share of the modules
TIMED = 5  # texts that are timed
PLANTED, AROUND = 0.2, 0.01  # size of the planted change and of those around it, relative to the weights


def main() -> None:
    """Run all rows, or those named, and write ``results.json`` and the table of the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help="Rows to run; all by default.")
    parser.add_argument("--texts", type=int, default=20, help="Texts for each row.")
    parser.add_argument("--table", action="store_true", help="Write the table without measuring.")
    options = parser.parse_args()
    torch.manual_seed(0)
    rows: dict[str, Callable[[int], dict[str, Any]]] = {
        "SmolLM2-135M ↔ weights rounded to 4 bits": _rounded,
        "SmolLM2-135M ↔ LoRA trained on 8 sentences": _adapted,
        "demo:sentiment ↔ trained further on 8 reviews": _trained,
        "planted: one module of SmolLM2-135M": _planted,
    }
    path = FOLDER / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, row in rows.items():
        if not options.table and (not options.rows or any(wanted in name for wanted in options.rows)):
            results[name] = row(options.texts)
            print(name, json.dumps(results[name]), flush=True)
            path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    write_table(results)


def _rounded(count: int) -> dict[str, Any]:
    base = GenerativeModelVisualizer("demo:smollm2")
    model = copy.deepcopy(base.model)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear) and "layers" in name:
                module.weight.copy_(_in_four_bits(module.weight))
    return _row(base, GenerativeModelVisualizer(model=model, tokenizer=base.tokenizer), PROMPTS[:count])


def _in_four_bits(weight: torch.Tensor) -> torch.Tensor:
    """Return weights rounded to 15 levels for each group of a row."""
    grouped = weight.reshape(-1, GROUP)
    scale = grouped.abs().amax(1, keepdim=True) / 7
    return ((grouped / scale).round() * scale).reshape(weight.shape)


def _adapted(count: int) -> dict[str, Any]:
    from peft import LoraConfig, get_peft_model

    base = GenerativeModelVisualizer("demo:smollm2")
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"])
    model = get_peft_model(copy.deepcopy(base.model), config)
    _train(model, [base.tokenizer(text, return_tensors="pt") for text in LESSONS], None, rate=2e-3, epochs=6)
    return _row(base, GenerativeModelVisualizer(model=model, tokenizer=base.tokenizer), PROMPTS[:count])


def _trained(count: int) -> dict[str, Any]:
    base = ModelVisualizer("demo:sentiment")
    model = copy.deepcopy(base.model)
    inputs = [base.tokenizer(text, return_tensors="pt") for text, _ in FURTHER]
    _train(model, inputs, [label for _, label in FURTHER], rate=1e-4, epochs=4)
    other = ModelVisualizer(model=model, tokenizer=base.tokenizer)
    return _row(base, other, REVIEWS[:count], quantity="log_prob")


def _train(model: Any, inputs: Sequence[Any], labels: Sequence[int] | None, rate: float, epochs: int) -> None:
    model.eval()  # without dropout the row is the same each time
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate)
    for _ in range(epochs):
        for index, encoded in enumerate(inputs):
            target = encoded["input_ids"] if labels is None else torch.tensor([labels[index]])
            loss = model(**encoded, labels=target).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _row(base: Any, other: Any, texts: Sequence[str], **question: Any) -> dict[str, Any]:
    diffs, times = list[ModelDiff](), []
    for index, text in enumerate(texts):
        start = time.perf_counter()
        if index < TIMED:
            diff = base.compute_model_diff(other, text, **question)
            times.append((time.perf_counter() - start) / _two_passes(base, other, text))
            most = math.ceil(RESTORED * len(diff.modules))
        diffs.append(base.compute_model_diff(other, text, restore=most, **question))
    missing = [abs(sum(change.value for change in diff.modules) - diff.difference) for diff in diffs]
    restored = [diff.restored for diff in diffs if diff.restored is not None]
    random = [share for each in restored for share in each.random_shares]
    return {
        "texts": len(diffs),
        "change": statistics.fmean(abs(diff.difference) for diff in diffs),
        "missing": max(missing),
        "gap": max(diff.gap for diff in diffs),
        "modules": len(diffs[0].modules),
        "restored_modules": len(restored[0].modules),
        "restored": statistics.median(each.share for each in restored),
        "restored_by_text": [round(each.share, 3) for each in restored],
        "random": statistics.median(random),
        "random_size": statistics.median(map(abs, random)),
        "time": statistics.median(times),
    }


def _two_passes(base: Any, other: Any, text: str) -> float:
    """Return the time of one forward pass of each model."""
    encoded = base.tokenizer(text, return_tensors="pt")
    given = {name: values for name, values in encoded.items() if name in ("input_ids", "attention_mask")}
    start = time.perf_counter()
    with torch.no_grad():
        for model in (base.model, other.model):
            model(**given)
    return time.perf_counter() - start


def _planted(count: int) -> dict[str, Any]:
    base = GenerativeModelVisualizer("demo:smollm2")
    names = [
        name
        for name, module in base.model.named_modules()
        if isinstance(module, nn.Linear) and "layers" in name
    ]
    generator = torch.Generator().manual_seed(0)
    first, places = 0, []
    for text in PROMPTS[:count]:
        name = names[int(torch.randint(len(names), (), generator=generator))]
        model = copy.deepcopy(base.model)
        with torch.no_grad():
            for key, module in model.named_modules():
                if key in names:
                    size, rank = (PLANTED, 1) if key == name else (AROUND, 4)
                    module.weight.add_(_change(module.weight, size, rank, generator))
        other = GenerativeModelVisualizer(model=model, tokenizer=base.tokenizer)
        diff = base.compute_model_diff(other, text)
        order = [change.name for change in diff.strongest(len(diff.modules))]
        places.append({"module": name, "place": order.index(name) + 1, "difference": diff.difference})
        first += order[0] == name
    return {"texts": len(places), "first": first, "places": places}


def _change(weight: torch.Tensor, size: float, rank: int, generator: torch.Generator) -> torch.Tensor:
    """Return a random change of some rank, whose size is a share of that of the weights."""
    rows, columns = weight.shape
    change = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator)
    return change * (size * weight.norm() / change.norm())


if __name__ == "__main__":
    main()
