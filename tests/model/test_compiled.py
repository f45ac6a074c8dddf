"""Compiled models, wherever the compiled code is, have the numbers of the same model uncompiled."""

import functools
import types

import numpy as np
import pytest
import tiny_models
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from torch import nn
from torch._dynamo import eval_frame

from model_understanding import GenerativeModelVisualizer, InputError, ModelVisualizer
from model_understanding.model.compiled import has_compiled_code

TEXT = "The film was wonderful, but a dull plot is bad."


def fails_to_compile(graph, _):
    raise AssertionError("compiled code ran")


compiled = functools.partial(torch.compile, backend=fails_to_compile)


def replaced_forward(model):
    model.forward = compiled(model.forward)
    return model


def in_place(model):
    model.compile(backend=fails_to_compile)
    return model


def one_layer(model):
    layers = next(part for part in model.modules() if isinstance(part, nn.ModuleList))
    layers[1] = compiled(layers[1])
    return model


def each_layer_in_place(model):
    for layer in next(part for part in model.modules() if isinstance(part, nn.ModuleList)):
        layer.compile(backend=fails_to_compile)
    return model


def inner_model(model):
    name = model.base_model_prefix
    setattr(model, name, compiled(getattr(model, name)))
    return model


def activation(model):
    for part in model.modules():
        if type(part).__name__.endswith(("GELUActivation", "SiLUActivation")):
            part.forward = compiled(part.forward)
    return model


def partial_of_compiled(model):
    model.forward = functools.partial(compiled(model.forward), output_hidden_states=False)
    return model


def closure_over_compiled(model):
    call = compiled(model.forward)

    def forward(self, *arguments, **keywords):
        return call(*arguments, **keywords)

    model.forward = types.MethodType(forward, model)
    return model


def compiled_then_hooked(model):
    return add_hook_to_module(replaced_forward(model), ModelHook())


KINDS = [
    *(compiled, replaced_forward, in_place, one_layer, each_layer_in_place, inner_model, activation),
    *(partial_of_compiled, closure_over_compiled, compiled_then_hooked),
]


def numbers_of(visualizer, target):
    attention = visualizer.compute_attention(TEXT, layer="all", head="all").weights
    methods = ("gim", "saliency", "leave_one_out")
    return [
        attention,
        *(visualizer.compute_saliency(TEXT, method=method, target=target).scores for method in methods),
        visualizer.compute_saliency(TEXT, method="saliency", target=target, layer=1).scores,
    ]


@functools.cache
def expected(name):
    return numbers_of(tiny_models.visualizer_of(name), 0 if name == "bert" else 17)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: getattr(kind, "__name__", "whole"))
def test_a_compiled_classifier_has_the_numbers_of_the_uncompiled_one(kind):
    model = kind(tiny_models.fresh("bert"))
    attributes = {name: dict(vars(part)) for name, part in model.named_modules()}
    visualizer = ModelVisualizer(model=model, tokenizer=tiny_models.tokenizer_of("bert"))
    for values, others in zip(numbers_of(visualizer, 0), expected("bert"), strict=True):
        np.testing.assert_allclose(values, others, rtol=1e-5, atol=1e-6)
    assert eval_frame._stance.stance == "default"
    assert attributes == {name: dict(vars(part)) for name, part in model.named_modules()}
    assert has_compiled_code(model)
    assert not has_compiled_code(tiny_models.build("bert"))


@pytest.mark.parametrize("kind", KINDS[1:7:2])
def test_a_compiled_language_model_has_the_numbers_of_the_uncompiled_one(kind):
    model, tokenizer = kind(tiny_models.fresh("llama")), tiny_models.tokenizer_of("llama")
    visualizer = GenerativeModelVisualizer(model=model, tokenizer=tokenizer)
    text = "Once upon a time"
    plain = tiny_models.visualizer_of("llama")
    written, same = (each.generate(text, max_new_tokens=3).tokens.ids for each in (visualizer, plain))
    np.testing.assert_array_equal(written, same)
    lens, other = (each.compute_logit_lens(text) for each in (visualizer, plain))
    np.testing.assert_allclose(lens.top_probabilities, other.top_probabilities, rtol=1e-5)


def test_a_model_that_calls_a_compiled_function_by_name():
    class Compiled(type(tiny_models.build("bert"))):
        forward = compiled(type(tiny_models.build("bert")).forward)

    class Helped(nn.Module):
        def forward(self, states):
            return helper(states)

    assert has_compiled_code(Compiled(tiny_models.build("bert").config))
    assert has_compiled_code(nn.Sequential(Helped()))


@compiled
def helper(states):
    return states + 1


def test_data_parallel_is_the_model_inside():
    model = tiny_models.build("bert")
    visualizer = ModelVisualizer(
        model=nn.DataParallel(compiled(model)), tokenizer=tiny_models.tokenizer_of("bert")
    )
    assert visualizer.model is model


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)
def test_a_traced_model_is_refused():
    model, tokenizer = tiny_models.fresh("bert", return_dict=False), tiny_models.tokenizer_of("bert")
    traced = torch.jit.trace(model, tokenizer(TEXT, return_tensors="pt")["input_ids"], check_trace=False)
    with pytest.raises(InputError, match=r"compiled by torch\.jit .* BlackBoxVisualizer"):
        ModelVisualizer(model=traced, tokenizer=tokenizer)
