"""Config, weights and tokenizer of a checkpoint: its code does not run, and untrained weights show."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_models
import tiny_tokenizers

from model_understanding import GenerativeModelVisualizer, ModelVisualizer, UnsafeModelError

from .checkpoints import configure, refusal

LOADS = """
import sys
from model_understanding import GenerativeModelVisualizer, ModelVisualizer, UnsafeModelError
for visualizer in (ModelVisualizer, GenerativeModelVisualizer):
    try:
        visualizer(sys.argv[1])
    except UnsafeModelError as error:
        print(error)
"""


def remote_code_message(folder: Path) -> str:
    return (
        f"Loading '{folder}' would run code that comes with it. "
        "Read that code; if you trust it, pass trust_remote_code=True (--trust-remote-code) and a revision."
    )


def test_remote_code_is_refused_whatever_stdin_says(bert, tmp_path):
    sentinel = tmp_path / "sentinel"
    for file in ("configuration_evil.py", "tokenization_evil.py", "modeling_evil.py"):
        (bert / file).write_text(f"import os\nos.mkdir({str(sentinel)!r})\n")
    auto_map = {
        "AutoConfig": "configuration_evil.C",
        "AutoModelForSequenceClassification": "modeling_evil.M",
    }
    configure(bert, model_type="evil", auto_map=auto_map)
    process = subprocess.run(
        [sys.executable, "-c", LOADS, str(bert)],
        input="y\n" * 20,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert process.stdout.splitlines() == [remote_code_message(bert)] * 2
    assert not sentinel.exists()


def test_a_tokenizers_code_does_not_run(saved, tmp_path, monkeypatch):
    sentinel = tmp_path / "sentinel"
    folder = Path(shutil.copytree(saved / "bert", tmp_path / "tokenizer"))
    (folder / "tokenization_evil.py").write_text(f"import os\nos.mkdir({str(sentinel)!r})\n")
    code = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["tokenization_evil.Evil", None]}}
    configure(folder, "tokenizer_config.json", **code)
    (folder / "config.json").unlink()
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    assert refusal(UnsafeModelError, saved / "bert", tokenizer=folder) == remote_code_message(folder)
    assert not sentinel.exists()


def test_an_untrained_head_is_stamped_on_everything(tmp_path):
    tiny_models.build("bert").bert.save_pretrained(tmp_path)
    tiny_tokenizers.wordpiece().save_pretrained(tmp_path)
    visualizer = ModelVisualizer(tmp_path)
    caution = "untrained head: this explains random weights (classifier.bias, classifier.weight)"
    report = visualizer.analyze("A wonderful film.", show=False)
    stamped = (report, *report.attributions, *report.attention)
    assert len(report.attributions) == 1
    assert len(report.attention) > 1
    assert all(result.provenance.cautions == (caution,) for result in stamped)


@pytest.mark.parametrize(
    ("name", "visualizer", "caution"),
    [
        ("bert", ModelVisualizer, ()),
        ("gpt2", GenerativeModelVisualizer, ()),  # its head is tied to its embeddings: no key of its own
        ("llama", GenerativeModelVisualizer, ()),
        ("gpt2", ModelVisualizer, ("untrained head: this explains random weights (score.weight)",)),
        ("llama", ModelVisualizer, ("untrained head: this explains random weights (score.weight)",)),
        (
            "bert",
            GenerativeModelVisualizer,
            (
                "untrained head: this explains random weights (cls.predictions.bias, "
                "cls.predictions.decoder.bias, cls.predictions.transform.LayerNorm.bias …)",
            ),
        ),
    ],
)
def test_cautions_follow_the_head_that_was_saved(saved, name, visualizer, caution):
    assert visualizer(saved / name).runner.model.loaded.provenance.cautions == caution
