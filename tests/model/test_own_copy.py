"""Our own copy of the user's module: the same weights in memory, kept up to date, and nothing else shared."""

import functools
import types

import pytest
import torch
from torch import nn

from model_understanding.model.guard import guarded
from model_understanding.model.own_copy import OwnCopy


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.dropout = nn.Linear(3, 3), nn.Dropout(0.5)
        self.run = self.inner

    def inner(self, states):
        return self.dropout(self.linear(states))

    def forward(self, states):
        return self.run(states)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Layer(), Layer()])
        self.tied = self.layers[0].linear

    def forward(self, states):
        for layer in self.layers:
            states = layer(states)
        return self.tied(states)


def wrapped_by_closure(model):
    inner = model.forward
    model.forward = lambda states: inner(states) * 2


def wrapped_by_default(model):
    def forward(states, inner=model.forward):
        return inner(states) * 2

    model.forward = forward


def wrapped_by_partial(model):
    def forward(inner, states):
        return inner(states) * 2

    model.forward = functools.partial(forward, model.forward)


def bound_to_the_model(model):
    model.forward = types.MethodType(lambda self, states: Model.forward(self, states) * 2, model)


def kept_in_a_list(model):
    model.order = [model.layers[1], model.layers[0]]

    def forward(self, states):
        for layer in self.order:
            states = layer(states)
        return states

    model.forward = types.MethodType(forward, model)


@pytest.mark.parametrize(
    "change",
    [wrapped_by_closure, wrapped_by_default, wrapped_by_partial, bound_to_the_model, kept_in_a_list],
)
def test_whatever_refers_to_a_module_refers_to_its_copy(change):
    model, states = Model(), torch.ones(1, 3)
    change(model)
    expected = model.eval()(states)
    model.train()
    copy, seen = OwnCopy(model).module, []
    copy.layers[0].linear.register_forward_hook(lambda *_: seen.append(True))
    assert torch.equal(copy(states), expected)
    assert seen
    assert not model.layers[0].linear._forward_hooks
    assert all(module.training for module in model.modules())


def test_weights_are_the_same_memory_without_gradients():
    model = Model()
    copy = OwnCopy(model).module
    for weight, own in zip(model.parameters(), copy.parameters(), strict=True):
        assert weight.data_ptr() == own.data_ptr()
        assert weight.requires_grad
        assert not own.requires_grad
    assert copy.tied is copy.layers[0].linear


def replace_a_layer(model):
    model.layers[1] = Layer().eval()


def replace_weights(model):
    model.double().float()
    model.load_state_dict({key: value + 1 for key, value in model.state_dict().items()})


def steer(model):
    model.layers[0].register_forward_hook(lambda module, arguments, output: output + 1)


@pytest.mark.parametrize("change", [replace_a_layer, replace_weights, steer, wrapped_by_closure])
def test_changes_of_the_user_are_followed(change):
    model, states = Model().eval(), torch.ones(1, 3)
    own = OwnCopy(model)
    first = own.module
    change(model)
    with guarded(first, gradients=False):
        assert torch.equal(first(states), model(states))


def test_what_running_changes_is_undone():
    model = Model().eval()
    own = OwnCopy(model)
    own.module.layers[0].run = None
    own.module.layers[1].linear = nn.Identity()
    with guarded(own.module, gradients=False):
        assert torch.equal(own.module(torch.ones(1, 3)), model(torch.ones(1, 3)))


def test_weights_made_in_inference_mode_serve_autograd():
    with torch.inference_mode():
        model = Model().eval()
    states = torch.ones(1, 3, requires_grad=True)
    own = OwnCopy(model)
    with guarded(own.module, gradients=True):
        (gradient,) = torch.autograd.grad(own.module(states).sum(), states)
    assert bool(gradient.abs().sum() > 0)
    assert all(weight.is_inference() and weight.requires_grad for weight in model.parameters())
