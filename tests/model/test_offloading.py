"""Offloaded or quantized weights: gradient methods are refused, perturbation methods work."""

import copy
import warnings
from typing import Any

import numpy as np
import oracles
import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model
from tiny_models import PROBE, build, fresh, tokenizer_of, visualizer_of

from model_understanding import InputError, ModelVisualizer, UnsupportedModelError
from model_understanding.model.causality import is_causal

GRADIENT_METHODS = ("saliency", "input_x_gradient", "integrated_gradients", "smooth_grad", "gim", "attn_lrp")
HINT = (
    "Load the whole model on one device, if need be in a smaller dtype, or use a perturbation method, such "
    "as leave_one_out."
)
TARGETS = {"bert": {"target": 1}, "llama": {"target": 9}}


def in_memory(model, folder):
    return cpu_offload(model, execution_device=torch.device("cpu"))


def on_disk(model, folder):
    disk_offload(model, folder, execution_device=torch.device("cpu"))
    return model


def partly_on_disk(model, folder):
    last = "classifier" if hasattr(model, "classifier") else "lm_head"
    main: Any = "cpu"  # a word: accelerate compares it with the words of the map
    parts: Any = {name: "cpu" for name, _ in model.named_children()} | {last: "disk"}
    return dispatch_model(model, parts, main_device=main, offload_dir=folder)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("place", [in_memory, on_disk, partly_on_disk])
@pytest.mark.parametrize("name", TARGETS)
def test_offloaded_weights_are_for_perturbation_only(name, place, tmp_path):
    expected = visualizer_of(name).compute_saliency(PROBE, method="occlusion", **TARGETS[name])
    model = place(fresh(name), str(tmp_path))
    visualizer = visualizer_of(name, model=model)
    for method in GRADIENT_METHODS:
        with pytest.raises(UnsupportedModelError, match="are offloaded, the first is '") as caught:
            visualizer.compute_saliency(PROBE, method=method, **TARGETS[name])
        assert caught.value.hint == HINT
    found = visualizer.compute_saliency(PROBE, method="occlusion", **TARGETS[name])
    assert oracles.close(found.scores, expected.scores, 1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_refusal_says_what_was_found(tmp_path):
    visualizer = visualizer_of("bert", model=partly_on_disk(fresh("bert"), str(tmp_path)))
    with pytest.raises(UnsupportedModelError) as caught:
        visualizer.compute_saliency(PROBE, method="saliency")
    assert str(caught.value) == (
        "2 weights of BertForSequenceClassification are offloaded, the first is 'classifier.weight' "
        "(device_map: cpu, disk): gradient methods need all weights on accelerators, or the whole model on "
        f"one device. {HINT}"
    )


def test_a_device_map_of_one_device_is_a_model_on_it(tmp_path):
    build("bert").save_pretrained(tmp_path)
    tokenizer_of("bert").save_pretrained(tmp_path)
    spread = ModelVisualizer(str(tmp_path), device_map={"": "cpu"})
    expected = visualizer_of("bert").compute_saliency(PROBE, target=1, method="saliency")
    assert oracles.close(spread.compute_saliency(PROBE, target=1, method="saliency").scores, expected.scores)


def test_device_map_is_checked(tmp_path):
    with pytest.raises(InputError) as caught:
        ModelVisualizer("demo:sentiment", device="cpu", device_map="auto")
    assert str(caught.value) == (
        "device and device_map cannot be combined. Got device='cpu' and device_map='auto'. "
        "Leave device out: device_map already places the weights."
    )
    with pytest.raises(InputError) as caught:
        ModelVisualizer(model=build("bert"), tokenizer=tokenizer_of("bert"), device_map="auto")
    assert str(caught.value) == (
        "device_map applies only to models loaded by name; this model is already loaded. "
        "Load it with from_pretrained(…, device_map=…), and pass it without device_map."
    )


def quantized(name, layers=None):
    """Return a model whose linear layers multiply 8-bit integers; torch has no derivative of that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(
            copy.deepcopy(fresh(name)), layers or {torch.nn.Linear}, dtype=torch.qint8
        )


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", TARGETS)
def test_quantized_layers_without_a_derivative_are_refused(name):
    model = quantized(name)
    visualizer = visualizer_of(name, model=model)
    first = {"bert": "bert.encoder.layer.0.attention.self.query", "llama": "model.layers.0.self_attn.q_proj"}[
        name
    ]
    for method in GRADIENT_METHODS:
        with pytest.raises(UnsupportedModelError) as caught:
            visualizer.compute_saliency(PROBE, method=method, **TARGETS[name])
        assert str(caught.value) == (
            f"No gradient passes through layer {first!r} of {type(model).__name__} "
            "(torch.ao.nn.quantized.dynamic.modules.linear.Linear). "
            "Load the model unquantized, or use a perturbation method, such as leave_one_out."
        )
    found = visualizer.compute_saliency(PROBE, method="occlusion", **TARGETS[name])
    plain = visualizer_of(name).compute_saliency(PROBE, method="occlusion", **TARGETS[name])
    assert np.corrcoef(found.scores[0], plain.scores[0])[0, 1] > 0.9


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_one_quantized_layer_beside_the_residual_stream_is_found():
    # The gradient would bypass the layer, and be finite and wrong.
    model = quantized(
        "bert",
        {"bert.encoder.layer.1.intermediate.dense": torch.ao.quantization.qconfig.default_dynamic_qconfig},
    )
    with pytest.raises(
        UnsupportedModelError, match=r"No gradient passes through layer 'bert.encoder.layer.1.int"
    ):
        visualizer_of("bert", model=model).compute_saliency(PROBE, method="saliency")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_quantized_language_model_is_still_causal():
    for name, causal in (("llama", True), ("bert-as-language-model", False)):
        assert is_causal(visualizer_of(name, model=quantized(name)).runner.model) == causal
