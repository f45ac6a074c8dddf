"""Time and memory of a ledger, as multiples of one forward and backward pass of the same text.

As a script, it runs one of both once in a process of its own and prints the growth of its memory.
"""

import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from model_understanding import GenerativeModelVisualizer, ModelVisualizer

Row = dict[str, Any]
LENGTHS = (16, 64, 256)
LONGEST = 512
_ROUNDS = 5
_TEXT = "The actors were great but the plot was dull."
_REFERENCE = "The songs were great but the plot was dull."
_SENTENCE = (
    "the king of the small country walked along the river and thought about the long war that his father "
    "had lost many years ago when the snow was deep and the people were hungry and cold but still kept hope"
)
_WORDS = _SENTENCE.split()


def rows(known: set[str]) -> Iterator[Row]:
    """Yield the ratio of seconds at each length, and that of the growth of memory at the longest."""
    visualizer = GenerativeModelVisualizer("demo:smollm2")
    for length in LENGTHS:
        key = f"demo:smollm2, {length} tokens"
        if key not in known:
            yield {"key": key, **_timed(*language_model_ways(visualizer, length))}
    if "demo:sentiment, 12 tokens" not in known:
        yield {"key": "demo:sentiment, 12 tokens", **_timed(*_classifier_ways(), rounds=4 * _ROUNDS)}
    key = f"demo:smollm2, {LONGEST} tokens, memory"
    if key not in known:
        growth = {way: _growth(way) for way in ("plain", "ledger")}
        yield {"key": key, "megabytes": growth, "ratio": growth["ledger"] / growth["plain"]}


def language_model_ways(visualizer: Any, length: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what runs a plain forward and backward pass, and what computes a ledger."""
    model, tokenizer = visualizer.model, visualizer.tokenizer
    words = (_WORDS * (length // len(_WORDS) + 1))[:length]
    while len(tokenizer(" ".join(words))["input_ids"]) > length:
        words.pop()
    text, reference = " ".join(words), " ".join([words[0], "queen", *words[2:]])
    ids = tokenizer(text, return_tensors="pt")["input_ids"]

    def plain() -> None:
        embeddings = model.get_input_embeddings()(ids).detach().requires_grad_()
        logits = model(inputs_embeds=embeddings, use_cache=False, logits_to_keep=1).logits
        torch.autograd.grad(logits[0, -1, 42] - logits[0, -1, 57], embeddings)

    def ledger() -> None:
        visualizer.compute_ledger(text, reference, target=[42], against=57, quantity="logit")

    model.requires_grad_(False)
    return plain, ledger


def _classifier_ways() -> tuple[Callable[[], Any], Callable[[], Any]]:
    visualizer: Any = ModelVisualizer("demo:sentiment")
    model = visualizer.model.requires_grad_(False)
    inputs = dict(visualizer.tokenizer(_TEXT, return_tensors="pt"))
    ids = inputs.pop("input_ids")

    def plain() -> None:
        embeddings = model.get_input_embeddings()(ids).detach().requires_grad_()
        logits = model(inputs_embeds=embeddings, **inputs).logits
        torch.autograd.grad(logits[0, 1] - logits[0, 0], embeddings)

    return plain, lambda: visualizer.compute_ledger(_TEXT, _REFERENCE, target=1, against=0)


def _timed(plain: Callable[[], Any], ledger: Callable[[], Any], rounds: int = _ROUNDS) -> Row:
    seconds: dict[str, list[float]] = {"plain": [], "ledger": []}
    for number in range(rounds + 1):
        for name, way in (("plain", plain), ("ledger", ledger)):
            started = time.process_time()
            way()
            if number:  # the first measures what is measured once for a model
                seconds[name].append(time.process_time() - started)
    ratios = [ours / theirs for ours, theirs in zip(seconds["ledger"], seconds["plain"], strict=True)]
    return {
        "seconds": {name: statistics.median(each) for name, each in seconds.items()},
        "ratio": statistics.median(ratios),
        "ratios": [min(ratios), max(ratios)],
    }


def _growth(way: str) -> float:
    done = subprocess.run([sys.executable, __file__, way], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main() -> None:
    """Print by how many megabytes one way grows the memory that the process holds with the model loaded."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    visualizer = GenerativeModelVisualizer("demo:smollm2")
    place = ("plain", "ledger").index(sys.argv[1])
    language_model_ways(visualizer, 8)[place]()
    way = language_model_ways(visualizer, LONGEST)[place]
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    way()
    print(json.dumps(_status("VmHWM") - before))


if __name__ == "__main__":
    main()
