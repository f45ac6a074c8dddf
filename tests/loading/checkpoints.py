"""Saved checkpoints to break, and the errors that loading them raises."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_understanding import ModelVisualizer

SEE_CONTENTS = "Check the name or folder, and that it contains config.json, weights and a tokenizer."


def configure(folder: Path, file: str = "config.json", **changes: Any) -> None:
    """Change fields of a JSON file of a checkpoint."""
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(kind: type[Exception], *arguments: Any, visualizer: Any = ModelVisualizer, **options: Any) -> str:
    """Return the message of the error that loading raises."""
    with pytest.raises(kind) as caught:
        visualizer(*arguments, **options)
    assert type(caught.value) is kind
    return str(caught.value)
