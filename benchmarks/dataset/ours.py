"""Ours: ``explain_dataset`` from texts to the Parquet files of a folder, with all checks."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))  # a worker has no PYTHONPATH
from model_understanding import explain_dataset, visualizer


def prepare(problem: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """Return the function to time, and one that converts its result to lists."""
    explainer = visualizer("demo:sentiment", device=problem.device)
    folder = Path(tempfile.mkdtemp())

    def run() -> Any:
        shutil.rmtree(folder, ignore_errors=True)
        return explain_dataset(explainer, problem.strings, folder, method=problem.method)

    def read(found: Any) -> dict[str, Any]:
        scores = [row.tolist() for row in found.to_pandas()["scores"][:20]]
        shutil.rmtree(folder, ignore_errors=True)
        return json.loads(json.dumps({"scores": scores}))

    return run, read
