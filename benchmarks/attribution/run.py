"""Time attribution against hand-written floors and captum, interleaved in one process.

Run with ``scripts/bench attribution``. Ratios are medians over rounds of ours / other in the same round;
absolute seconds belong to the machine at hand.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import floors
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, BertConfig, GPT2Config

from model_understanding.attribution.gim import Gim
from model_understanding.attribution.integrated_gradients import IntegratedGradients
from model_understanding.attribution.occlusion import Occlusion
from model_understanding.attribution.saliency import Saliency
from model_understanding.loading import LoadedModel
from model_understanding.results import Provenance, Target
from model_understanding.runner import Runner
from model_understanding.tokens import Tokens
from model_understanding.visualizers.attributing import attribute

CLASSIFIER, LANGUAGE_MODEL = "sequence-classification", "causal-lm"
BASE = {"vocab_size": 30522, "num_labels": 2}
MINILM = {
    **BASE,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}


@dataclass(frozen=True)
class Task:
    """One row of the table: the same work done by several."""

    name: str
    ways: dict[str, Callable[[], Any]]


class NoTokenizer:
    """The benchmarks work in ids; a tokenizer is asked only for its special tokens."""

    mask_token_id, pad_token_id, all_special_ids, model_max_length = 103, 0, (), 10**9

    def __len__(self) -> int:
        return 30000


def runner_of(model: Any, task: str) -> Runner:
    """Return the runner of a random-weight model, its parameters frozen for the floors as well."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return Runner(LoadedModel(model.eval(), NoTokenizer(), task, Provenance(model="random", task=task)))


def tokens_of(ids: torch.Tensor) -> Tokens:
    """Return plain tokens of given ids."""
    count = ids.shape[1]
    return Tokens.from_spans(
        texts=("x" * count,),
        pieces=["x"] * count,
        ids=ids[0].tolist(),
        segments=[0] * count,
        offsets=[(i, i + 1) for i in range(count)],
        special=[False] * count,
    )


def random_ids(count: int, seed: int = 0) -> torch.Tensor:
    """Return a text of random tokens."""
    return torch.randint(1000, 30000, (1, count), generator=torch.Generator().manual_seed(seed))


def captum_layer(model: Any, kind: str, read: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return captum's method on the embedding layer."""
    from captum.attr import LayerGradientXActivation, LayerIntegratedGradients

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return read(model(input_ids=ids).logits)

    layer = model.get_input_embeddings()
    if kind == "gradient":
        return LayerGradientXActivation(forward, layer, multiply_by_inputs=False)
    return LayerIntegratedGradients(forward, layer)


def classifier_tasks() -> Iterator[Task]:
    """Saliency and integrated gradients of one class, and 200 short texts."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(BertConfig(**BASE))
    runner = runner_of(model, CLASSIFIER)
    row = [Target(task=CLASSIFIER, indices=(1,))]
    gradient = captum_layer(model, "gradient", lambda logits: logits[:, 1])
    for count in (64, 256):
        ids = random_ids(count)
        encoding = runner.encode(tokens_of(ids))
        yield Task(
            f"classifier saliency, {count} tokens, BERT-base size",
            {
                "ours": lambda e=encoding: attribute(runner, Saliency(), [e], [row]),
                "floor": lambda i=ids: floors.class_gradient(model, i, 1),
                "captum": lambda i=ids: gradient.attribute(i),
            },
        )
    ids = random_ids(64)
    encoding = runner.encode(tokens_of(ids))
    baseline = model.get_input_embeddings()(torch.full_like(ids, 103))
    path = captum_layer(model, "path", lambda logits: logits[:, 1])
    yield Task(
        "integrated gradients, 64 tokens, BERT-base size, 20 nodes (captum: its 50)",
        {
            "ours": lambda: attribute(runner, IntegratedGradients(), [encoding], [row]),
            "floor": lambda: floors.class_path(model, ids, baseline, 1, 20, 20),
            "captum": lambda: path.attribute(
                ids, torch.full_like(ids, 103), n_steps=50, internal_batch_size=25
            ),
        },
    )
    yield Task(
        "GIM, one target, 64 tokens, BERT-base size",
        {
            "ours": lambda: attribute(runner, Gim(), [encoding], [row]),
            "floor": lambda: floors.class_gradient(model, ids, 1),
        },
    )
    small = AutoModelForSequenceClassification.from_config(BertConfig(**MINILM))
    small_runner = runner_of(small, CLASSIFIER)
    lengths = [8 + 7 * i % 40 for i in range(200)]
    texts = [random_ids(length, seed) for seed, length in enumerate(lengths)]
    encodings = [small_runner.encode(tokens_of(text)) for text in texts]
    yield Task(
        "saliency of 200 short texts, MiniLM size",
        {
            "ours": lambda: attribute(small_runner, Saliency(), encodings, [row] * 200),
            "floor": lambda: floors.sorted_batches(small, texts, 1),
        },
    )


def generation_tasks() -> Iterator[Task]:
    """32 tokens after a prompt of 32, GPT-2-small size; occlusion of 256 tokens on a smaller one."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(GPT2Config())
    runner = runner_of(model, LANGUAGE_MODEL)
    assert runner.is_causal
    ids = random_ids(64)
    encoding = runner.encode(tokens_of(ids), prompt_length=32)
    each = [
        Target(
            task=LANGUAGE_MODEL,
            positions=(31 + step,),
            indices=(int(ids[0, 32 + step]),),
            quantity="log_prob",
        )
        for step in range(32)
    ]
    whole = Target(
        task=LANGUAGE_MODEL,
        positions=tuple(range(31, 63)),
        indices=tuple(ids[0, 32:].tolist()),
        quantity="log_prob",
    )
    yield Task(
        "gradient of each of 32 generated tokens, GPT-2-small size",
        {
            "ours": lambda: attribute(runner, Saliency(), [encoding], [each]),
            "floor": lambda: floors.token_rows(model, ids, 32),
        },
    )
    yield Task(
        "gradient of the whole continuation, GPT-2-small size",
        {
            "ours": lambda: attribute(runner, Saliency(), [encoding], [[whole]]),
            "floor": lambda: floors.span_gradient(model, ids, 32),
        },
    )
    small = AutoModelForCausalLM.from_config(GPT2Config(n_embd=384, n_layer=6, n_head=6))
    small_runner = runner_of(small, LANGUAGE_MODEL)
    assert small_runner.is_causal
    long = random_ids(256)
    long_encoding = small_runner.encode(tokens_of(long), prompt_length=256)
    answer = [Target(task=LANGUAGE_MODEL, positions=(255,), indices=(7,), quantity="log_prob")]

    def recomputed() -> None:
        variants = long.repeat(257, 1)
        variants[torch.arange(256), torch.arange(256)] = 103
        with torch.no_grad():
            for part in variants.split(16):
                small(input_ids=part, logits_to_keep=1, use_cache=False).logits.log_softmax(-1)

    yield Task(
        "occlusion of a 256-token causal prompt (floor: recomputing), 6 layers × 384",
        {
            "ours": lambda: attribute(small_runner, Occlusion(), [long_encoding], [answer]),
            "floor": recomputed,
        },
    )


def measured(task: Task, rounds: int) -> dict[str, Any]:
    """Run the ways of a task in turn, round by round, after one round that is not counted."""
    times: dict[str, list[float]] = {way: [] for way in task.ways}
    for number in range(rounds + 1):
        for way, run in task.ways.items():
            started = time.perf_counter()
            run()
            if number:
                times[way].append(time.perf_counter() - started)
    row: dict[str, Any] = {"task": task.name, "rounds": rounds}
    for way, seconds in times.items():
        row[f"{way}_seconds"] = round(statistics.median(seconds), 4)
        if way != "ours":
            ratios = sorted(ours / other for ours, other in zip(times["ours"], seconds, strict=True))
            row[f"ours_to_{way}"] = [round(f(ratios), 3) for f in (min, statistics.median, max)]
    return row


def main() -> None:
    """Measure every task and print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds (default 9)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--only", default="", help="run tasks whose name holds this")
    parser.add_argument("--out", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for tasks in (classifier_tasks(), generation_tasks()):
        for task in tasks:
            if options.only in task.name:
                rows.append(measured(task, options.rounds))
                print(json.dumps(rows[-1]), flush=True)
    if options.out:
        options.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
