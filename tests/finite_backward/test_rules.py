"""Each rule alone: what it passes to its operand sums to the change of its result, whatever the operation."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from model_understanding.errors import UnsupportedModelError
from model_understanding.finite_backward.logarithmic import logarithmic_mean
from model_understanding.finite_backward.mode import FinitePairing
from model_understanding.finite_backward.pairing import Pairing
from model_understanding.finite_backward.softmax import mean_probabilities
from model_understanding.finite_backward.walk import nodes_without_rule

Operation = Callable[[Tensor], Tensor]
WEIGHT = torch.randn(6, 6, generator=torch.Generator().manual_seed(5))
MASK = torch.rand(4, 4, generator=torch.Generator().manual_seed(6)) > 0.3
ADDED = torch.zeros(4, 4).masked_fill(MASK, -torch.inf).fill_diagonal_(0)


def _heads(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    wide = (x @ WEIGHT).view(2, 4, 2, 3).transpose(1, 2)
    return wide, wide * 2 - 0.3, wide + 1


def _sdpa(**options: object) -> Operation:
    return lambda x: functional.scaled_dot_product_attention(*_heads(x), **options)  # pyright: ignore


def _grouped(x: Tensor) -> Tensor:
    query, key, value = _heads(x)
    return functional.scaled_dot_product_attention(query, key[:, :1], value[:, 1:], enable_gqa=True)


def _solved(x: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(x[:, :, :4].triu() + 3 * torch.eye(4), torch.eye(4), upper=True)


def _in_place(x: Tensor) -> Tensor:
    y = x * 2
    y *= x
    y += x
    y /= 2 + x.abs()
    return y.sigmoid_() * x


def _filled(x: Tensor) -> Tensor:
    buffer = torch.zeros(2, 8, 6)
    buffer[:, 2:6] = x.tanh()
    return buffer.index_add(1, torch.tensor([0, 1, 7, 7]), x * x)


OPERATIONS: dict[str, Operation] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "tanh gelu": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu in primitives": lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.045 * torch.pow(x, 3)))),
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": functional.silu,
    "mish": functional.mish,
    "softplus": functional.softplus,
    "elu": functional.elu,
    "hardswish": functional.hardswish,
    "erf": torch.erf,
    "exp": torch.exp,
    "cos": torch.cos,
    "sqrt": lambda x: torch.sqrt(x.abs() + 0.1),
    "log": lambda x: torch.log(x.abs() + 0.1),
    "power": lambda x: (x.abs() + 0.1) ** -0.5 + x**2 + x**3,
    "reciprocal": lambda x: 1 / (x + 5),
    "quotient": lambda x: x / (x.square().sum(-1, keepdim=True) + 1),
    "clamp": lambda x: x.clamp(-0.5, 0.7),
    "product": lambda x: (x @ WEIGHT) * torch.sigmoid(x),
    "square": lambda x: x.square() + x * x,
    "matrix product": lambda x: x @ (x @ WEIGHT).mT,
    "einsum": lambda x: torch.einsum("bqd,bkd->bqk", x, x @ WEIGHT),
    "baddbmm": lambda x: torch.baddbmm(x @ WEIGHT[:, :4], x, x.mT),
    "addcmul": lambda x: torch.addcmul(x, x, x @ WEIGHT, value=0.5),
    "lerp": lambda x: torch.lerp(x, x @ WEIGHT, 0.3),
    "gated mean": lambda x: torch.lerp(x, x @ WEIGHT, torch.sigmoid(x)),
    "softmax": lambda x: (4 * x).softmax(-1),
    "softmax of another axis": lambda x: torch.softmax(3 * x, dim=1),
    "masked softmax": lambda x: (x @ x.mT).masked_fill(MASK.triu(1), -torch.inf).softmax(-1),
    "softmin": lambda x: functional.softmin(x, dim=-1),
    "log_softmax": lambda x: functional.log_softmax(4 * x, dim=-1),
    "logsumexp": lambda x: torch.logsumexp(3 * x, dim=-1),
    "layer norm": lambda x: functional.layer_norm(x, (6,), WEIGHT[0], WEIGHT[1]),
    "rms norm": lambda x: functional.rms_norm(x, (6,), WEIGHT[0]),
    "rms norm in primitives": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * WEIGHT[0],
    "group norm": lambda x: functional.group_norm(x, 2, WEIGHT[0][:4], WEIGHT[1][:4]),
    "variance": lambda x: torch.var(x, -1) + torch.std(x, -1),
    "length": lambda x: x.norm(dim=-1),
    "normalize": lambda x: functional.normalize(x, dim=-1),
    "glu": lambda x: functional.glu(x, dim=-1),
    "maximum": lambda x: torch.maximum(x, x @ WEIGHT),
    "largest": lambda x: x.max(dim=1).values + x.amax(-1, keepdim=True).sum(1),
    "at least": lambda x: torch.maximum(x, torch.tensor(0.2)),
    "fused attention": _sdpa(),
    "causal attention": _sdpa(is_causal=True),
    "masked attention": _sdpa(attn_mask=~MASK | torch.eye(4, dtype=torch.bool)),
    "biased attention": _sdpa(attn_mask=ADDED, scale=0.7),
    "grouped attention": _grouped,
    "in place": _in_place,
    "buffer": _filled,
    "convolution": lambda x: functional.conv1d(x, WEIGHT[:, :4].reshape(6, 4, 1)),
    "rearranged": lambda x: torch.cat([x.roll(1, 1), x.cumsum(1)], -1).flatten(1)[:, ::2],
    "triangular system": _solved,
    "triangular system of ones": lambda x: torch.linalg.solve_triangular(
        (x[:, :, :4] @ WEIGHT[:4, :4]).tril(-1), x, upper=False, unitriangular=True
    ),
    "top of one choice": lambda x: torch.topk(x + torch.arange(6) * 100, 2, dim=-1).values,
}


def _two_runs(operation: Operation, x0: Tensor, x1: Tensor) -> tuple[Tensor, Tensor, Tensor, Pairing]:
    """Return both results, the graph of the second one, and its operand's leaf."""
    pairing = Pairing("this model")
    mode = FinitePairing(pairing, nn.Identity())
    with mode:
        y0 = operation(x0.clone().requires_grad_() + 0)
    pairing.rewind()
    leaf = x1.clone().requires_grad_()
    with mode:
        y1 = operation(leaf + 0)
    pairing.require_complete()
    return y0.detach(), y1, leaf, pairing


def _pair(scale: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x0 = torch.randn(2, 4, 6, generator=generator)
    x1 = x0 + scale * torch.randn(2, 4, 6, generator=generator)
    x1[:, 0] = x0[:, 0]  # a token that both texts share
    return x0, x1


@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_completeness(name: str, scale: float) -> None:
    operation = OPERATIONS[name]
    x0, x1 = _pair(scale)
    y0, y1, leaf, pairing = _two_runs(operation, x0, x1)
    torch.testing.assert_close(y1.detach(), operation(x1), rtol=0, atol=0)
    multiplier = torch.randn(y1.shape, generator=torch.Generator().manual_seed(4))
    (gradient,) = torch.autograd.grad((multiplier * y1).sum(), leaf)
    change = (multiplier * (y1.detach() - y0)).double().sum()
    passed = (gradient * (x1 - x0)).double()
    assert abs(passed.sum() - change) <= 2e-6 * passed.abs().sum() + 1e-6 * scale + 2e-6 * y0.abs().max()
    assert not pairing.reached
    assert not nodes_without_rule(y1.sum())


@pytest.mark.parametrize("name", OPERATIONS)
def test_identical_runs_give_the_derivative(name: str) -> None:
    """Where both runs agree, the exact difference is the derivative."""
    operation, (x, _) = OPERATIONS[name], _pair(1.0)
    _, y1, leaf, _ = _two_runs(operation, x, x)
    multiplier = torch.randn(y1.shape, generator=torch.Generator().manual_seed(4))
    (multipliers,) = torch.autograd.grad((multiplier * y1).sum(), leaf)
    plain = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((multiplier * operation(plain + 0)).sum(), plain)
    torch.testing.assert_close(multipliers, gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (lambda x: x * (x > 0), "a constant|differs"),
        (lambda x: x * x.detach(), "differs"),
        (lambda x: torch.where(x > 0, x, 0.1 * x), "differs"),
        (lambda x: torch.cumprod(x, -1), "cumprod"),
        (lambda x: torch.topk(x, 2, dim=-1).values, "chooses differently"),
        (lambda x: x.index_select(2, x[0, 1].argsort()), "differs"),
        (lambda x: torch.einsum("bqd,bqd,bqd->bq", x, x, x @ WEIGHT), "3 factors"),
    ],
)
def test_what_has_no_rule_is_named(operation: Operation, why: str) -> None:
    _, y1, leaf, pairing = _two_runs(operation, *_pair(1.0))
    torch.autograd.grad(y1.sum(), leaf)
    assert pairing.reached
    assert re.search(why, "; ".join(pairing.reached))


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (lambda x: x * x[0, 1, 0].detach().item(), "other arguments"),
        (lambda x: x[:, : int(x[0, 1, 0] > 0) + 2].tanh(), "other arguments|other shapes"),
        (lambda x: x.tanh() if x[0, 1, 0] > 0 else x.sin(), "tanh|sin"),
        (lambda x: x.tanh().tanh() if x[0, 1, 0] > 0 else x.tanh(), "does not"),
    ],
)
def test_runs_that_part_are_refused(operation: Operation, why: str) -> None:
    x0, x1 = _pair(1.0)
    x0[0, 1, 0], x1[0, 1, 0] = 0.5, -0.5
    for pair in ((x0, x1), (x1, x0)):
        with pytest.raises(UnsupportedModelError, match=why):
            _two_runs(operation, *pair)


class _Unseen(torch.autograd.Function):
    """A function of autograd's own, which no function mode sees."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.tanh()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return gradients[0]


def test_what_the_mode_does_not_see_is_found_in_the_graph() -> None:
    _, y1, _, _ = _two_runs(lambda x: _Unseen.apply(x) * 2, *_pair(1.0))  # pyright: ignore
    assert nodes_without_rule(y1.sum()) == ["_UnseenBackward"]


def test_logarithmic_mean() -> None:
    a, b = torch.tensor([0.1, 0.3, 0.0, 0.0, 1e-30]), torch.tensor([0.4, 0.3, 0.2, 0.0, 1.0])
    expected = torch.tensor([0.3 / torch.log(torch.tensor(4.0)), 0.3, 0.0, 0.0, 1 / 69.0776])
    torch.testing.assert_close(logarithmic_mean(a.log(), b.log()), expected)


@pytest.mark.parametrize("function", [torch.tanh, torch.sigmoid, functional.silu])
def test_slopes_of_what_is_made_of_tanh_keep_their_digits(function: Operation) -> None:
    """Close, equal, far and saturated arguments alike."""
    x0 = torch.tensor([0.3, 0.3, 0.3, -2.0, 9.0, 40.0, -80.0])
    x1 = torch.tensor([0.3, 0.30001, 1.3, 3.0, -9.0, 45.0, 70.0])
    _, y1, leaf, _ = _two_runs(function, x0, x1)
    (slope,) = torch.autograd.grad(y1.sum(), leaf)
    a, b = x0.double(), x1.double().requires_grad_()
    (derivative,) = torch.autograd.grad(function(b).sum(), b)
    expected = torch.where(a == b, derivative, (function(b) - function(a)) / (b - a)).detach()
    torch.testing.assert_close(slope.double(), expected, rtol=0, atol=5e-7)


def test_probabilities_too_small_for_a_normal_number_are_zero() -> None:
    logs = torch.tensor([-1.0, -85.0, -95.0, -200.0, torch.finfo(torch.float32).min / 4])
    weights, means = mean_probabilities(logs.clone(), logs.clone())
    expected = torch.tensor([math.exp(-1.0), 0.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(weights, expected)
    torch.testing.assert_close(means, expected)
    assert not weights[1:].any()
