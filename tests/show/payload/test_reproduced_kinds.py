"""The Python code of a page computes the maps of each kind of model again."""

from pathlib import Path
from typing import Any

import pytest
import tiny_kinds
import tiny_masked

from model_understanding import visualizer
from model_understanding.show.payload.reproduce import attribution_code, links_code

TEXT = "the king is bad"
INPUTS: dict[str, Any] = {
    "token-classification": TEXT,
    "question-answering": ("who lived?", "Once upon a time there lived a king."),
    "masked-lm": tiny_masked.text_of("bert"),
    "seq2seq-lm": TEXT,
    "multiple-choice": (TEXT, ["a film", "a dull plot"]),
    "zero-shot-classification": (TEXT, ["good", "bad"]),
    "reranking": (TEXT, ["a film", "a dull plot"]),
    "sentence-similarity": (TEXT, "a dull plot"),
}


def run(code: list[str], folder: str, name: str) -> Any:
    """Run the code of a page without its plot, on a folder; return the value of a variable."""
    lines = "".join(code).replace(f"path/to/{Path(folder).name}", folder).rstrip().split("\n")
    values: dict[str, Any] = {}
    exec("\n".join(lines[:-1]), values)  # the code that a page offers is the subject
    return values[name]


@pytest.mark.parametrize("task", INPUTS)
def test_the_code_computes_the_same_scores(task, tmp_path):
    folder = tiny_kinds.save(task, tmp_path / "model")
    model = visualizer(folder, task=task)
    options = {"max_new_tokens": 3} if task == "seq2seq-lm" else {}
    report = model.analyze(
        INPUTS[task], method="saliency", attention=(), evaluate=False, show=False, **options
    )
    for found in report.attributions:
        again = run(attribution_code(report, found), folder, "attribution")
        assert again.targets == found.targets
        assert again.scores == pytest.approx(found.scores, rel=1e-6)
    if report.links is not None:
        links = run(links_code(report), folder, "links")
        assert links.scores == pytest.approx(report.links.scores, abs=1e-6)
