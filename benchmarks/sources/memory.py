"""Memory of an answer map of a long prompt, beside a plain forward pass of the same tokens.

As a script, it runs one of both once in a process of its own and prints the growth of its memory. What the C
library keeps of freed memory differs from run to run, so each way has several, in turn.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import prompts
import torch

from model_understanding import GenerativeModelVisualizer
from model_understanding.visualizers.sourced_prompts import sourced_prompt

Row = dict[str, Any]
LENGTH = 4000
_WAYS = ("plain", "plain, without cache", "ours")
_RUNS = 3


def rows(known: set[str], _: int | None = None) -> Iterator[Row]:
    """Yield the growth of memory with a prompt of 4,000 tokens."""
    key = f"demo:smollm2, {LENGTH} tokens"
    if key not in known:
        runs = [{way: _growth(way) for way in _WAYS} for _ in range(_RUNS)]
        grown = {way: median(run[way] for run in runs) for way in _WAYS}
        yield {"key": key, "megabytes": grown, "ratio": grown["ours"] / grown["plain"], "runs": runs}


def _growth(way: str) -> float:
    done = subprocess.run([sys.executable, __file__, way], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def _long(visualizer: Any, length: int) -> tuple[list[str], prompts.Prompt, int]:
    """Return documents that make a prompt of at most a number of tokens, its question, and the number."""
    listed = prompts.drawn("planted")
    first = listed[0]
    documents: list[str] = list(first.documents)
    others = [document for prompt in listed[1:] for document in prompt.documents]
    tokens = 0
    for other in others:
        text = _text(visualizer, first.question, [*documents, other])
        count = len(visualizer.tokenizer(text + first.answer, add_special_tokens=False)["input_ids"])
        if count > length:
            break
        documents.append(other)
        tokens = count
    return documents, first, tokens


def _text(visualizer: Any, question: str, documents: list[str]) -> str:
    return sourced_prompt(visualizer.tokenizer, None, question, None, documents).text


def _run(visualizer: Any, way: str, length: int) -> None:
    documents, prompt, _ = _long(visualizer, length)
    if way == "ours":
        visualizer.map_answer(question=prompt.question, documents=documents, answer=prompt.answer)
        return
    text = _text(visualizer, prompt.question, documents) + prompt.answer
    ids = visualizer.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        visualizer.model(ids, use_cache=way == "plain", logits_to_keep=1)


def main() -> None:
    """Print by how many megabytes one way grows the memory that the process holds with the model loaded."""
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    visualizer = GenerativeModelVisualizer("demo:smollm2")
    _run(visualizer, sys.argv[1], 500)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    _run(visualizer, sys.argv[1], LENGTH)
    print(json.dumps(_status("VmHWM") - before))


if __name__ == "__main__":
    main()
