"""Normalization layers that are one operation: closed forms.

With the root mean square r of each run, bars for means of both runs and v for the multiplier times the norm's
weights: ``½ (1/r0 + 1/r1) v − 2 x̄ ⟨x̄, v⟩ / (d r0 r1 (r0 + r1))``. A LayerNorm does so with x centered.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_rule
from model_understanding.finite_backward.pairing import Pairing, are_same
from model_understanding.model.precision import precise

NAMES = frozenset({"layer_norm", "rms_norm"})
_ARGUMENTS = {
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
}


def then_weighted(call: Call) -> Tensor:
    """Compute a norm without weights, and apply them by operations of their own."""
    given = _given(call)
    x, shape = given["input"], given["normalized_shape"]
    weight, bias = given.get("weight"), given.get("bias")
    function = torch.nn.functional.layer_norm if call.name == "layer_norm" else torch.nn.functional.rms_norm
    plain = function(x, shape, **{name: given[name] for name in ("eps",) if name in given})
    scaled = plain if weight is None else torch.mul(plain, weight)
    return scaled if bias is None else torch.add(scaled, bias)


def norm(pairing: Pairing, call: Call) -> Any:
    """Run a LayerNorm or an RMSNorm.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        The normalized states.
    """
    given = _given(call)
    x, weight, bias = given["input"], given.get("weight"), given.get("bias")
    known = pairing.counterparts(call, [x, weight, bias])
    if known is None:
        return call.run()
    depends = any(each is not None and each.requires_grad for each in (weight, bias))
    if depends or not all(
        are_same(a, b) for a, b in zip((weight, bias), known[1:], strict=True) if a is not None
    ):
        why = f"the weights of {call.name} in {pairing.where} differ between the runs"
        return pairing.refused_if_reached(call.run(), why)
    shape = given["normalized_shape"]
    axes = tuple(range(-len(shape), 0))
    eps = given.get("eps", 1e-5)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    value, x0, x1 = call.value(), known[0], x.detach()
    is_centered = call.name == "layer_norm"

    def rule(m: Tensor) -> Tensor:
        scaled = precise(m) if weight is None else precise(m) * precise(weight)
        return _multiplier(scaled, precise(x0), precise(x1), float(eps), axes, is_centered=is_centered).to(x1)

    return with_rule(value, rule, x)


def _given(call: Call) -> dict[str, Any]:
    return dict(zip(_ARGUMENTS[call.name], call.arguments, strict=False)) | call.keywords


def _multiplier(
    v: Tensor, x0: Tensor, x1: Tensor, eps: float, axes: Sequence[int], *, is_centered: bool
) -> Tensor:
    axes = tuple(axes)
    if is_centered:
        x0, x1 = (x - x.mean(axes, keepdim=True) for x in (x0, x1))
    count = prod(x1.shape[axis] for axis in axes)
    r0, r1 = ((x.square().mean(axes, keepdim=True) + eps).sqrt() for x in (x0, x1))
    mean = (x0 + x1) / 2
    along = (mean * v).sum(axes, keepdim=True) / (count * r0 * r1 * (r0 + r1))
    result = (1 / r0 + 1 / r1) / 2 * v - 2 * mean * along
    return result - result.mean(axes, keepdim=True) if is_centered else result
