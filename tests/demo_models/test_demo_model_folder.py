import subprocess
import sys
from pathlib import Path

import pytest

from model_understanding.demo_models import DEMO_MODELS, demo_model_folder, smollm2
from model_understanding.errors import InputError


def test_the_table():
    assert {
        name: (model.task, model.license, model.download_megabytes) for name, model in DEMO_MODELS.items()
    } == {
        "demo:sentiment": ("sequence-classification", "Apache-2.0", 0),
        "demo:smollm2": ("causal-lm", "Apache-2.0", 93),
        "demo:minilm": ("sentence-similarity", "Apache-2.0", 84),
    }


@pytest.mark.parametrize("name", ["demo:gpt2", "sentiment", "", "demo:SENTIMENT"])
def test_an_unknown_name(name):
    with pytest.raises(InputError) as caught:
        demo_model_folder(name)
    assert str(caught.value) == (
        f"Unknown demo model {name!r}. Allowed: demo:sentiment, demo:smollm2, demo:minilm. "
        "Pass one of these names."
    )


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MODEL_UNDERSTANDING_CACHE", str(tmp_path))
    assert smollm2.cache_root() == tmp_path
    monkeypatch.setenv("MODEL_UNDERSTANDING_CACHE", "~/somewhere")
    assert smollm2.cache_root() == Path.home() / "somewhere"
    monkeypatch.delenv("MODEL_UNDERSTANDING_CACHE")
    assert smollm2.cache_root().name == "model-understanding"


def test_smollm2_is_made_in_the_cache_folder(monkeypatch, tiny, placed):
    monkeypatch.setattr(smollm2, "SMOLLM2", tiny)
    monkeypatch.setenv("MODEL_UNDERSTANDING_CACHE", str(placed))
    assert demo_model_folder("demo:smollm2") == placed / "tiny-1"


def test_importing_loads_neither_torch_nor_transformers():
    source = (
        "import sys, model_understanding.demo_models as d; d.demo_model_folder('demo:sentiment');"
        "print([name for name in ('torch', 'transformers', 'gguf') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_the_space_asked_for_is_that_of_the_real_files():
    model = smollm2.SMOLLM2
    assert model.wheel.startswith(model.requirement.replace("-", "_").replace("==", "-"))
    assert model.gguf_bytes < model.folder_bytes < 3 * model.gguf_bytes
