"""Read the queries and keys behind one head's weights, as attention consumes them.

They are taken where attention is caught (``attention_capture.py``): with rotary positions applied, groups
shared out, and whatever else a model does to them. A fused kernel is given them; in eager code they are what
entered the matrix product whose result, scaled and biased, reached the softmax.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.attention.capture.layer import (
    AttentionLayer,
    FusedLayer,
    can_look,
    masked_below,
    precise,
)
from model_understanding.attention.capture.mode import AttentionCapture
from model_understanding.errors import NumericalError, UnsupportedModelError
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

_PRODUCTS = frozenset({torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm})
_BIASED = frozenset({torch.baddbmm, Tensor.baddbmm})
_TIMES = frozenset({torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, Tensor.mul_, Tensor.__imul__})
_OVER = frozenset({torch.div, Tensor.div, Tensor.__truediv__, Tensor.div_, Tensor.__itruediv__})
_TOLERANCE = 1e-5  # of a weight, at most 1; in 16-bit models a few roundings instead
HINT = "Load the model with attn_implementation='sdpa' or 'eager', or use compute_attention."


class QueryKeyReading(NamedTuple):
    """One query, all keys, and what turns their products into weights.

    Args:
        query: The query.
        keys: The keys.
        scale: Factor of their products.
        additions: What else enters a key's score (position biases, soft caps); 0 where masked.
        allowed: Which keys the query may look at.
        weights: The weights that the model used.
        rival: A score that competes in the softmax and belongs to no key (a learned sink).
    """

    query: Float[Tensor, " width"]
    keys: Float[Tensor, "tokens width"]
    scale: float
    additions: Float[Tensor, " tokens"]
    allowed: Bool[Tensor, " tokens"]
    weights: Float[Tensor, " tokens"]
    rival: float | None


def read_query_key(model: Model, encoding: Encoding, layer: int, head: int, query: int) -> QueryKeyReading:
    """Run one text once and read one query of one head with all its keys.

    Args:
        model: The model.
        encoding: One text.
        layer: The attention layer, from 0.
        head: The head, from 0.
        query: The position of the query.

    Raises:
        UnsupportedModelError: The queries and keys of this model cannot be found, or what they give is not
            the model's own weights.
    """
    tokens = encoding.ids.shape[1]
    reader = _Reader(model, tokens, layer, head, query)
    with guarded(model.module, gradients=False):
        with reader:
            outputs = model.forward(encoding, tokens - 1 if model.is_language_model else 0)
        count_forward(encoding.ids.numel())
        require_finite(outputs.logits, "logits")
        reader.require_complete()
    if reader.found is None:
        raise UnsupportedModelError(
            f"The queries and keys of {reader.model_name} cannot be told from what reaches its softmax.",
            hint=HINT,
        )
    _require_same(reader.model_name, reader.found, getattr(model.module, "dtype", torch.float32))
    return reader.found


class _Followed(NamedTuple):
    """Scores that follow from one product of queries and keys."""

    scores: Tensor  # held, so that no other tensor gets its id
    query: Tensor
    key: Tensor
    scale: float
    is_mixed: bool


class _Reader(AttentionCapture):
    """Takes one query of one head, and follows eager code's scores from their product to the softmax."""

    def __init__(self, model: Model, tokens: int, layer: int, head: int, query: int) -> None:
        super().__init__(model, tokens)
        self._layer, self._head, self._query = layer, head, query
        self._followed: dict[int, _Followed] = {}
        self.found: QueryKeyReading | None = None

    def wants(self, number: int) -> bool:
        """Return whether a layer is to be looked at."""
        return number == self._layer

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        is_next = self.seen == self._layer
        result = super().__torch_function__(function, types, arguments, keywords)
        if is_next and isinstance(result, Tensor):
            self._follow(function, arguments, keywords or {}, result)
        return result

    def take(self, number: int, layer: AttentionLayer) -> None:
        """Read a fused layer's queries, keys and mask."""
        if not isinstance(layer, FusedLayer):
            return
        row = self._query
        mask = torch.zeros(1, 1, 1, self.tokens) if layer.mask is None else layer.mask
        mask = mask.expand(1, layer.shape[1], -1, self.tokens)[0, self._head]
        mask = mask[row if mask.shape[0] > 1 else 0]
        allowed = can_look(mask)
        if layer.is_causal:
            allowed = allowed & (torch.arange(self.tokens, device=allowed.device) <= row)
        biased = mask.dtype != torch.bool
        additions = torch.where(allowed, mask, 0) if biased else torch.zeros(self.tokens)
        block = layer.block(0, [row])
        weights = torch.zeros(self.tokens, dtype=block.weights.dtype)
        weights[block.first : block.first + block.weights.shape[-1]] = block.weights[0, self._head, 0].cpu()
        self._keep(layer.query, layer.key, layer.scale, additions, allowed, weights, None)

    def _take_softmax(self, scores: Tensor, probabilities: Tensor) -> None:
        wanted = self.wants(self.seen)
        super()._take_softmax(scores, probabilities)
        followed = self._followed.get(id(scores))
        if not wanted or followed is None or followed.is_mixed or self.unexpected:
            return
        row = precise(scores.detach()[0, self._head, self._query])
        query, keys, scale = self._chosen(followed.query, followed.key, followed.scale)
        products = (keys @ query) * scale
        allowed = row[: self.tokens] > masked_below(scores.dtype)
        additions = torch.where(allowed, row[: self.tokens] - products, 0)
        weights = probabilities.detach()[0, self._head, self._query, : self.tokens]
        rival = None
        if len(row) > self.tokens:  # what is subtracted from all of a row to keep it small changes no weight
            shift = additions[allowed].mean()
            if bool((additions[allowed] - shift).abs().max() <= _TOLERANCE * products.abs().max()):
                additions, row = torch.zeros_like(additions), row - shift
            rival = float(row[self.tokens])
        self._keep(followed.query, followed.key, followed.scale, additions, allowed, weights, rival)
        self._followed = {}

    def _keep(
        self,
        query: Tensor,
        key: Tensor,
        scale: float,
        additions: Tensor,
        allowed: Tensor,
        weights: Tensor,
        rival: float | None,
    ) -> None:
        own, keys, scale = self._chosen(query, key, scale)
        self.found = QueryKeyReading(
            own.cpu(),
            keys.cpu(),
            scale,
            precise(additions).cpu(),
            allowed.cpu(),
            precise(weights).cpu(),
            rival,
        )

    def _chosen(self, query: Tensor, key: Tensor, scale: float) -> tuple[Tensor, Tensor, float]:
        """Return one head's query and keys; several heads may share their keys."""
        queries = query.detach().reshape(-1, self.tokens, query.shape[-1])
        keys = key.detach().reshape(-1, self.tokens, key.shape[-1])
        group = self._head * len(keys) // self.head_count
        return precise(queries[self._head, self._query]), precise(keys[group]), scale

    def _follow(
        self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Tensor
    ) -> None:
        """Note which scores follow from which queries and keys, and by which factor."""
        if function in _PRODUCTS and len(arguments) == 2:
            self._begin(arguments[0], arguments[1], 1.0, result)
        elif function in _BIASED:
            parts = [*arguments, *(keywords[name] for name in ("batch1", "batch2") if name in keywords)]
            self._begin(parts[1], parts[2], float(keywords.get("alpha", 1.0)), result)
        else:
            self._continue(function, arguments, result)

    def _begin(self, query: Any, key: Any, scale: float, result: Tensor) -> None:
        if result.shape[-2:] != (self.tokens, self.tokens) or key.shape[-2] != query.shape[-1]:
            return
        heads = query.numel() // (self.tokens * query.shape[-1])
        if (
            heads == self.head_count
            and self.head_count % max(key.numel() // (self.tokens * query.shape[-1]), 1) == 0
        ):
            self._followed[id(result)] = _Followed(result, query, key.transpose(-1, -2), scale, False)

    def _continue(self, function: Any, arguments: tuple[Any, ...], result: Tensor) -> None:
        flat = [part for one in arguments for part in (one if isinstance(one, tuple | list) else [one])]
        sources = [self._followed[id(part)] for part in flat if id(part) in self._followed]
        keeps = result.ndim >= 3 and result.shape[-2] == self.tokens and result.shape[-1] >= self.tokens
        if not sources or not keeps or not result.is_floating_point():
            return
        scale = sources[0].scale
        if function in _TIMES or function in _OVER:
            factors = [
                float(p)
                for p in flat
                if isinstance(p, int | float) or (isinstance(p, Tensor) and p.numel() == 1)
            ]
            if len(factors) == 1:
                scale = scale * factors[0] if function in _TIMES else scale / factors[0]
        mixed = len({id(source.query) for source in sources}) > 1 or any(
            source.is_mixed for source in sources
        )
        self._followed[id(result)] = sources[0]._replace(scores=result, scale=scale, is_mixed=mixed)


def _require_same(name: str, found: QueryKeyReading, dtype: torch.dtype) -> None:
    """Raise unless the products and what is added to them give the weights that the model used."""
    scores = (found.keys @ found.query) * found.scale + found.additions
    scores = scores.masked_fill(~found.allowed, -torch.inf)
    if found.rival is not None:
        scores = torch.cat([scores, scores.new_tensor([found.rival])])
    expected = torch.softmax(scores, dim=-1)[: len(found.weights)].nan_to_num(0)
    if not bool(torch.isfinite(found.keys).all()):
        raise NumericalError(f"The keys of {name} are not finite.", hint="Load it with dtype='float32'.")
    if not bool((expected - found.weights).abs().max() <= max(_TOLERANCE, 4 * torch.finfo(dtype).eps)):
        raise UnsupportedModelError(
            f"The products of queries and keys of {name} do not give its attention weights.", hint=HINT
        )
