"""Softmax and its relatives: logarithmic means of both runs' probabilities, in blocks of rows.

``ℓ = Δp / Δ log p`` for each entry and ``τ = Σ ℓ``: a softmax turns the multiplier m into
``ℓ (m − ⟨ℓ, m⟩ / τ)``, its logarithm into ``m − Σm · ℓ / τ``, and logsumexp into ``m ℓ / τ``.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_rule
from model_understanding.finite_backward.logarithmic import tanh_ratio
from model_understanding.finite_backward.pairing import Pairing
from model_understanding.model.precision import precise

_MOST_ENTRIES = 1 << 18
NAMES = frozenset({"softmax", "log_softmax", "logsumexp", "softmin"})


def softmax_family(pairing: Pairing, call: Call) -> Any:
    """Run a softmax, its logarithm or a logsumexp.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        What the function returns.
    """
    scores = call.argument(0, "input")
    axis = call.argument(1, "dim")
    known = pairing.counterparts(call, [scores])
    if known is None:
        return call.run()
    if isinstance(axis, list | tuple) and len(axis) == 1:
        (axis,) = axis
    if not isinstance(axis, int):
        return pairing.refused_if_reached(call.run(), f"{call.name} in {pairing.where} names no single axis")
    value, (scores0,), scores1 = call.value(), known, scores.detach()
    sign = -1.0 if call.name == "softmin" else 1.0
    keeps_axis = call.name != "logsumexp" or bool(call.argument(2, "keepdim", False))
    of_rows = {"log_softmax": _log_softmax_rows, "logsumexp": _logsumexp_rows}.get(call.name, _softmax_rows)

    def rule(m: Tensor) -> Tensor:
        m = m if keeps_axis else m.unsqueeze(axis)
        result = torch.empty_like(scores1, memory_format=torch.contiguous_format)
        _in_blocks(of_rows, result, m.expand(scores1.shape), scores0, scores1, axis, sign)
        return result

    return with_rule(value, rule, scores)


def most_entries(tensor: Tensor) -> int:
    """Return how many entries of a tensor a rule takes at once: as many as a processor's cache holds."""
    return _MOST_ENTRIES if tensor.device.type == "cpu" else 64 * _MOST_ENTRIES


def softmax_rows(m: Tensor, means: Tensor) -> Tensor:
    """Return the multiplier of the scores of softmaxes over the last axis.

    Args:
        m: The multiplier of the probabilities; it is overwritten.
        means: Logarithmic means of both runs' probabilities.
    """
    share = (means * m).sum(-1, keepdim=True) / _total(means)
    return m.sub_(share).mul_(means)


def mean_probabilities(log0: Tensor, log1: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means and the logarithmic means of two runs' probabilities.

    With h half of the logarithms' difference, ``ℓ = (p0 + p1) / 2 · tanh(h) / h``: no digits are lost where
    both are close.

    Args:
        log0: Logarithms of the reference's probabilities, which are overwritten.
        log1: Those of the text's.
    """
    ratio = tanh_ratio(torch.sub(log1, log0).mul_(0.5))
    weights = _exponential(log0).add_(_exponential(log1)).mul_(0.5)
    return weights, ratio.mul_(weights)


def log_probabilities(scores: Tensor) -> Tensor:
    """Return the logarithm of a softmax over the last axis; ``masked_score`` where the probability is 0."""
    least = masked_score(scores.dtype)
    return scores.log_softmax(-1).nan_to_num_(nan=least, neginf=least)


def masked_score(dtype: torch.dtype) -> float:
    """Return a score or a logarithm whose probability is 0, and whose differences are finite."""
    return torch.finfo(dtype).min / 4


def _exponential(logs: Tensor) -> Tensor:
    """Return the exponential of logarithms of probabilities in their place; 0 for the very least.

    A processor takes 30 to 200 times as long for an exponential that is too small for a normal number.
    """
    least = math.log(torch.finfo(logs.dtype).tiny) + 8
    return torch.threshold_(logs.clamp_min_(least).exp_(), 2 * math.exp(least), 0.0)


def _softmax_rows(m: Tensor, log0: Tensor, log1: Tensor) -> Tensor:
    _, means = mean_probabilities(log0, log1)
    return softmax_rows(m.clone(), means)


def _log_softmax_rows(m: Tensor, log0: Tensor, log1: Tensor) -> Tensor:
    _, means = mean_probabilities(log0, log1)
    return m - means.mul_(m.sum(-1, keepdim=True) / _total(means))


def _logsumexp_rows(m: Tensor, log0: Tensor, log1: Tensor) -> Tensor:
    _, means = mean_probabilities(log0, log1)
    return means.mul_(m / _total(means))


def _total(means: Tensor) -> Tensor:
    return means.sum(-1, keepdim=True).clamp_min(torch.finfo(means.dtype).tiny)


def _in_blocks(
    of_rows: Callable[[Tensor, Tensor, Tensor], Tensor],
    result: Tensor,
    m: Tensor,
    scores0: Tensor,
    scores1: Tensor,
    axis: int,
    sign: float,
) -> None:
    """Fill the result block by block of the longest axis that is not the softmax's."""
    axis = axis % result.ndim
    last = result.ndim - 1
    others = [place for place in range(result.ndim) if place != axis]
    along = max(others, key=lambda place: result.shape[place], default=None)
    length = 1 if along is None else result.shape[along]
    step = max(1, length * most_entries(result) // max(1, result.numel()))
    for start in range(0, length, step):

        def part(tensor: Tensor, start: int = start) -> Tensor:
            cut = tensor if along is None else tensor.narrow(along, start, min(step, length - start))
            return cut.movedim(axis, last)

        rows = of_rows(
            precise(part(m)),
            log_probabilities(sign * part(scores0)),
            log_probabilities(sign * part(scores1)),
        )
        part(result).copy_(sign * rows)
