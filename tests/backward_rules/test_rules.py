"""Each rule of a modified backward pass by itself, against its formula."""

import oracles
import pytest
import tiny_models
import torch
from torch.nn import functional

from model_understanding.backward_rules import activations, attention, norms
from model_understanding.backward_rules.mode import ModifiedBackward
from model_understanding.backward_rules.rules import BackwardRules

ATTN_LRP = BackwardRules(activations="slope")
CP_LRP = BackwardRules(activations="slope", gates="constant", weights="constant")
GIM = BackwardRules(temperature=2.0)


class Written(torch.nn.Module):
    """A model that is whatever function it is given."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def gradients_under(rules, function, *inputs):
    """Return a function's value and its gradients under rules, and what no rule could see."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    mode, model = ModifiedBackward(rules, {2}), Written(function)
    handles = list(mode.hooks(model))
    with mode:
        result = model(*leaves)
    for handle in handles:
        handle.remove()
    weights = torch.linspace(-1, 2, result.numel(), dtype=result.dtype).view_as(result)
    found = torch.autograd.grad((result * weights).sum(), leaves, allow_unused=True)
    return result.detach(), weights, found, mode


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


def attended(query, key, value, mask, temperature):
    """GIM by hand: the output and the gradients for weights on it."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + mask
    return scores.softmax(-1) @ value, (scores / temperature).softmax(-1), scores.softmax(-1)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("kind", ["boolean", "added", "causal", "grouped"])
def test_fused_attention_is_the_explicit_backward_at_a_temperature(kind, temperature):
    query, key, value = drawn(1, 2, 5, 4), drawn(2, 2, 5, 4)[:1], drawn(3, 2, 5, 4)[1:2]
    options, bias = {}, torch.zeros(5, 5, dtype=torch.float64)
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    if kind == "boolean":
        options["attn_mask"] = ~hidden
    elif kind == "added":
        bias = drawn(5, 5)
        options["attn_mask"] = bias.masked_fill(hidden, torch.finfo(torch.float64).min)
    else:
        options["is_causal"] = True
    if kind == "grouped":
        key, value, options["enable_gqa"] = key[:, :1], value[:, :1], True
    rules = BackwardRules(temperature=temperature)
    result, weights, found, _ = gradients_under(
        rules, lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, **options), query, key, value
    )
    mask = bias.masked_fill(hidden, -torch.inf)
    expected, softer, sharp = attended(query, key, value, mask, temperature)
    arriving = weights @ value.transpose(-1, -2)
    of_scores = softer * (arriving - (softer * arriving).sum(-1, keepdim=True)) * 4**-0.5
    by_hand = [
        of_scores @ key / 4,
        of_scores.transpose(-1, -2) @ query / 4,
        sharp.transpose(-1, -2) @ weights / 2,
    ]
    if kind == "grouped":
        by_hand[1:] = [part.sum(1, keepdim=True) for part in by_hand[1:]]
    assert oracles.close(result, expected, 1e-12)
    for one, other in zip(found, by_hand, strict=True):
        assert oracles.close(one, other, 1e-12)


def test_constant_weights_pass_the_whole_gradient_to_the_values():
    query, key, value = drawn(1, 2, 5, 4), drawn(2, 2, 5, 4)[:1], drawn(3, 2, 5, 4)[1:2]
    _, weights, found, mode = gradients_under(
        CP_LRP, functional.scaled_dot_product_attention, query, key, value
    )
    sharp = (query @ key.transpose(-1, -2) / 2).softmax(-1)
    assert found[:2] == (None, None)
    assert oracles.close(found[2], sharp.transpose(-1, -2) @ weights, 1e-12)
    assert mode.attention_layers == 1


def rms_by_root(x):
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


NORMS = {
    "rsqrt": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
    "sqrt": rms_by_root,
    "power": lambda x: x * torch.pow(x.pow(2).mean(-1, keepdim=True) + 1e-6, -0.5),
    "operator": lambda x: x * ((x * x).mean(-1, keepdim=True) + 1e-6) ** -0.5,
    "functional": lambda x: functional.rms_norm(x, (6,), None, 1e-6),
    "torch": lambda x: torch.rms_norm(x, (6,), None, 1e-6),
}


@pytest.mark.parametrize("rules", [GIM, ATTN_LRP, CP_LRP])
@pytest.mark.parametrize("written", NORMS)
def test_every_way_to_write_rms_norm_has_constant_statistics(written, rules):
    x = drawn(3, 6)
    result, weights, (found,), mode = gradients_under(rules, NORMS[written], x)
    inverse = (x.pow(2).mean(-1, keepdim=True) + 1e-6).rsqrt()
    assert oracles.close(result, x * inverse, 1e-12)
    assert oracles.close(found, weights * inverse, 1e-12)
    assert mode.norms == 1
    assert not mode.unhandled


def test_layer_norm_has_a_constant_deviation_and_a_linear_mean():
    x, weight, bias = drawn(3, 6), drawn(6), drawn(1, 6)[0]
    result, weights, (found,), _ = gradients_under(
        GIM, lambda x: functional.layer_norm(x, (6,), weight, bias), x
    )
    deviation = (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    scaled = weights * weight / deviation
    assert torch.equal(result, functional.layer_norm(x, (6,), weight, bias))
    assert oracles.close(found, scaled - scaled.mean(-1, keepdim=True), 1e-12)


@pytest.mark.parametrize(
    "function",
    [
        functional.gelu,
        functional.silu,
        functional.relu,
        torch.tanh,
        torch.sigmoid,
        torch.Tensor.tanh,
        lambda x: functional.gelu(x, approximate="tanh"),
        lambda x: functional.relu(x, inplace=True),
        lambda x: x.clamp(max=0.5),
        lambda x: torch.tanh(x / 3) * 3,  # a soft-cap
        lambda x: x * torch.sigmoid(1.702 * x),
        lambda x: torch.sigmoid(x) * x,
    ],
)
def test_an_activation_passes_on_the_relevance_that_arrives(function):
    x = drawn(4, 6)
    plain = function(x.clone())
    result, weights, (found,), mode = gradients_under(ATTN_LRP, lambda x: function(x.view_as(x)), x)
    assert oracles.close(result, plain, 1e-15)
    assert oracles.close(found * x, weights * plain, 1e-12)
    leaf = x.clone().requires_grad_()
    (derivative,) = torch.autograd.grad((function(leaf.view_as(leaf) + 0) * weights).sum(), leaf)
    _, _, (left,), _ = gradients_under(GIM, lambda x: function(x.view_as(x) + 0), x)
    assert oracles.close(left, derivative, 1e-12)  # GIM leaves activations as they are, written out or not
    assert not mode.unhandled


def test_no_relevance_passes_through_an_input_of_zero():
    _, _, (found,), _ = gradients_under(ATTN_LRP, torch.sigmoid, torch.zeros(3, dtype=torch.float64))
    assert found.tolist() == [0, 0, 0]


@pytest.mark.parametrize("rules", [GIM, ATTN_LRP])
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a * b,
        torch.mul,
        lambda a, b: (a * 1).mul_(b),
        torch.matmul,
        lambda a, b: a @ b,
        lambda a, b: torch.bmm(a[None], b[None])[0],
        lambda a, b: torch.einsum("ij,jk->ik", a, b),
        lambda a, b: torch.einsum("ij,jk->ik", [a, b]),
        lambda a, b: torch.baddbmm(torch.ones(1, 4, 4, dtype=a.dtype), a[None], b[None], alpha=0.5)[0],
        lambda a, b: torch.ones(1, 4, 4, dtype=a.dtype).baddbmm(batch1=a[None], batch2=b[None])[0],
    ],
)
def test_a_product_of_two_activations_gives_half_to_each(function, rules):
    inputs = drawn(4, 4), drawn(1, 4, 4)[0]
    _, weights, found, _ = gradients_under(rules, function, *inputs)
    leaves = [value.clone().requires_grad_() for value in inputs]
    plain = torch.autograd.grad((function(*leaves) * weights).sum(), leaves)
    for one, other in zip(found, plain, strict=True):
        assert oracles.close(one, other / 2, 1e-12)


def test_a_product_with_a_constant_is_left_alone():
    constant = drawn(4, 4)
    _, weights, (found,), _ = gradients_under(GIM, lambda x: (x @ constant) * constant * 2, drawn(4, 4))
    assert oracles.close(found, (2 * weights * constant) @ constant.T, 1e-12)


def test_a_gate_is_constant_where_the_rules_say_so():
    gate, up = drawn(4, 6), drawn(1, 4, 6)[0]
    _, weights, found, _ = gradients_under(CP_LRP, lambda g, u: functional.silu(g) * u, gate, up)
    assert found[0] is None
    assert oracles.close(found[1], weights * functional.silu(gate), 1e-12)


@pytest.mark.parametrize(
    ("function", "name", "also_gim"),
    [
        (lambda x: torch.exp(x), "exp", False),
        (lambda x: (x * 1).tanh_(), "tanh_", False),
        (lambda x: x * 0.5 * (1 + torch.erf(x / 2**0.5)), "erf", True),  # a GELU by hand
        (lambda x: torch.pow(x, 3.0), "pow", True),
        (lambda x: x**3, "pow", True),
    ],
)
def test_a_nonlinearity_without_a_rule_is_named(function, name, also_gim):
    unseen = [f"{name} outside of a norm or an activation"]
    found = {rules: gradients_under(rules, function, drawn(2, 3))[-1].unhandled for rules in (ATTN_LRP, GIM)}
    assert found[ATTN_LRP] == unseen
    assert found[GIM] == (unseen if also_gim else [])


def test_a_mask_that_depends_on_the_text_is_refused():
    shape = (1, 2, 5, 4)
    mode = gradients_under(
        GIM,
        lambda q, m: functional.scaled_dot_product_attention(q, q, q, attn_mask=m),
        drawn(*shape),
        drawn(5, 5),
    )[-1]
    assert mode.unhandled == ["an attention mask that depends on the text's embeddings"]


def test_the_rules_own_functions_keep_values_to_the_bit():
    x = drawn(3, 6).float()
    value = functional.gelu(x)
    assert torch.equal(activations.with_slope(x, value), value)
    assert torch.equal(norms.rms_norm(x, (6,)), functional.rms_norm(x, (6,)))
    scores = drawn(1, 2, 5, 5).float()
    given = scores.softmax(-1)
    assert torch.equal(attention.softmax(GIM, scores, given), given)


def routed(block, x, arriving, slope):
    """Return by hand the gradient at a mixture of experts: half through experts, half through the router."""
    gate, experts, total = block.gate, block.experts, torch.zeros_like(x)
    for row, (vector, gradient) in enumerate(zip(x, arriving, strict=True)):
        leaf = vector.clone().requires_grad_()
        chosen, indices = (leaf @ gate.weight.T).float().softmax(-1).topk(2)  # 32 bits, as the model does
        weights, outputs = chosen / chosen.sum(), []
        for index, weight in zip(indices.tolist(), weights.detach(), strict=True):
            of_gate, of_up = experts.gate_up_proj[index].chunk(2)
            inner, up = vector @ of_gate.T, vector @ of_up.T
            opened = functional.silu(inner)
            outputs.append((opened * up) @ experts.down_proj[index].T)
            of_product = (gradient * weight / 2) @ experts.down_proj[index] / 2
            sigmoid = inner.sigmoid()
            passed = sigmoid if slope else sigmoid * (1 + inner * (1 - sigmoid))
            total[row] += (of_product * up * passed) @ of_gate + (of_product * opened) @ of_up
        value = sum(weight * (gradient @ output) for weight, output in zip(weights, outputs, strict=True))
        total[row] += torch.autograd.grad(value, leaf)[0] / 2
    return total


@pytest.mark.parametrize("rules", [GIM, ATTN_LRP])
def test_a_mixture_of_experts_shares_between_experts_and_router(rules):
    model = tiny_models.fresh("mixtral").double().requires_grad_(False)
    model.set_experts_implementation("eager")
    block = model.model.layers[1].mlp
    x = drawn(1, 5, 32)
    result, weights, (found,), mode = gradients_under(rules, block, x)
    assert torch.equal(result, block(x))
    assert oracles.close(found[0], routed(block, x[0], weights[0], rules is ATTN_LRP), 1e-10)
    assert not mode.unhandled


def test_a_router_is_constant_where_softmax_is():
    model = tiny_models.fresh("mixtral").double().requires_grad_(False)
    model.set_experts_implementation("eager")
    x = drawn(1, 5, 32)
    result, weights, (found,), _ = gradients_under(CP_LRP, model.model.layers[1].mlp, x)
    assert oracles.close((found * x).sum(-1), (weights * result).sum(-1), 1e-10)  # no relevance is lost
