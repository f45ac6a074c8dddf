"""Read the queries and keys behind one head's weights, as attention uses them.

They are taken where attention is recognized (``mode.py``): with rotary positions applied, shared keys
assigned to their heads, and whatever else a model does to them. A fused kernel receives them; in eager code
they are what entered the matrix product whose result, scaled and biased, reached the softmax.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_understanding.attention.capture.layer import (
    EagerWeights,
    FusedWeights,
    LayerWeights,
    masked_below,
    may_attend,
    precise,
)
from model_understanding.attention.capture.mode import captured_forward
from model_understanding.attention.capture.reader import AttentionReader
from model_understanding.attention.capture.recognition import by_heads
from model_understanding.errors import NumericalError, UnsupportedModelError
from model_understanding.model.attention_layout import Sides, Stack, sides_of
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.model.operations import DIVISIONS, MULTIPLICATIONS, PRODUCTS, is_number
from model_understanding.text.encoding import Encoding

_TOLERANCE = 1e-5  # of a weight, at most 1; in 16-bit models a few roundings instead
HINT = "Load the model with attn_implementation='sdpa' or 'eager', or use compute_attention."


class QueryKeyReading(NamedTuple):
    """One query, all keys, and what turns their products into weights.

    Args:
        query: The query.
        keys: The keys.
        scale: Factor of their products.
        additions: What else enters a key's score (position biases, soft caps); 0 where masked.
        allowed: Which keys the query may attend to.
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


def read_query_key(
    model: Model, encoding: Encoding, layer: int, head: int, query: int, stack: Stack | None = None
) -> QueryKeyReading:
    """Run one text once and read one query of one head with all its keys.

    Args:
        model: The model.
        encoding: One text.
        layer: The layer, by the model's own index.
        head: The head, from 0.
        query: The position of the query.
        stack: Which stack of an encoder–decoder.

    Raises:
        UnsupportedModelError: The queries and keys of this model cannot be found, or what they give is not
            the model's own weights.
    """
    reader = _QueryKeyReader(model, sides_of(encoding, stack), layer, head, query)
    with guarded(model.module, gradients=False), reader.trace:
        captured_forward(reader, encoding)
    if reader.reading is None:
        raise UnsupportedModelError(
            f"Could not find the queries and keys of {reader.model_name} in what reaches its softmax.",
            hint=HINT,
        )
    _require_same_weights(reader.model_name, reader.reading, model.dtype)
    return reader.reading


class _QueryKeyReader(AttentionReader):
    """Reads one query of one head and all its keys."""

    def __init__(self, model: Model, sides: Sides, layer: int, head: int, query: int) -> None:
        super().__init__(model, sides)
        self.layers = (layer,)
        self.reading: QueryKeyReading | None = None
        position = self.layout.position(layer)
        self._heads, self._head, self._query = self.layout.heads_of(layer), head, query
        self.trace = _ScoreTrace(sides, self._heads, lambda: self.layers_seen == position)

    def read_weights(self, layer: int, weights: LayerWeights, scores: Tensor | None) -> None:
        """Read the layer's query and keys."""
        if isinstance(weights, FusedWeights):
            self._read_fused(weights)
        elif isinstance(weights, EagerWeights) and scores is not None:
            self._read_eager(weights, scores)

    def _read_fused(self, layer: FusedWeights) -> None:
        row = self._query
        mask = layer.query.new_zeros(1, 1, 1, self.keys) if layer.mask is None else layer.mask
        mask = mask.expand(1, layer.shape[1], -1, self.keys)[0, self._head]
        mask = mask[row if mask.shape[0] > 1 else 0]
        allowed = may_attend(mask)
        if layer.is_causal:
            allowed = allowed & (torch.arange(self.keys, device=allowed.device) <= row)
        is_added = mask.dtype != torch.bool
        additions = torch.where(allowed, mask, 0) if is_added else layer.query.new_zeros(self.keys)
        block = layer.block(0, [row])
        weights = torch.zeros(self.keys, dtype=block.weights.dtype)
        weights[block.first_key : block.end_key] = block.weights[0, self._head, 0].cpu()
        query, keys, scale = self._of_head(layer.query, layer.key, layer.scale)
        self._keep(query, keys, scale, additions, allowed, weights)

    def _read_eager(self, layer: EagerWeights, scores: Tensor) -> None:
        source = self.trace.source_of(scores)
        if source is None or source.mixes_products:
            return
        row = precise(by_heads(scores.detach(), self._heads)[0, self._head, self._query])
        query, keys, scale = self._of_head(source.query, source.key, source.scale)
        products = (keys @ query) * scale
        allowed = row[: self.keys] > masked_below(scores.dtype)
        additions = torch.where(allowed, row[: self.keys] - products, 0)
        weights = layer.weights[0, self._head, self._query]
        rival = None
        if len(row) > self.keys:  # subtracting one number from all scores of a row changes no weight
            shift = additions[allowed].mean()
            if bool((additions[allowed] - shift).abs().max() <= _TOLERANCE * products.abs().max()):
                additions, row = torch.zeros_like(additions), row - shift
            rival = float(row[self.keys])
        self._keep(query, keys, scale, additions, allowed, weights, rival)
        self.trace.clear()

    def _of_head(self, query: Tensor, key: Tensor, scale: float) -> tuple[Tensor, Tensor, float]:
        """Return one head's query and keys; several heads may share their keys."""
        queries = query.detach().reshape(-1, self.queries, query.shape[-1])
        keys = key.detach().reshape(-1, self.keys, key.shape[-1])
        group = self._head * len(keys) // self._heads
        return precise(queries[self._head, self._query]), precise(keys[group]), scale

    def _keep(
        self,
        query: Tensor,
        keys: Tensor,
        scale: float,
        additions: Tensor,
        allowed: Tensor,
        weights: Tensor,
        rival: float | None = None,
    ) -> None:
        self.reading = QueryKeyReading(
            query.cpu(),
            keys.cpu(),
            scale,
            precise(additions).cpu(),
            allowed.cpu(),
            precise(weights).cpu(),
            rival,
        )


class _TracedScores(NamedTuple):
    """Scores that follow from one product of queries and keys."""

    scores: Tensor  # kept alive, so that no other tensor gets its id
    query: Tensor
    key: Tensor
    scale: float
    mixes_products: bool


class _ScoreTrace(TorchFunctionMode):
    """Follows eager code's scores from the product of queries and keys to the softmax.

    Args:
        sides: How many queries and keys there are.
        head_count: How many heads a layer has.
        is_active: Returns whether what runs now is to be followed.
    """

    def __init__(self, sides: Sides, head_count: int, is_active: Callable[[], bool]) -> None:
        super().__init__()
        self._is_active = is_active
        self._queries, self._keys = sides.plane
        self._head_count = head_count
        self._traced: dict[int, _TracedScores] = {}

    def source_of(self, scores: Tensor) -> _TracedScores | None:
        """Return what scores follow from, if that was seen."""
        return self._traced.get(id(scores))

    def clear(self) -> None:
        """Forget what was traced."""
        self._traced = {}

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        keywords = keywords or {}
        result = function(*arguments, **keywords)
        if isinstance(result, Tensor) and self._is_active():
            name = function.__name__
            if name in PRODUCTS and len(arguments) == 2:
                self._begin(arguments[0], arguments[1], 1.0, result)
            elif name == "baddbmm":
                factors = [keywords[batch] for batch in ("batch1", "batch2") if batch in keywords]
                _, query, key, *_ = [*arguments, *factors]
                self._begin(query, key, float(keywords.get("alpha", 1.0)), result)
            else:
                self._continue(name, arguments, result)
        return result

    def _begin(self, query: Any, key: Any, scale: float, result: Tensor) -> None:
        if result.shape[-2:] != (self._queries, self._keys) or key.shape[-2] != query.shape[-1]:
            return
        width = query.shape[-1]
        heads = query.numel() // (self._queries * width)
        groups = max(key.numel() // (self._keys * width), 1)
        if heads == self._head_count and heads % groups == 0:
            self._traced[id(result)] = _TracedScores(result, query, key.transpose(-1, -2), scale, False)

    def _continue(self, name: str, arguments: tuple[Any, ...], result: Tensor) -> None:
        flat = [part for one in arguments for part in (one if isinstance(one, tuple | list) else [one])]
        sources = [self._traced[id(part)] for part in flat if id(part) in self._traced]
        has_rows = result.ndim >= 3 and result.shape[-2] == self._queries and result.shape[-1] >= self._keys
        if not sources or not has_rows or not result.is_floating_point():
            return
        scale = sources[0].scale
        if name in MULTIPLICATIONS or name in DIVISIONS:
            numbers = [float(part) for part in flat if is_number(part)]
            if len(numbers) == 1:
                scale = scale * numbers[0] if name in MULTIPLICATIONS else scale / numbers[0]
        mixes_products = len({id(source.query) for source in sources}) > 1 or any(
            source.mixes_products for source in sources
        )
        self._traced[id(result)] = sources[0]._replace(
            scores=result, scale=scale, mixes_products=mixes_products
        )


def _require_same_weights(name: str, reading: QueryKeyReading, dtype: torch.dtype) -> None:
    """Raise unless the products and what is added to them give the weights that the model used."""
    scores = (reading.keys @ reading.query) * reading.scale + reading.additions
    scores = scores.masked_fill(~reading.allowed, -torch.inf)
    if reading.rival is not None:
        scores = torch.cat([scores, scores.new_tensor([reading.rival])])
    expected = torch.softmax(scores, dim=-1)[: len(reading.weights)].nan_to_num(0)
    if not bool(torch.isfinite(reading.keys).all()):
        raise NumericalError(f"The keys of {name} are not finite.", hint="Load it with dtype='float32'.")
    if not bool((expected - reading.weights).abs().max() <= max(_TOLERANCE, 4 * torch.finfo(dtype).eps)):
        raise UnsupportedModelError(
            f"The products of queries and keys of {name} do not give its attention weights.", hint=HINT
        )
