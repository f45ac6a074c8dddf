"""Weights in other forms: adapters, quantized linear maps, and what is refused."""

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from changed_models import TEXT, changed, noise
from torch import nn

from model_understanding import InputError, ModelDiff, UnsupportedModelError
from model_understanding.errors import LoadingError, UnsafeModelError

peft = pytest.importorskip("peft")
# peft asks transformers by a former name.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
MAPS = {"llama": ["q_proj", "down_proj"], "gpt2": ["c_attn", "c_proj"], "bert": ["query", "dense"]}


def adapted(visualizer: Any, name: str, seed: int = 0, **options: Any) -> Any:
    """The model with an adapter that changes something."""
    defaults = {"r": 4, "target_modules": MAPS[name], "fan_in_fan_out": name == "gpt2"}
    config = peft.LoraConfig(**{**defaults, **options})
    model = peft.get_peft_model(copy.deepcopy(visualizer.model), config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "lora" in key or "modules_to_save" in key:
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    return model


def values(diff: ModelDiff) -> dict[str, float]:
    return {change.name: change.value for change in diff.modules}


def adds_up(diff: ModelDiff) -> bool:
    found = [change.value for change in diff.modules]
    return abs(sum(found) - diff.difference) <= 1e-5 * sum(map(abs, found)) + 1e-6 and diff.difference != 0


@pytest.mark.parametrize("name", MAPS)
def test_an_adapter_is_the_model_it_is_merged_into(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    model = adapted(visualizer, name)
    apart = visualizer.compute_model_diff(model, TEXT)
    merged = visualizer.compute_model_diff(copy.deepcopy(model).merge_and_unload(), TEXT)
    assert adds_up(apart)
    assert values(apart) == pytest.approx(values(merged), abs=1e-5)
    np.testing.assert_allclose(apart.at_tokens, merged.at_tokens, atol=1e-5)
    kinds = {change.kind for change in apart.modules}
    assert kinds == {"linear"}
    assert all(name.rpartition(".")[2] in MAPS[visualizer_name(name)] for name in values(apart))


def visualizer_name(module: str) -> str:
    return "llama" if "self_attn" in module or "mlp.down" in module else "gpt2" if "h." in module else "bert"


@pytest.mark.parametrize("name", MAPS)
def test_two_adapters_of_other_ranks(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    first = type(visualizer)(model=adapted(visualizer, name), tokenizer=visualizer.tokenizer)
    diff = first.compute_model_diff(adapted(visualizer, name, seed=1, r=2), TEXT)
    assert adds_up(diff)
    assert not any("lora" in name for name in values(diff))


def test_a_head_that_is_trained_beside_an_adapter_keeps_its_parts() -> None:
    visualizer = tiny_models.visualizer_of("roberta")
    config = peft.LoraConfig(r=4, target_modules=["query"], task_type="SEQ_CLS")
    model = peft.get_peft_model(copy.deepcopy(visualizer.model), config)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "modules_to_save" in key:
                weight.add_(0.1 * torch.randn_like(weight))
    diff = visualizer.compute_model_diff(model, TEXT)
    assert adds_up(diff)
    assert values(diff).keys() == {"classifier.dense", "classifier.out_proj"}
    assert visualizer.compute_model_diff(model, TEXT, restore=9).restored.share == pytest.approx(1, abs=1e-3)


def test_an_adapter_s_folder(tmp_path: Path) -> None:
    visualizer = tiny_models.visualizer_of("llama")
    model = adapted(visualizer, "llama")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(tmp_path / "tuned")
    before = {name: weight.data_ptr() for name, weight in visualizer.model.named_parameters()}
    diff = visualizer.compute_model_diff(tmp_path / "tuned", TEXT)
    assert values(diff) == pytest.approx(values(visualizer.compute_model_diff(model, TEXT)), abs=1e-5)
    assert diff.other.model == "tuned"
    assert {name: weight.data_ptr() for name, weight in visualizer.model.named_parameters()} == before
    (tmp_path / "tuned" / "adapter_model.safetensors").unlink()
    with pytest.raises(UnsafeModelError, match="no weights in safetensors"):
        visualizer.compute_model_diff(str(tmp_path / "tuned"), TEXT)


def test_an_adapter_of_another_model(tmp_path: Path) -> None:
    model = adapted(tiny_models.visualizer_of("llama"), "llama")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(tmp_path)
    with pytest.raises(LoadingError, match="cannot be put on GPT2LMHeadModel"):
        tiny_models.visualizer_of("gpt2").compute_model_diff(str(tmp_path), TEXT)


class Rounded(nn.Module):
    """A linear map whose weights are whole numbers with one scale."""

    def __init__(self, linear: Any, has_derivative: bool) -> None:
        super().__init__()
        self.in_features, self.has_derivative = 1, has_derivative
        self.is_transposed = "Conv1D" in type(linear).__name__
        self.scale = float(linear.weight.detach().abs().max()) / 7
        self.register_buffer("weight", (linear.weight.detach() / self.scale).round().to(torch.int8))
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.get_buffer("weight").float() * self.scale
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.has_derivative):
            return nn.functional.linear(x, weight.T if self.is_transposed else weight, self.bias)


def rounded(visualizer: Any, name: str, has_derivative: bool = True) -> nn.Module:
    model = copy.deepcopy(visualizer.model)
    for key, module in list(model.named_modules()):
        parent, _, last = key.rpartition(".")
        if last in MAPS[name] and not any(module.children()):
            setattr(model.get_submodule(parent), last, Rounded(module, has_derivative))
    return model


@pytest.mark.parametrize("name", MAPS)
def test_weights_in_few_bits(name: str) -> None:
    """Run in place, with a derivative or without, they are booked as the same weights as floats are."""
    visualizer = tiny_models.visualizer_of(name)
    as_floats = copy.deepcopy(visualizer.model)
    with torch.no_grad():
        for key, module in as_floats.named_modules():
            if key.rpartition(".")[2] in MAPS[name] and not any(module.children()):
                scale = module.weight.abs().max() / 7
                module.weight.copy_((module.weight / scale).round() * scale)
    expected = visualizer.compute_model_diff(as_floats, TEXT)
    exact = visualizer.compute_model_diff(rounded(visualizer, name), TEXT)
    assert values(exact) == pytest.approx(values(expected), abs=1e-5)
    without = visualizer.compute_model_diff(rounded(visualizer, name, False), TEXT)
    assert adds_up(without)
    assert without.difference == pytest.approx(exact.difference, abs=1e-5)
    scale = max(map(abs, values(exact).values()))
    assert values(without) == pytest.approx(values(exact), abs=0.3 * scale)
    back = type(visualizer)(model=rounded(visualizer, name, False), tokenizer=visualizer.tokenizer)
    assert adds_up(back.compute_model_diff(visualizer, TEXT))
    with pytest.raises(UnsupportedModelError, match=r"neither model's .* has a derivative"):
        back.compute_model_diff(rounded(visualizer, name, False), TEXT)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["llama", "bert"])
def test_dynamically_quantized_by_torch(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    quantized = torch.ao.quantization.quantize_dynamic(copy.deepcopy(visualizer.model), {nn.Linear})
    assert adds_up(visualizer.compute_model_diff(quantized, TEXT))


@pytest.mark.parametrize("name", ["llama", "gpt2", "bert"])
def test_weights_rounded_to_16_bits(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    diff = visualizer.compute_model_diff(copy.deepcopy(visualizer.model).bfloat16().float(), TEXT)
    total = sum(abs(change.value) for change in diff.modules)
    assert sum(change.value for change in diff.modules) == pytest.approx(diff.difference, abs=1e-4 * total)
    with pytest.raises(InputError, match=r"different dtypes: torch.float32 and torch.bfloat16"):
        visualizer.compute_model_diff(copy.deepcopy(visualizer.model).bfloat16(), TEXT)


class Bent(nn.Module):
    """A module in the place of a linear map that is none."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.linear = linear.in_features, linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + x[..., :1].square()


def test_what_is_no_linear_map_is_refused_by_name() -> None:
    visualizer = tiny_models.visualizer_of("llama")
    model = changed(visualizer, noise(0.05)).model
    model.model.layers[1].mlp.up_proj = Bent(model.model.layers[1].mlp.up_proj)
    with pytest.raises(UnsupportedModelError, match=r"model.layers.1.mlp.up_proj is more than a linear map"):
        visualizer.compute_model_diff(model, TEXT)


def test_refusals() -> None:
    llama, gpt2 = tiny_models.visualizer_of("llama"), tiny_models.visualizer_of("gpt2")
    resized = copy.deepcopy(llama.model)
    resized.resize_token_embeddings(len(llama.tokenizer) + 8, mean_resizing=False)
    cases: list[tuple[Any, type[Exception], str]] = [
        (resized, InputError, r"model.embed_tokens.weight has the shape \(330, 32\) in one model and \(338"),
        (gpt2, InputError, "The models read this text as different tokens"),
        (gpt2.model, UnsupportedModelError, "cannot be compared exactly"),
        (tiny_models.visualizer_of("bert"), InputError, "different kinds: causal-lm and sequence-class"),
        (tiny_models.fresh("llama", "eager"), UnsupportedModelError, "one model calls scaled_dot_product"),
        (3, InputError, "Cannot compare with an object of type int"),
        ("./no-such-folder", LoadingError, "does not exist"),
    ]
    for other, error, message in cases:
        with pytest.raises(error, match=message):
            llama.compute_model_diff(other, TEXT)
    with pytest.raises(InputError, match="restore"):
        llama.compute_model_diff(changed(llama, noise(0.01)), TEXT, restore=0)


@pytest.mark.parametrize("name", tiny_models.each(["llama", "gpt2", "bert", "albert"]))
def test_models_of_other_depths_are_refused_in_plain_words(name: str) -> None:
    visualizer = tiny_models.visualizer_of(name)
    config = copy.deepcopy(visualizer.model.config)
    layers = config.num_hidden_layers
    config.num_hidden_layers = layers - 1
    if hasattr(config, "layer_types"):
        config.layer_types = config.layer_types[:-1]
    shallow = type(visualizer.model)(config).eval()
    with pytest.raises(InputError, match=rf"^The models have {layers} and {layers - 1} layers\.") as caught:
        visualizer.compute_model_diff(shallow, TEXT)
    assert caught.value.hint == "Save a report of each model with explain, and pass both to compare."


def test_soft_prompts_are_refused() -> None:
    llama = tiny_models.visualizer_of("llama")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    with pytest.raises(UnsupportedModelError, match="soft prompt"):
        llama.compute_model_diff(peft.get_peft_model(copy.deepcopy(llama.model), config), TEXT)
