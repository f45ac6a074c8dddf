"""Mixtures of experts: every expert reads every token, with weight 0 where it was not chosen.

So both runs compute the same product of weights and experts, whatever each of them chose. From the weights
the multiplier goes to the router's scores as through a softmax; what this misses of the weights' change,
where the runs choose differently or weights are made otherwise, is added along the scores' change and
counted.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_rule
from model_understanding.finite_backward.logarithmic import logarithmic_mean
from model_understanding.finite_backward.pairing import Pairing

ROUTING = "routing"


class ExpertPairing:
    """Replaces what experts are called with: the chosen ones by all of them.

    Args:
        pairing: Both runs.
        module: The model's module.
    """

    def __init__(self, pairing: Pairing, module: nn.Module) -> None:
        self._pairing = pairing
        self._counts = {module: _expert_counts(module)}
        self.counts = {*self._counts[module].values()}
        """Numbers of experts that the model's layers have."""
        self._scores: Tensor | None = None

    def note_projection(self, result: Any) -> None:
        """Note the result of a linear map: the router's scores are the last that has a number per expert."""
        if isinstance(result, Tensor) and result.shape[-1:].numel() in self.counts:
            self._scores = result

    def hooks(self, module: nn.Module) -> Iterator[Any]:
        """Register the hooks on expert layers; yield their handles."""
        if module not in self._counts:  # another model, which is compared with the first
            self._counts[module] = _expert_counts(module)
        for part, count in self._counts[module].items():
            yield part.register_forward_pre_hook(partial(self._spread, count), with_kwargs=True)

    def _spread(
        self, count: int, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        places = [*range(len(arguments)), *keywords]
        values = [*arguments, *keywords.values()]
        index_place = next((i for i, value in enumerate(values) if _is_choice(value)), None)
        if index_place is None or self._scores is None or not torch.is_grad_enabled():
            return None
        index = values[index_place]
        weight_place = next(
            (
                i
                for i, value in enumerate(values)
                if isinstance(value, Tensor) and value.is_floating_point() and value.shape == index.shape
            ),
            None,
        )
        if weight_place is None or self._scores.numel() != len(index) * count:
            return None
        with self._pairing.paused():
            every, dense = self._dense(index, values[weight_place], self._scores.reshape(len(index), count))
        changed = {places[index_place]: every.to(index.dtype), places[weight_place]: dense}
        return (
            tuple(changed.get(place, value) for place, value in enumerate(arguments)),
            {name: changed.get(name, value) for name, value in keywords.items()},
        )

    def _dense(self, index: Tensor, weights: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        rows, count = scores.shape
        every = torch.arange(count, device=index.device).expand(rows, count)
        zeros = torch.zeros(rows, count, dtype=weights.dtype, device=weights.device)
        dense = zeros.scatter(1, index.long(), weights.detach())
        call = Call(_dense_weights, (), {})
        known = self._pairing.counterparts(call, [dense, scores])
        if known is None:  # the graph must say that it depends on the text
            return every, zeros.scatter(1, index.long(), weights)
        w0, w1 = known[0].double(), dense.double()
        change = scores.detach().double() - known[1].double()
        means = logarithmic_mean(w0.clamp_min(0).log(), w1.clamp_min(0).log())
        total = means.sum(-1, keepdim=True).clamp_min(1e-300)

        def rule(m: Tensor) -> Tensor:
            m = m.double()
            exact = means * (m - (means * m).sum(-1, keepdim=True) / total)
            missing = (m * (w1 - w0)).sum(-1, keepdim=True) - (exact * change).sum(-1, keepdim=True)
            self._pairing.corrections[ROUTING] += float(missing.abs().sum())
            along = change / change.square().sum(-1, keepdim=True).clamp_min(1e-30)
            return (exact + missing * along).to(scores.dtype)

        return every, with_rule(dense, rule, scores)


def _dense_weights() -> None:
    """Stand in the record for the weights of all experts."""


def _expert_counts(module: nn.Module) -> dict[nn.Module, int]:
    return {part: count for part in module.modules() if (count := _expert_count(part))}


def _expert_count(module: nn.Module) -> int:
    """Return how many experts a module computes, or 0: its weights then have an axis of that many."""
    count = getattr(module, "num_experts", None)
    if not isinstance(count, int):
        return 0
    own = [parameter for parameter in module.parameters(recurse=False) if parameter.ndim == 3]
    return count if any(len(weight) == count for weight in own) else 0


def _is_choice(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 2 and value.dtype in (torch.int64, torch.int32)
