"""Fused attention: the kernel keeps its value, its multipliers are computed in blocks of queries.

With scores ``S = Q Kᵀ s``, weights ``P = softmax(S)`` and ``Y = P V``, bars for the mean of both runs and m
for the multiplier of Y: ``P̄ᵀ m`` goes to V and ``m V̄ᵀ`` to P; the softmax's rule turns that into the
multiplier n of S; ``n K̄ s`` goes to Q and ``nᵀ Q̄ s`` to K.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model_understanding.finite_backward.calls import Call
from model_understanding.finite_backward.graph import with_rule
from model_understanding.finite_backward.pairing import Pairing, are_same
from model_understanding.finite_backward.softmax import (
    log_probabilities,
    masked_score,
    mean_probabilities,
    most_entries,
    softmax_rows,
)
from model_understanding.model.precision import precise

NAME = "scaled_dot_product_attention"
_FEWEST_ROWS = 16
_ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")


def fused_attention(pairing: Pairing, call: Call) -> Any:
    """Run a fused attention kernel.

    Args:
        pairing: Both runs.
        call: The call.

    Returns:
        The kernel's output.
    """
    given = dict(zip(_ARGUMENTS, call.arguments, strict=False)) | call.keywords
    query, key, value, mask = given["query"], given["key"], given["value"], given.get("attn_mask")
    known = pairing.counterparts(call, [query, key, value, mask])
    if known is None:
        return call.run()
    if mask is not None and mask.requires_grad:
        why = f"the attention mask in {pairing.where} is computed from the text"
        return pairing.refused_if_reached(call.run(), why)
    if mask is not None and not are_same(mask, known[3]):
        why = f"the attention mask in {pairing.where} differs between the runs"
        return pairing.refused_if_reached(call.run(), why)
    if given.get("dropout_p"):
        return pairing.refused_if_reached(call.run(), f"attention in {pairing.where} has dropout")
    output = call.value()
    shapes = [operand.shape for operand in (query, key, value)]
    scale = given.get("scale")
    kernel = _Kernel(mask, bool(given.get("is_causal")), query.shape[-1] ** -0.5 if scale is None else scale)
    reference, text = known[:3], [query.detach(), key.detach(), value.detach()]
    heads = query.shape[:-2]

    def rule(m: Tensor) -> tuple[Tensor, ...]:
        results = kernel.multipliers(
            m, [_to_heads(each, heads) for each in reference], [_to_heads(each, heads) for each in text]
        )
        return tuple(
            _to_groups(result, shape).to(m.dtype) for result, shape in zip(results, shapes, strict=True)
        )

    return with_rule(output, rule, query, key, value)


@dataclass(frozen=True, slots=True, eq=False)
class _Kernel:
    mask: Tensor | None
    is_causal: bool
    scale: float

    def multipliers(self, m: Tensor, reference: list[Tensor], text: list[Tensor]) -> list[Tensor]:
        """Return the multipliers of queries, keys and values, ``(…, tokens, width)``."""
        *heads, queries, _ = text[0].shape
        keys = text[1].shape[-2]
        results = [torch.zeros_like(each, dtype=precise(each[..., :0]).dtype) for each in text]
        flat = [each.reshape(-1, *each.shape[-2:]) for each in (m, *reference, *text, *results)]
        mask = None if self.mask is None else self.mask.expand(*heads, queries, keys)
        count, most = heads[-1] if heads else 1, most_entries(m)
        step = min(queries, max(_FEWEST_ROWS, most // (keys * count)))
        together = max(1, most // (step * keys))
        for text_index, first in enumerate(range(0, len(flat[0]), count)):
            of_text = None if mask is None else _of_text(mask, text_index)
            for head in range(0, count, together):
                some = slice(head, min(head + together, count))
                own = slice(first + some.start, first + some.stop)
                of_heads = None if of_text is None else of_text[some]
                for start in range(0, queries, step):
                    rows = slice(start, min(start + step, queries))
                    is_whole = own == slice(0, len(flat[0]))
                    parts = flat if is_whole else [each[own] for each in flat]
                    self._add_block(parts, of_heads, rows)
        return [result.reshape(each.shape) for result, each in zip(flat[-3:], text, strict=True)]

    def _add_block(self, parts: list[Tensor], mask: Tensor | None, rows: slice) -> None:
        m, q0, k0, v0, q1, k1, v1, to_q, to_k, to_v = parts
        m, q0, q1 = precise(m[:, rows]), precise(q0[:, rows]), precise(q1[:, rows])
        seen = slice(0, rows.stop if self.is_causal else None)  # what comes later has no weight
        k0, k1, v0, v1 = (precise(each[:, seen]) for each in (k0, k1, v0, v1))
        log0, log1 = (self._log_weights((q * self.scale) @ k.mT, mask, rows) for q, k in ((q0, k0), (q1, k1)))
        weights, means = mean_probabilities(log0, log1)
        to_v[:, seen] += weights.mT @ m
        to_scores = softmax_rows(m @ torch.lerp(v0, v1, 0.5).mT, means)
        to_q[:, rows] = (to_scores @ torch.lerp(k0, k1, 0.5)).mul_(self.scale)
        to_k[:, seen] += to_scores.mT @ torch.lerp(q0, q1, 0.5).mul_(self.scale)

    def _log_weights(self, scores: Tensor, mask: Tensor | None, rows: slice) -> Tensor:
        least = masked_score(scores.dtype)
        if self.is_causal:
            diagonal = scores[..., rows.start :]
            later = torch.ones(diagonal.shape[-2:], dtype=torch.bool, device=scores.device).triu_(1)
            diagonal.masked_fill_(later, least)
        if mask is None:
            return scores.log_softmax(-1)
        part = mask[:, rows, : scores.shape[-1]]
        scores = scores.masked_fill_(~part, -torch.inf) if part.dtype == torch.bool else scores.add_(part)
        return log_probabilities(scores)


def _of_text(mask: Tensor, index: int) -> Tensor:
    """Return the mask of one text of a batch, ``(heads, queries, keys)``, without a copy of the others."""
    if mask.ndim == 2:
        return mask[None]
    places: list[int] = []
    for size in reversed(mask.shape[:-3]):
        places.insert(0, index % size)
        index //= size
    return mask[tuple(places)] if places else mask


def _to_heads(operand: Tensor, heads: tuple[int, ...]) -> Tensor:
    """Return keys or values with those that several heads share repeated."""
    if not heads or operand.shape[:-2] == heads:
        return operand
    operand = operand.expand(*heads[:-1], *operand.shape[-3:])
    return operand.repeat_interleave(heads[-1] // operand.shape[-3], -3)


def _to_groups(multiplier: Tensor, shape: torch.Size) -> Tensor:
    """Return the multiplier of keys or values that several heads share, summed over them."""
    if multiplier.shape == shape:
        return multiplier
    grouped = multiplier.unflatten(-3, (shape[-3], -1)).sum(-3)
    return grouped.sum_to_size(shape)
