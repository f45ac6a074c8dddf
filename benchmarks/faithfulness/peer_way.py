"""Runs one method of another package: each run explains the next text and counts the passes.

It runs in the package's environment, by ``benchmarks/worker.py``, and imports nothing of the benchmark. The
file of a package defines ``prepare(problem)``, which returns a function that takes a question and returns the
IDs that the package read and a score for each of the first ones. A question has ``ids`` (the input, including
the generated answer), ``text`` (what a user would pass), and ``prompt`` (the number of prompt tokens of a
language model) or ``index`` (the class).
"""

import importlib.util
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class Passes:
    """Counts token positions that pass through a model's first layer, forward and backward."""

    def __init__(self, model: Any) -> None:
        import torch

        self.forward = self.backward = 0
        layers = next(part for part in model.modules() if isinstance(part, torch.nn.ModuleList))
        layers[0].register_forward_hook(self._count)

    def _count(self, _layer: Any, inputs: Any, output: Any) -> None:
        positions = inputs[0].shape[0] * inputs[0].shape[1]
        self.forward += positions
        leaving = output[0] if isinstance(output, tuple) else output
        if leaving.requires_grad:
            leaving.register_hook(lambda _gradient: self._count_backward(positions))

    def _count_backward(self, positions: int) -> None:
        self.backward += positions


def values_of(problem: Any) -> list[float]:
    """Return this environment's value of each text: its margin, or the answer's log-probability."""
    import torch

    found = []
    for ids, prompt, index in zip(problem.texts, problem.prompts, problem.indices, strict=True):
        with torch.no_grad():
            logits = problem.model(input_ids=ids).logits[0]
        if prompt is None:
            value = logits[index] - logits[1 - index]
        else:
            logarithms = logits[prompt - 1 : -1].log_softmax(-1)
            value = logarithms.gather(-1, ids[0, prompt:, None]).sum()
        found.append(float(value))
    return found


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return the function that explains the next text, and one that returns its result."""
    specification = importlib.util.spec_from_file_location("peer", problem.method_file)
    assert specification is not None
    assert specification.loader is not None
    peer = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(peer)
    plain = problem.model
    values = values_of(problem)  # first: packages may change the model
    scores_of = peer.prepare(problem)
    if problem.model is not plain:
        values = values_of(problem)
    passes = Passes(problem.model)
    rows = zip(problem.texts, problem.written, problem.prompts, problem.indices, strict=True)
    questions = [
        SimpleNamespace(ids=ids, text=text, prompt=prompt, index=index) for ids, text, prompt, index in rows
    ]
    pairs = iter(zip(questions, values, strict=True))

    def run() -> dict[str, Any]:
        question, value = next(pairs)
        passes.forward = passes.backward = 0
        try:
            ids, scores = scores_of(question)
        except Exception as error:  # the message goes into its row
            lines = str(error).strip().splitlines() or [""]
            return {"refused": f"{type(error).__name__}: {lines[0]}"[:300]}
        count = question.ids.shape[1]
        return {
            "ids": [int(one) for one in ids],
            "scores": [float(score) for score in scores],
            "value": value,
            "forwards": passes.forward / count,
            "backwards": passes.backward / count,
        }

    return run, lambda found: found
