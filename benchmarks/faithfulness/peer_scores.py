"""Other packages on the same sentences and by the same metric, each in an environment of its own.

What they compute is asked as ``benchmarks/attribution/peers`` asks it for the timings: integrated gradients
of the class from the mask token, 50 nodes, their usual number.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environments import make_environment, python_of
from jaxtyping import Float
from processes import WayError, WorkerProcess
from samples import Sample

from model_understanding.demo_models import demo_model_folder

FILES = Path(__file__).parents[1] / "attribution" / "peers"
PEERS = ("captum", "ferret-xai", "transformers-interpret")
NODES = 50


def name_of(peer: str) -> str:
    """Return a peer's row in the table."""
    return f"{peer}: integrated gradients, mask, {NODES} nodes"


def scores_of(
    peer: str, samples: Sequence[Sample], threads: int
) -> Iterator[tuple[Sample, Float[np.ndarray, " tokens"] | str]]:
    """Yield what a peer says of each sentence, or why it says nothing.

    Args:
        peer: The package.
        samples: Sentences of the demo classifier.
        threads: Threads of its process.
    """
    error = make_environment(peer, FILES)
    by_class: dict[int, list[Sample]] = {}
    for sample in samples:
        by_class.setdefault(sample.target.indices[0], []).append(sample)
    for index, group in by_class.items():
        found: dict[str, Any] = {}
        if error is None:
            try:
                found = _answers(peer, index, group, threads)
            except WayError as failure:
                error = str(failure)
        rows = found.get("signed") or found.get("probability") or [None] * len(group)
        for sample, row in zip(group, rows, strict=True):
            scores = None if row is None else np.ravel(row)
            if scores is None or len(scores) != sample.encoding.ids.shape[1]:
                yield sample, error or "it splits the text into other tokens"
            else:
                yield sample, scores


def _answers(peer: str, index: int, samples: Sequence[Sample], threads: int) -> dict[str, Any]:
    runner = samples[0].visualizer.runner
    job = {
        "way_file": str(FILES / f"{peer}.py"),
        "package": peer,
        "kind": "classifier",
        "work": "many_paths",
        "model_folder": str(demo_model_folder("demo:sentiment")),
        "ids": [sample.encoding.ids[0].tolist() for sample in samples],
        "index": index,
        "nodes": NODES,
        "mask_id": runner.tokenizer.mask_token_id,
        "device": "cpu",
        "dtype": "float32",
        "threads": threads,
    }
    worker = WorkerProcess(python_of(peer), job, threads)
    try:
        worker.run()
        return worker.read()
    finally:
        worker.close()
