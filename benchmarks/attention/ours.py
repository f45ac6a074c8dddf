"""Our implementations: the call that ``compute_attention`` makes, on given token ids."""

from collections.abc import Callable
from typing import Any

from model_understanding.attention.capture.reducers import Pooled
from model_understanding.attention.capture.weights import capture_attention
from model_understanding.loading import LoadedModel
from model_understanding.model.causality import is_causal
from model_understanding.passes.runner import Runner
from model_understanding.results import Provenance
from model_understanding.tokens import Tokens

BLOCK = 256  # tokens per cell of the overview


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return the function to time, and one that converts its result to lists."""
    task, ids = "causal-lm", problem.ids[0]
    loaded = LoadedModel(problem.model, problem.tokenizer, task, Provenance(model="benchmark", task=task))
    runner = Runner(loaded)
    count = len(ids)
    tokens = Tokens.from_spans(
        texts=("x" * count,),
        pieces=["x"] * count,
        ids=ids,
        segments=[0] * count,
        offsets=[(place, place + 1) for place in range(count)],
        special=[False] * count,
    )
    encoding = runner.model.encode(tokens, prompt_length=count)
    assert is_causal(runner.model)  # measured once per model, so not part of any row
    layers = range(problem.model.config.num_hidden_layers)
    if problem.work == "one_layer":
        return lambda: capture_attention(runner.model, encoding, [layers[-1]], "mean").weights, _last_rows
    if problem.work == "pooled":
        return (
            lambda: (
                capture_attention(runner.model, encoding, layers, "mean", reducer=Pooled(size=BLOCK)).weights
            ),
            _sums,
        )
    return lambda: capture_attention(runner.model, encoding, layers, "mean").weights, _last_rows


def _last_rows(found: Any) -> dict[str, Any]:
    return {"last_rows": found[0, :, 0, -1].tolist()}


def _sums(found: Any) -> dict[str, Any]:
    """Return the minimum and maximum of the overview's row sums, both of which should be 1."""
    sums = found[0, :, 0].sum(-1)
    return {"row_sums": [float(sums.min()), float(sums.max())]}
