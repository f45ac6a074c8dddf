"""Small checkpoints, as save_pretrained writes them; the hub is never asked."""

import shutil
from pathlib import Path

import huggingface_hub
import pytest
import tiny_models


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT classifier, a GPT-2 and a Llama language model."""
    root = tmp_path_factory.mktemp("saved")
    for name in ("bert", "gpt2", "llama"):
        tiny_models.build(name).save_pretrained(root / name)
        tiny_models.tokenizer_of(name).save_pretrained(root / name)
    return root


@pytest.fixture
def bert(saved: Path, tmp_path: Path) -> Path:
    """A copy of the classifier to break."""
    return Path(shutil.copytree(saved / "bert", tmp_path / "bert"))
