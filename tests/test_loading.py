"""Hostile, broken and odd checkpoints: refused with an error of their own, or loaded right."""

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import tiny_models
import tiny_tokenizers
import torch
import transformers
from safetensors.torch import load_file

from model_understanding import (
    GenerativeModelVisualizer,
    InputError,
    LoadingError,
    MissingExtraError,
    ModelVisualizer,
    UnsafeModelError,
)
from model_understanding.loading import LoadingOptions, detect_task

ATTENTION = "eager, flash_attention_2, flash_attention_3, flash_attention_4, flex_attention, sdpa"
CHECK = "Check the name or folder, and that it holds config.json, weights and a tokenizer."
SEE_PATH = "Check the path, or pass the name of a model on the hub."
WRONG_KIND = "Use ModelVisualizer for sequence classifiers, GenerativeModelVisualizer for language models."


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT classifier, a GPT-2 and a Llama language model, as save_pretrained leaves them."""
    root = tmp_path_factory.mktemp("saved")
    for name in ("bert", "gpt2", "llama"):
        tiny_models.build(name).save_pretrained(root / name)
        tiny_models.tokenizer_of(name).save_pretrained(root / name)
    return root


@pytest.fixture
def bert(saved: Path, tmp_path: Path) -> Path:
    """A copy of the classifier to break."""
    return Path(shutil.copytree(saved / "bert", tmp_path / "bert"))


def configure(folder: Path, file: str = "config.json", **changes: Any) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(kind: type[Exception], *arguments: Any, visualizer: Any = ModelVisualizer, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        visualizer(*arguments, **options)
    assert type(caught.value) is kind
    return str(caught.value)


class Evil:
    """Makes a file when it is unpickled."""

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
        f"The configuration of '{bert}' asks for the kernel 'evil/repo', which would be downloaded and run. "
        f"Allowed: {ATTENTION}. Remove '{key}' from its config.json if you trust the weights."
    )


def test_a_foreign_experts_kernel_is_refused(bert):
    configure(bert, _experts_implementation="evil/repo")
    assert refusal(UnsafeModelError, bert) == (
        f"The configuration of '{bert}' asks for the kernel 'evil/repo', which would be downloaded and run. "
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
        f"'{folder}' holds its weights as a pickle ({file}), which can run code when it is read. "
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
    assert message == f"The pickle of '{bert}' holds more than weights. Do not load it."
    assert not sentinel.exists()


def test_an_index_may_not_lead_to_a_pickle_beside_innocent_safetensors(bert):
    shutil.copy(bert / "model.safetensors", bert / "innocent.safetensors")
    weights = as_pickle(bert, "shard.bin")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "shard.bin")}
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    assert refusal(UnsafeModelError, bert) == pickle_message(bert, "shard.bin")


@pytest.mark.parametrize("place", ["../outside.safetensors", "/outside.safetensors", "a/../../x.safetensors"])
def test_an_index_may_not_lead_out_of_its_folder(bert, place):
    weights = load_file(bert / "model.safetensors")
    (bert / "model.safetensors").rename(bert / "innocent.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, place)}
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    assert refusal(UnsafeModelError, bert) == (
        f"'{bert}' names weights outside its own folder: '{place}'. Do not load it."
    )


def test_the_configuration_may_not_name_a_pickle(bert):
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


# --- code ---

LOADS = """
import sys
from model_understanding import GenerativeModelVisualizer, ModelVisualizer, UnsafeModelError
for visualizer in (ModelVisualizer, GenerativeModelVisualizer):
    try:
        visualizer(sys.argv[1])
    except UnsafeModelError as error:
        print(error)
"""


def test_remote_code_is_refused_whatever_stdin_says(bert, tmp_path):
    sentinel = tmp_path / "sentinel"
    for file in ("configuration_evil.py", "tokenization_evil.py", "modeling_evil.py"):
        (bert / file).write_text(f"import os\nos.mkdir({str(sentinel)!r})\n")
    automatic = {
        "AutoConfig": "configuration_evil.C",
        "AutoModelForSequenceClassification": "modeling_evil.M",
    }
    configure(bert, model_type="evil", auto_map=automatic)
    done = subprocess.run(
        [sys.executable, "-c", LOADS, str(bert)],
        input="y\n" * 20,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    line = (
        f"'{bert}' needs code of its own to be run. "
        "Read that code; if you trust it, pass trust_remote_code=True with a revision."
    )
    assert done.stdout.splitlines() == [line, line]
    assert not sentinel.exists()


def test_a_tokenizers_code_does_not_run(saved, tmp_path, monkeypatch):
    sentinel = tmp_path / "sentinel"
    folder = Path(shutil.copytree(saved / "bert", tmp_path / "tokenizer"))
    (folder / "tokenization_evil.py").write_text(f"import os\nos.mkdir({str(sentinel)!r})\n")
    named = {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["tokenization_evil.Evil", None]}}
    configure(folder, "tokenizer_config.json", **named)
    (folder / "config.json").unlink()
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    assert refusal(UnsafeModelError, saved / "bert", tokenizer=folder) == (
        f"'{folder}' needs code of its own to be run. "
        "Read that code; if you trust it, pass trust_remote_code=True with a revision."
    )
    assert not sentinel.exists()


def test_an_adapter_is_refused_rather_than_left_out(bert):
    (bert / "adapter_config.json").write_text('{"base_model_name_or_path": "evil/repo", "peft_type": "LORA"}')
    assert refusal(LoadingError, bert) == (
        f"'{bert}' holds an adapter, which would not take part. "
        "Merge it into its base model and save that, or pass the model with its adapter as model=…."
    )


def test_an_unknown_quantization_is_refused_rather_than_read_as_plain_numbers(bert):
    configure(bert, quantization_config={"quant_method": "evil"})
    assert refusal(LoadingError, bert) == (
        f"The weights of '{bert}' are quantized by 'evil', which transformers does not know. "
        "Load a version of the model that is not quantized."
    )


# --- folders that are not whole ---


def test_names_and_folders_that_lead_nowhere(tmp_path, bert):
    for name in (str(tmp_path / "none"), "./none", "../none", "a/b/c"):
        assert refusal(LoadingError, name) == f"There is no folder '{name}'. {SEE_PATH}"
    missing = str(Path.home() / "no such folder")
    assert refusal(LoadingError, "~/no such folder") == f"There is no folder '{missing}'. {SEE_PATH}"
    assert refusal(LoadingError, "") == (
        "The model's name is empty. Pass a name, a folder or a loaded model."
    )
    file = bert / "model.safetensors"
    assert refusal(LoadingError, file) == (
        f"'{file}' is a file, not a model's folder. Pass the folder it lies in."
    )
    assert refusal(LoadingError, "someone/no-such-model") == (
        "'someone/no-such-model' is neither a folder nor in the cache, and the hub cannot be reached. "
        "Check the name and the network, or pass a folder."
    )


def test_a_name_the_hub_does_not_know(monkeypatch):
    def unknown(*_: Any, **__: Any) -> None:
        raise OSError(
            "x/y is not a local folder and is not a valid model identifier listed on "
            "'https://hub.example/models'\nIf this is a private repository, …"
        )

    monkeypatch.setattr(transformers.PretrainedConfig, "get_config_dict", unknown)
    assert refusal(LoadingError, "x/y") == (
        "There is no folder 'x/y', and no such model on the hub. "
        "Check the name; for a private model pass token=…."
    )


def test_an_empty_folder(tmp_path):
    assert refusal(LoadingError, tmp_path).startswith(f"Cannot load '{tmp_path}': ")
    assert refusal(LoadingError, tmp_path).endswith(CHECK)


def test_a_broken_configuration(bert):
    (bert / "config.json").write_text('{"model_type":')
    assert refusal(LoadingError, bert) == (
        f"Cannot load '{bert}': It looks like the config file at '{bert}/config.json' "
        f"is not a valid JSON file. {CHECK}"
    )


@pytest.mark.parametrize("allow_pickle", [False, True])
def test_a_folder_without_weights(bert, allow_pickle):
    (bert / "model.safetensors").unlink()
    assert refusal(LoadingError, bert, allow_pickle=allow_pickle) == (
        f"'{bert}' holds no weights. Pass a folder with model.safetensors beside config.json."
    )


def test_broken_weights(bert):
    (bert / "model.safetensors").write_bytes(b"not safetensors")
    message = refusal(LoadingError, bert)
    assert message.startswith(f"Cannot load '{bert}': ")
    assert message.endswith(CHECK)


@pytest.mark.parametrize(
    ("name", "visualizer"), [("bert", ModelVisualizer), ("gpt2", GenerativeModelVisualizer)]
)
def test_a_folder_without_a_tokenizer_is_not_given_an_empty_one(saved, tmp_path, name, visualizer):
    folder = Path(shutil.copytree(saved / name, tmp_path / "copy"))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert refusal(LoadingError, folder, visualizer=visualizer) == (
        f"'{folder}' holds no tokenizer. "
        "Pass tokenizer=…: a tokenizer, or the name of the model it was trained from."
    )
    assert visualizer(folder, tokenizer=saved / name).tokenizer("The film")["input_ids"]


def test_weights_of_other_shapes_than_configured(bert):
    configure(bert, num_labels=5, id2label={str(i): str(i) for i in range(5)})
    assert refusal(LoadingError, bert) == (
        f"The weights of '{bert}' have other shapes than its config.json says. "
        "Load it as the kind of model it was saved as, or mend its config.json."
    )


def test_gguf_files(tmp_path):
    path = tmp_path / "none.gguf"
    assert refusal(LoadingError, path, visualizer=GenerativeModelVisualizer) == (
        f"There is no file {path}. Check the path."
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
        f"Reading {path} needs the package {package}, which is not installed. "
        'Run: pip install "model-understanding[gguf]"'
    )


def test_a_gguf_file_loads(tmp_path):
    from demo_models.tiny_language_model import write_tiny_gguf

    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    visualizer = GenerativeModelVisualizer(path)
    assert visualizer.compute_saliency("abab").scores.any()
    assert visualizer.runner.model.loaded.provenance.model == str(path)


# --- heads, number types, devices, provenance ---


def test_an_untrained_head_is_stamped_on_everything(saved, tmp_path):
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


def test_number_types(saved, tmp_path):
    half = tiny_models.fresh("bert").half()
    half.save_pretrained(tmp_path)
    tiny_tokenizers.wordpiece().save_pretrained(tmp_path)
    loaded = {
        wanted: ModelVisualizer(tmp_path, device="cpu", dtype=wanted)
        for wanted in (None, "auto", "bfloat16", torch.float16, "torch.float64")
    }
    found = [visualizer.model.dtype for visualizer in loaded.values()]
    assert found == [torch.float32, torch.float16, torch.bfloat16, torch.float16, torch.float64]
    assert loaded[None].runner.model.loaded.provenance.dtype == "float32"
    assert loaded["auto"].runner.model.loaded.provenance.dtype == "float16"


@pytest.mark.parametrize("wanted", ["float31", "nn", "int8", 3])
def test_unknown_number_types(saved, wanted):
    assert refusal(InputError, saved / "bert", dtype=wanted) == (
        f"There is no number type '{wanted}' for weights. Use float32, bfloat16, float16 or auto."
    )


@pytest.mark.parametrize("wanted", ["nonsense", "cuda:99", "meta"])
def test_unknown_devices(saved, wanted, monkeypatch):
    monkeypatch.setattr("model_understanding.loading.options._best_device", lambda: "cpu")
    assert refusal(InputError, saved / "bert", device=wanted) == (
        f"There is no device '{wanted}' here. Use cpu, or leave it out."
    )


def test_provenance(saved):
    provenance = ModelVisualizer(saved / "bert", device="cpu", revision="v1").runner.model.loaded.provenance
    assert provenance.model == str(saved / "bert")
    assert (provenance.task, provenance.architecture) == (
        "sequence-classification",
        "BertForSequenceClassification",
    )
    assert (provenance.revision, provenance.device, provenance.dtype) == ("v1", "cpu", "float32")
    assert set(provenance.versions) == {"model-understanding", "python", "torch", "transformers", "numpy"}


# --- loaded models ---


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
        f"BertForSequenceClassification is not a model for causal-lm. {WRONG_KIND}"
    )


def test_a_tokenizer_by_folder(saved):
    visualizer = ModelVisualizer(model=tiny_models.build("bert"), tokenizer=str(saved / "bert"))
    assert (
        visualizer.tokenizer("The film")["input_ids"] == tiny_tokenizers.wordpiece()("The film")["input_ids"]
    )


def test_what_is_no_model_or_no_tokenizer():
    either = (
        "Give either a model's name or a loaded model. "
        "For example ModelVisualizer('bert-base-uncased') or (model=…, tokenizer=…)."
    )
    model = tiny_models.build("bert")
    assert refusal(InputError) == either
    assert refusal(InputError, "x", model=model) == either
    for thing, kind in ((0, "int"), ([], "list"), (object(), "object")):
        assert refusal(InputError, thing) == (
            f"Cannot explain an object of type {kind}. "
            "Pass a name, a folder, a transformers model with its tokenizer, or a pipeline."
        )
    assert refusal(InputError, model=model) == (
        "A loaded model needs its tokenizer. Pass tokenizer=…, an object or a name."
    )
    assert refusal(InputError, model=model, tokenizer=3) == (
        "int is not a transformers tokenizer. "
        "Pass AutoTokenizer.from_pretrained(…), or the name to load it from."
    )
    assert refusal(InputError, model=torch.nn.Linear(2, 2), tokenizer=tiny_tokenizers.wordpiece()) == (
        "Linear is not a transformers model: it has no config. "
        "Pass a model made by AutoModelForSequenceClassification or AutoModelForCausalLM."
    )


def test_models_with_another_head_or_none():
    bert, tokenizer = tiny_models.build("bert"), tiny_tokenizers.wordpiece()
    t5 = transformers.T5Config(vocab_size=50, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    wrong = [
        (ModelVisualizer, bert.bert, "sequence-classification"),
        (ModelVisualizer, tiny_models.build("gpt2"), "sequence-classification"),
        (ModelVisualizer, transformers.BertForQuestionAnswering(bert.config), "sequence-classification"),
        (GenerativeModelVisualizer, bert, "causal-lm"),
        (GenerativeModelVisualizer, transformers.BertForMaskedLM(bert.config), "causal-lm"),
        (GenerativeModelVisualizer, transformers.T5ForConditionalGeneration(t5), "causal-lm"),
    ]
    for visualizer, model, task in wrong:
        assert refusal(InputError, visualizer=visualizer, model=model, tokenizer=tokenizer) == (
            f"{type(model).__name__} is not a model for {task}. {WRONG_KIND}"
        )


def test_a_model_of_the_users_own_class_is_taken():
    class Mine(transformers.BertForSequenceClassification):
        pass

    model = Mine(tiny_models.build("bert").config).eval()
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_tokenizers.wordpiece())
    assert visualizer.runner.model.loaded.provenance.architecture == "Mine"


def test_a_compiled_model_is_refused():
    tokenizer = tiny_tokenizers.wordpiece()
    in_place = tiny_models.fresh("bert")
    in_place.compile(backend="eager")
    for model in (torch.compile(tiny_models.fresh("bert"), backend="eager"), in_place):
        assert refusal(LoadingError, model=model, tokenizer=tokenizer) == (
            "A compiled model hides what it computes. Pass the model as it was before torch.compile."
        )


def test_a_loaded_model_is_neither_moved_nor_converted():
    model, tokenizer = tiny_models.build("bert"), tiny_tokenizers.wordpiece()
    same = ModelVisualizer(model=model, tokenizer=tokenizer, device="cpu", dtype="float32")
    assert same.model is model
    assert refusal(InputError, model=model, tokenizer=tokenizer, dtype="float16") == (
        "The model's weights are torch.float32, not torch.float16. "
        "Convert it before: model.to(torch.float16)."
    )
    assert model.dtype == torch.float32


# --- tasks ---


def test_the_task_of_a_checkpoint(saved, bert):
    options = LoadingOptions()
    assert detect_task(str(saved / "bert"), options) == "sequence-classification"
    assert detect_task(str(saved / "gpt2"), options) == "causal-lm"
    assert detect_task("demo:sentiment", options) == "sequence-classification"
    assert detect_task("demo:smollm2", options) == "causal-lm"
    assert detect_task("some/file.gguf", options) == "causal-lm"
    for named, said in ((["BertForMaskedLM"], "BertForMaskedLM"), (None, "no architecture")):
        configure(bert, architectures=named)
        with pytest.raises(InputError) as caught:
            detect_task(str(bert), options)
        assert str(caught.value) == (
            f"'{bert}' names {said}: neither a sequence classifier nor a causal language model. "
            "Pass --task sequence-classification or --task causal-lm."
        )


def test_a_demo_model_of_another_task():
    assert refusal(InputError, "demo:sentiment", visualizer=GenerativeModelVisualizer) == (
        "demo:sentiment is a model for sequence-classification, not for causal-lm. "
        "Use GenerativeModelVisualizer for language models and ModelVisualizer for classifiers."
    )
    assert refusal(InputError, "demo:none") == (
        "There is no demo model named 'demo:none'. The demo models are demo:sentiment, demo:smollm2."
    )
