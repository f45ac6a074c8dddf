"""Unsafe, incomplete and unreadable checkpoints are refused before anything of them is loaded."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from model_understanding import GenerativeModelVisualizer, LoadingError, ModelVisualizer, UnsafeModelError
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
