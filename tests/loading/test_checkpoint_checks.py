"""Unsafe, incomplete and unreadable checkpoints are refused before anything of them is loaded."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from safetensors.torch import load_file, save_file

from model_understanding import (
    GenerativeModelVisualizer,
    LoadingError,
    ModelVisualizer,
    UnsafeModelError,
    visualizer,
)
from model_understanding.loading import LoadingOptions, detect_task

from .checkpoints import configure, refusal

ATTENTION = "eager, flash_attention_2, flash_attention_3, flash_attention_4, flex_attention, sdpa"
SEE_PATH = "Check the path, or pass the name of a model on the Hugging Face Hub."


class Evil:
    """Creates a folder when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.sentinel),)


# --- foreign kernels ---


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("_attn_implementation", {"_attn_implementation": "evil/repo"}),
        ("attn_implementation", {"attn_implementation": "evil/repo"}),
        ("_attn_implementation_internal", {"_attn_implementation_internal": "evil/repo"}),
        ("_attn_implementation", {"_attn_implementation": {"": "sdpa", "text_config": "evil/repo"}}),
        ("_attn_implementation", {"_attn_implementation": {"a": {"b": "evil/repo"}}}),
        ("_attn_implementation", {"_attn_implementation": ["sdpa", "evil/repo"]}),
        ("_attn_implementation", {"text_config": {"_attn_implementation": "evil/repo"}}),
        ("_attn_implementation", {"parts": [{"deeper": {"_attn_implementation": "evil/repo"}}]}),
    ],
)
@pytest.mark.parametrize("visualizer", [ModelVisualizer, GenerativeModelVisualizer])
def test_a_foreign_attention_kernel_is_refused_before_anything_is_loaded(
    bert, key, change, visualizer, monkeypatch
):
    configure(bert, **change)
    for auto in (transformers.AutoModelForSequenceClassification, transformers.AutoModelForCausalLM):
        monkeypatch.setattr(auto, "from_pretrained", lambda *_, **__: pytest.fail("it was loaded"))
    assert refusal(UnsafeModelError, bert, visualizer=visualizer) == (
        f"The config of '{bert}' requests the kernel 'evil/repo', which would be downloaded and run. "
        f"Allowed: {ATTENTION}. Remove '{key}' from its config.json if you trust the weights."
    )


def test_a_foreign_experts_kernel_is_refused(bert):
    configure(bert, _experts_implementation="evil/repo")
    assert refusal(UnsafeModelError, bert) == (
        f"The config of '{bert}' requests the kernel 'evil/repo', which would be downloaded and run. "
        "Allowed: batched_mm, eager, grouped_mm. "
        "Remove '_experts_implementation' from its config.json if you trust the weights."
    )
    with pytest.raises(UnsafeModelError):
        detect_task(str(bert), LoadingOptions())


def test_a_known_kernel_is_used(bert):
    configure(bert, _attn_implementation="eager")
    assert ModelVisualizer(bert).runner.model.loaded.provenance.attention_implementation == "eager"


# --- pickles ---


def as_pickle(folder: Path, file: str = "pytorch_model.bin", **more: Any) -> dict[str, torch.Tensor]:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({**weights, **more}, folder / file)
    return weights


def pickle_message(folder: Path, file: str) -> str:
    return (
        f"'{folder}' stores its weights in a pickle ({file}), which can run code when loaded. "
        "Convert it to safetensors, or pass allow_pickle=True (--allow-pickle) if you trust it."
    )


def test_a_pickle_is_refused_unless_allowed(bert):
    text = "A wonderful film."
    expected = ModelVisualizer(bert).predict(text).logits
    as_pickle(bert)
    assert refusal(UnsafeModelError, bert) == pickle_message(bert, "pytorch_model.bin")
    allowed = ModelVisualizer(bert, allow_pickle=True)
    assert (allowed.predict(text).logits == expected).all()
    assert allowed.runner.model.loaded.provenance.cautions == ()


@pytest.mark.parametrize("raw", [False, True])
def test_an_evil_pickle_does_not_run_even_where_pickles_are_allowed(bert, tmp_path, raw):
    sentinel = tmp_path / "sentinel"
    as_pickle(bert, evil=Evil(sentinel))
    if raw:
        (bert / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(sentinel)))
    assert refusal(UnsafeModelError, bert) == pickle_message(bert, "pytorch_model.bin")
    message = refusal(UnsafeModelError, bert, allow_pickle=True)
    assert message == f"The pickle of '{bert}' contains more than weights. Do not load this checkpoint."
    assert not sentinel.exists()


def test_an_index_may_not_lead_to_a_pickle_beside_innocent_safetensors(bert):
    shutil.copy(bert / "model.safetensors", bert / "innocent.safetensors")
    weights = as_pickle(bert, "shard.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "shard.bin")}
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    assert refusal(UnsafeModelError, bert) == pickle_message(bert, "shard.bin")


@pytest.mark.parametrize("path", ["../outside.safetensors", "/outside.safetensors", "a/../../x.safetensors"])
def test_an_index_may_not_lead_out_of_its_folder(bert, path):
    weights = load_file(bert / "model.safetensors")
    (bert / "model.safetensors").rename(bert / "innocent.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, path)}
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    assert refusal(UnsafeModelError, bert) == (
        f"'{bert}' refers to weights outside its own folder: '{path}'. Do not load this checkpoint."
    )


def test_the_config_may_not_name_a_pickle(bert):
    shutil.copy(bert / "model.safetensors", bert / "innocent.safetensors")
    as_pickle(bert, "adapter_model.bin")
    configure(bert, transformers_weights="adapter_model.bin")
    assert refusal(UnsafeModelError, bert) == pickle_message(bert, "adapter_model.bin")


def test_sharded_safetensors_load(bert):
    visualizer = ModelVisualizer(bert)
    expected = visualizer.predict("A wonderful film.").logits
    (bert / "model.safetensors").unlink()
    visualizer.model.save_pretrained(bert, max_shard_size="20KB")
    assert (bert / "model.safetensors.index.json").is_file()
    assert (ModelVisualizer(bert).predict("A wonderful film.").logits == expected).all()


# --- folders that are incomplete, or of another kind ---


def test_an_adapter_is_refused_rather_than_ignored(bert):
    (bert / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/repo", "peft_type": "LORA"}')
    assert refusal(LoadingError, bert) == (
        f"'{bert}' contains an adapter, which would be ignored. "
        "Merge it into its base model and save that, or pass the model with its adapter as model=…."
    )


def test_an_unknown_quantization_is_refused_rather_than_read_as_plain_numbers(bert):
    configure(bert, quantization_config={"quant_method": "evil"})
    assert refusal(LoadingError, bert) == (
        f"The weights of '{bert}' are quantized with 'evil', which transformers does not support. "
        "Load an unquantized version of the model."
    )


def test_names_and_paths_of_no_model(tmp_path, bert):
    for name in (str(tmp_path / "none"), "./none", "../none", "a/b/c"):
        assert refusal(LoadingError, name) == f"The folder '{name}' does not exist. {SEE_PATH}"
    missing = str(Path.home() / "no such folder")
    assert refusal(LoadingError, "~/no such folder") == f"The folder '{missing}' does not exist. {SEE_PATH}"
    assert refusal(LoadingError, "") == (
        "The model name is empty. Pass a model name, a folder or a loaded model."
    )
    file = bert / "model.safetensors"
    assert refusal(LoadingError, file) == (
        f"'{file}' is a file, not a model folder. Pass the folder that contains it."
    )
    assert refusal(LoadingError, "someone/no-such-model") == (
        "'someone/no-such-model' is neither a folder nor in the cache, and the Hugging Face Hub cannot be "
        "reached. Check the name and the network connection, or pass a folder."
    )


@pytest.mark.parametrize("allow_pickle", [False, True])
def test_a_folder_without_weights(bert, allow_pickle):
    (bert / "model.safetensors").unlink()
    assert refusal(LoadingError, bert, allow_pickle=allow_pickle) == (
        f"'{bert}' contains no weights. Pass a folder that contains config.json and model.safetensors."
    )


@pytest.mark.parametrize(
    ("name", "visualizer"), [("bert", ModelVisualizer), ("gpt2", GenerativeModelVisualizer)]
)
def test_a_folder_without_a_tokenizer_is_not_given_an_empty_one(saved, tmp_path, name, visualizer):
    folder = Path(shutil.copytree(saved / name, tmp_path / "copy"))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert refusal(LoadingError, folder, visualizer=visualizer) == (
        f"'{folder}' contains no tokenizer. "
        "Pass tokenizer=…: a tokenizer, or the name of the model it was trained from."
    )
    assert visualizer(folder, tokenizer=saved / name).tokenizer("The film")["input_ids"]


# --- damaged and incomplete downloads ---

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 440449768\n"


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_git_lfs_pointer_is_named(bert, file):
    (bert / file).write_text(LFS_POINTER)
    assert refusal(LoadingError, bert) == (
        f"'{bert}' contains a git-lfs pointer in place of {file}: its content was never downloaded. "
        "Run git lfs pull in that folder, or download the model again."
    )


@pytest.mark.parametrize("file", ["pytorch_model.bin", "tf_model.h5", "model.onnx", "a.gguf", "figure.png"])
def test_a_git_lfs_pointer_in_place_of_a_file_that_is_not_read_does_no_harm(bert, file):
    (bert / file).write_text(LFS_POINTER)
    assert ModelVisualizer(bert).predict("A film").labels


def test_the_pointer_of_another_gguf_file_does_no_harm(tmp_path):
    (tmp_path / "a.gguf").write_text(LFS_POINTER)
    (tmp_path / "b.gguf").write_bytes(b"GGUF")
    file = str(tmp_path / "a.gguf")
    assert "in place of a.gguf" in refusal(LoadingError, file, visualizer=GenerativeModelVisualizer)
    file = str(tmp_path / "b.gguf")
    message = refusal(LoadingError, file, visualizer=GenerativeModelVisualizer)
    assert message.startswith(f"Cannot load '{file}': ")
    assert "Download it again" in message


@pytest.mark.parametrize("kept", [[], [1], [0, 1]], ids=["no shard", "one shard", "all but the last"])
def test_a_missing_shard_is_named(saved, tmp_path, kept):
    folder = tmp_path / "shards"
    tiny_models.build("llama").save_pretrained(folder, max_shard_size="12KB")
    tiny_models.tokenizer_of("llama").save_pretrained(folder)
    shards = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(shards) > 2
    lost = [name for index, name in enumerate(shards) if index not in kept]
    for name in lost:
        (folder / name).unlink()
    message = refusal(LoadingError, folder, visualizer=GenerativeModelVisualizer)
    assert f"lacks {lost[0]}" in message
    assert f"one of the {len(shards)} files" in message
    assert "pickle" not in message


def test_a_missing_shard_of_a_pickle_is_named(bert):
    (bert / "model.safetensors").unlink()
    index = {"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}
    (bert / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert "lacks pytorch_model-1.bin and 1 more" in refusal(LoadingError, bert, allow_pickle=True)


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"\xff" * 100, "half"], ids=["empty", "short", "noise", "half"]
)
def test_damaged_weights_are_named(bert, content):
    whole = (bert / "model.safetensors").read_bytes()
    (bert / "model.safetensors").write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    message = refusal(LoadingError, bert)
    assert message.startswith(f"model.safetensors of '{bert}' is damaged or cut short: ")
    assert message.endswith("Download the model again.")


@pytest.mark.parametrize(
    ("name", "visualizer", "layer"),
    [
        ("bert", ModelVisualizer, "bert.encoder.layer.1."),
        ("llama", GenerativeModelVisualizer, "model.layers.1."),
    ],
)
def test_a_layer_without_weights_is_not_filled_with_random_ones(saved, tmp_path, name, visualizer, layer):
    folder = shutil.copytree(saved / name, tmp_path / name)
    weights = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith(layer)}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    message = refusal(LoadingError, folder, visualizer=visualizer)
    assert message.startswith(f"'{folder}' lacks weights of its layers: {layer}")


def test_embeddings_without_weights_are_not_filled_with_random_ones(saved, tmp_path):
    folder = shutil.copytree(saved / "llama", tmp_path / "llama")
    weights = load_file(folder / "model.safetensors")
    del weights["model.embed_tokens.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    message = refusal(LoadingError, folder, visualizer=GenerativeModelVisualizer)
    assert message.startswith(f"'{folder}' lacks its embeddings: model.embed_tokens.weight.")


def test_a_missing_head_is_said_and_not_refused(saved, tmp_path):
    folder = shutil.copytree(saved / "bert", tmp_path / "bert")
    weights = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith("classifier.")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    (caution,) = ModelVisualizer(folder).runner.model.loaded.provenance.cautions
    assert "untrained head" in caution


@pytest.mark.parametrize(
    "change",
    [
        {"num_hidden_layers": 10**8},
        {"num_labels": 10**7},
        {"text_config": {"num_hidden_layers": 10**8}},
        {"encoder_layers": 10**9},
    ],
)
def test_a_config_of_impossible_size_is_refused_before_anything_is_built(bert, change, monkeypatch):
    configure(bert, **change)
    monkeypatch.setattr(
        transformers.AutoConfig, "from_pretrained", lambda *_, **__: pytest.fail("it was read")
    )
    message = refusal(LoadingError, bert)
    assert "are accepted. Fix its config.json, or download the model again." in message


def test_gguf_files_are_recognized(tmp_path, saved):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.Q4_K_M.GGUF").write_bytes(b"no model")
    shutil.copy(saved / "llama" / "config.json", folder)
    assert refusal(LoadingError, folder, visualizer=GenerativeModelVisualizer) == (
        f"'{folder}' contains GGUF files, which are passed by their own name. "
        f"Pass '{folder / 'model.Q4_K_M.GGUF'}'."
    )
    file = str(folder / "model.Q4_K_M.GGUF")
    assert detect_task(file, LoadingOptions()) == "causal-lm"
    assert refusal(LoadingError, file, visualizer=GenerativeModelVisualizer) == (
        f"'{file}' is not a GGUF file: it starts with b'no m', not b'GGUF'. "
        "Download it again, or pass the folder of a model that transformers saved."
    )


def test_an_index_that_points_outside_its_folder_is_no_matter_of_pickles(bert):
    (bert / "model.safetensors").rename(bert / "other.safetensors")
    (bert / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))
    assert refusal(UnsafeModelError, bert) == (
        f"'{bert}' refers to weights outside its own folder: '../../etc/passwd'. Do not load this checkpoint."
    )


@pytest.mark.parametrize("options", [{}, {"task": "sentence-similarity"}, {"pooling": "mean"}])
@pytest.mark.parametrize("name", ["/no/such/folder", "./no-such-folder"])
def test_a_missing_folder_is_named_whatever_kind_is_looked_for(name, options):
    with pytest.raises(LoadingError) as refused:
        visualizer(name, **options)
    assert str(refused.value) == f"The folder '{name}' does not exist. {SEE_PATH}"
