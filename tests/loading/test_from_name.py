"""Names, files and pipelines to a model with its tokenizer, its task and its provenance."""

import importlib.util

import pytest
import tiny_models
import tiny_tokenizers
import transformers

from model_understanding import (
    GenerativeModelVisualizer,
    InputError,
    LoadingError,
    MissingExtraError,
    ModelVisualizer,
)
from model_understanding.loading import LoadingOptions, detect_task

from .checkpoints import configure, refusal

# --- GGUF files ---


def test_a_missing_gguf_file(tmp_path):
    path = tmp_path / "none.gguf"
    assert refusal(LoadingError, path, visualizer=GenerativeModelVisualizer) == (
        f"The file '{path}' does not exist. Check the path."
    )


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_gguf_file_names_the_extra_it_needs(tmp_path, monkeypatch, package):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"GGUF")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(MissingExtraError) as caught:
        GenerativeModelVisualizer(path)
    assert str(caught.value) == (
        f"Reading '{path}' requires the package {package}, which is not installed. "
        "Run: pip install gguf accelerate"
    )


def test_a_gguf_file_loads(tmp_path):
    from demo_models.tiny_language_model import write_tiny_gguf

    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    visualizer = GenerativeModelVisualizer(path)
    assert visualizer.compute_saliency("abab").scores.any()
    provenance = visualizer.runner.model.loaded.provenance
    assert (provenance.model, provenance.is_local) == ("tiny.gguf", True)


# --- tokenizers ---


def test_a_pipeline_brings_its_tokenizer():
    tokenizer = tiny_tokenizers.wordpiece()
    pipeline = transformers.pipeline(
        "text-classification", model=tiny_models.build("bert"), tokenizer=tokenizer, device="cpu"
    )
    for visualizer in (ModelVisualizer(pipeline), ModelVisualizer(model=pipeline)):
        assert visualizer.model is pipeline.model
        assert visualizer.tokenizer is pipeline.tokenizer
    other = tiny_tokenizers.roberta_like()
    assert ModelVisualizer(pipeline, tokenizer=other).tokenizer is other
    assert refusal(InputError, pipeline, visualizer=GenerativeModelVisualizer) == (
        "BertForSequenceClassification is a sequence classifier, not a causal language model. "
        "Use ModelVisualizer (--task sequence-classification)."
    )


def test_a_tokenizer_by_folder(saved):
    visualizer = ModelVisualizer(model=tiny_models.build("bert"), tokenizer=str(saved / "bert"))
    assert (
        visualizer.tokenizer("The film")["input_ids"] == tiny_tokenizers.wordpiece()("The film")["input_ids"]
    )


# --- provenance and task ---


def test_provenance(saved):
    provenance = ModelVisualizer(saved / "bert", device="cpu", revision="v1").runner.model.loaded.provenance
    assert (provenance.model, provenance.is_local) == ("bert", True), "no path leaves the machine"
    assert (provenance.task, provenance.architecture) == (
        "sequence-classification",
        "BertForSequenceClassification",
    )
    assert (provenance.revision, provenance.device, provenance.dtype) == ("v1", "cpu", "float32")
    assert set(provenance.versions) == {"model-understanding", "python", "torch", "transformers", "numpy"}


def test_the_task_of_a_checkpoint(saved, bert):
    options = LoadingOptions()
    assert detect_task(str(saved / "bert"), options) == "sequence-classification"
    assert detect_task(str(saved / "gpt2"), options) == "causal-lm"
    assert detect_task("demo:sentiment", options) == "sequence-classification"
    assert detect_task("demo:smollm2", options) == "causal-lm"
    assert detect_task("some/file.gguf", options) == "causal-lm"
    configure(bert, architectures=["BertForMaskedLM"])
    assert detect_task(str(bert), options) == "masked-lm"
    for architecture in ("BertModel", None):
        configure(bert, architectures=architecture and [architecture])
        with pytest.raises(InputError) as caught:
            detect_task(str(bert), options)
        assert str(caught.value).startswith(
            f"Cannot determine the task of '{bert}': its config names no architecture with a head. "
            "To compare two texts by it, pass pooling='mean' (--pooling mean"
        )
        assert "sentence-similarity, zero-shot-classification, reranking" in caught.value.hint


def test_a_demo_model_of_another_task():
    assert refusal(InputError, "demo:sentiment", visualizer=GenerativeModelVisualizer) == (
        "demo:sentiment is a sequence classifier, not a causal language model. "
        "Use ModelVisualizer (--task sequence-classification)."
    )
    assert refusal(InputError, "demo:none") == (
        "Unknown demo model 'demo:none'. Allowed: demo:sentiment, demo:smollm2, demo:minilm. "
        "Pass one of these names."
    )
