"""Check the difference between two models against what it claims: ``scripts/bench model_diff``.

Three pairs of models on 20 texts each: does what is booked sum to the change of the answer, and how much of
it comes back if the 5 % of modules with the largest values are restored, or as many random ones? Then planted
changes: is the module that was changed on purpose first? In all of them each module is also restored alone,
without the project: do the values agree with these effects, and is the module ranked first the one that moves
the answer most?
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

import plants
import torch
from alone import Reader, agreement, best_share, effects_of, place_of
from table import write_table
from texts import FURTHER, LESSONS, PROMPTS, REVIEWS
from torch import nn

from model_understanding import GenerativeModelVisualizer, ModelDiff, ModelVisualizer

FOLDER = Path(__file__).parent
GROUP = 64  # weights that share a scale in the 4-bit rounding
RESTORED = 0.05  # share of the modules
TIMED = 5  # texts that are timed
ALONE = 5  # texts of a pair of language models on which each module is restored alone
RANDOM_TEXTS = 10  # texts of the random change


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
        "SmolLM2-135M, one module edited": lambda count: _planted("demo:smollm2", PROMPTS[:count], _edited),
        "demo:sentiment, one module edited": lambda count: _planted(
            "demo:sentiment", REVIEWS[:count], _edited, quantity="log_prob"
        ),
        "SmolLM2-135M, a random change of one module": lambda count: _planted(
            "demo:smollm2", PROMPTS[: min(count, RANDOM_TEXTS)], _changed_at_random
        ),
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
    row = _row(base, other, REVIEWS[:count], alone=count, quantity="log_prob")
    row["best"] = statistics.median(
        best_share(_reader(base, text), base.model, model, _with_weights(model), row["restored_modules"])
        for text in REVIEWS[:count]
    )
    return row


def _with_weights(model: nn.Module) -> list[str]:
    """Return the names of modules that have weights of their own; all of them were trained."""
    return [
        name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))
    ]


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


def _row(base: Any, other: Any, texts: Sequence[str], alone: int = ALONE, **question: Any) -> dict[str, Any]:
    diffs, times, agreements = list[ModelDiff](), [], []
    for index, text in enumerate(texts):
        start = time.perf_counter()
        if index < TIMED:
            diff = base.compute_model_diff(other, text, **question)
            times.append((time.perf_counter() - start) / _two_passes(base, other, text))
            most = math.ceil(RESTORED * len(diff.modules))
        diffs.append(base.compute_model_diff(other, text, restore=most, **question))
        if index < alone:
            agreements.append(_agreements(base, other, text, diffs[-1]))
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
        "alone": agreements,
    }


def _agreements(base: Any, other: Any, text: str, diff: ModelDiff) -> dict[str, Any]:
    """Return how the values of modules agree with what each module alone changes."""
    values = {change.name: change.value for change in diff.modules}
    reader, model = _reader(base, text), _without_adapter(other.model)
    restored = effects_of(reader, base.model, model, values)
    put_in = effects_of(reader, model, base.model, values)
    both_ways = {name: (restored[name] - put_in[name]) / 2 for name in values}
    return {
        "value": diff.difference,
        **agreement(values, restored),
        "both_ways": agreement(values, both_ways),
    }


def _reader(base: Any, text: str) -> Reader:
    """Return what reads the log-probability of the first model's answer."""
    encoded = base.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        logits = base.model(**encoded).logits
    return Reader(encoded, int((logits if logits.ndim == 2 else logits[:, -1])[0].argmax()))


def _without_adapter(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _two_passes(base: Any, other: Any, text: str) -> float:
    """Return the time of one forward pass of each model."""
    encoded = base.tokenizer(text, return_tensors="pt")
    given = {name: values for name, values in encoded.items() if name in ("input_ids", "attention_mask")}
    start = time.perf_counter()
    with torch.no_grad():
        for model in (base.model, other.model):
            model(**given)
    return time.perf_counter() - start


def _planted(
    name: str, texts: Sequence[str], change_of: Callable[..., torch.Tensor], **question: Any
) -> dict[str, Any]:
    kind = ModelVisualizer if name == "demo:sentiment" else GenerativeModelVisualizer
    base: Any = kind(name)
    rows = []
    for index, text in enumerate(texts):
        generator = torch.Generator().manual_seed(index)
        module = plants.drawn(base.model, index, generator)
        reader = _reader(base, text)
        change = change_of(base.model, module, reader, generator)
        weight = base.model.get_submodule(module).weight
        size = float(change.norm() / weight.detach().norm())
        other = kind(model=plants.planted(base.model, module, change, generator), tokenizer=base.tokenizer)
        diff = base.compute_model_diff(other, text, **question)
        values = {each.name: each.value for each in diff.modules}
        restored = effects_of(reader, base.model, other.model, values)
        rows.append(
            {
                "module": module,
                "size": size,
                "value": diff.difference,
                "place": place_of(module, values),
                "place_by_effect": place_of(module, restored),
                **agreement(values, restored),
            }
        )
    return {"texts": len(rows), "planted": True, "alone": rows}


def _edited(model: Any, name: str, reader: Reader, generator: torch.Generator) -> torch.Tensor:
    return plants.edit(model, name, reader)


def _changed_at_random(model: Any, name: str, reader: Reader, generator: torch.Generator) -> torch.Tensor:
    return plants.random_change(model.get_submodule(name).weight, plants.RANDOM, 1, generator)


if __name__ == "__main__":
    main()
