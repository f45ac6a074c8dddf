"""Follow attention through the layers: from a token of the last one back to the tokens of the text.

Each layer is a matrix of relevance, tokens × tokens, whose rows are computed when they are needed. A row of
scores goes down through the layers as ``r ← r · M_layer``: nothing tokens² is held, unless the model's own
eager code holds it already.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.attention.capture.layer import CELLS_AT_ONCE, LayerWeights, RowBlock, row_blocks
from model_understanding.attention.capture.mode import captured_forward
from model_understanding.attention.capture.parts import LayerValues, ToHeads
from model_understanding.attention.capture.reader import AttentionReader, Depth
from model_understanding.attention.capture.reducers import Axis, Rows, choose_heads
from model_understanding.attention.capture.weights import CapturedAttention
from model_understanding.checks import index_in
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.model.attention_layout import (
    Sides,
    Stack,
    require_attention_in_every_layer,
    sides_of,
)
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

LayerMatrix = Callable[[Sequence[int]], Float[Tensor, "*batch rows tokens"]]
"""Computes rows of one layer's relevance matrix: what share of each query comes from each key."""


class FlowReader(AttentionReader):
    """Reads every layer of a text as a relevance matrix; some read texts of one length together.

    Args:
        model: The model.
        sides: How many tokens the text has, and which stack of an encoder–decoder is followed.

    Raises:
        UnsupportedModelError: Some layer has no attention that can be read, or the tokens of the stack come
            from another one too.
    """

    depth = Depth.VALUES
    name: ClassVar[str]
    """The method, for errors."""
    stacks: ClassVar[tuple[Stack | None, ...]] = (None, "encoder")
    """The stacks whose layers it can follow down to their own tokens."""
    takes_batches: ClassVar[bool] = False
    """Whether several texts of one length can be read in one forward pass."""
    per_target: ClassVar[bool] = False
    """Whether the matrices depend on a target's value."""
    adds_identity: ClassVar[bool] = False
    """Whether the identity is added to each matrix."""

    def __init__(self, model: Model, sides: Sides) -> None:
        if sides.stack not in self.stacks:
            raise UnsupportedModelError(
                f"The map {self.name} follows tokens through one stack of layers, and the decoder of "
                f"{model.name} also attends to its encoder.",
                hint="Use stack='encoder', or kind='raw' or kind='value_weighted' with "
                f"stack={sides.stack!r}.",
            )
        require_attention_in_every_layer(model, self.name, stack=sides.stack)
        super().__init__(model, sides)
        self.tokens = sides.queries
        self.leaf_layer: int | None = None
        """The layer whose output is the leaf of the graph, from −1 at the end; none without gradients."""
        self.last_layer: LayerValues | None = None
        self.last_gradient: Tensor | None = None
        """The gradient of the value whose matrices were computed, at the last layer's output by heads."""
        self.attends_ahead = False
        self._matrices: list[LayerMatrix] = []

    def replace_output(self, layer: int, output: Tensor, to_heads: ToHeads) -> Tensor:
        """Return the output, made the leaf of the graph in the layer where that starts."""
        if self.leaf_layer is None or layer != self.leaf_layer % self.layout.depth:
            return output
        return output.detach().requires_grad_() if torch.is_grad_enabled() else output

    def read_values(self, values: LayerValues) -> None:
        """Receive a layer; the last one is kept for its gradient."""
        self.last_layer = values
        self.attends_ahead = self.attends_ahead or values.weights.attends_ahead

    def matrices(self, value: Tensor | None) -> list[LayerMatrix]:
        """Return the relevance matrices, first layer first.

        Args:
            value: A target's value, for methods that differentiate it.
        """
        return self._matrices

    def add(self, weights: LayerWeights, matrix: LayerMatrix) -> None:
        """Append a layer's relevance matrix."""
        self._matrices.append(computed(matrix, self.tokens) if weights.in_memory else matrix)


MakeFlowReader = Callable[[Model, Sides], FlowReader]


def joined_heads(
    weights: LayerWeights, queries: Sequence[int], heads: Axis, factors: Tensor | None = None
) -> Float[Tensor, "batch rows tokens"]:
    """Return rows of weights with the heads joined.

    Args:
        weights: The layer's weights.
        queries: Positions of the rows.
        heads: ``mean`` or ``max``.
        factors: What the weights of each head and key are multiplied by, ``(heads, tokens)``.
    """

    def joined() -> Iterator[RowBlock]:
        for block in row_blocks(weights, queries):
            rows = block.weights
            if factors is not None:
                rows = rows * factors[:, None, block.first_key : block.end_key]
            yield block._replace(weights=choose_heads(rows, heads))

    return Rows()(joined(), (weights.shape[0], 1, len(queries), weights.shape[3])).weights[:, 0]


def with_residual(
    rows: Float[Tensor, "*batch rows tokens"], queries: Sequence[int]
) -> Float[Tensor, "*batch rows tokens"]:
    """Return ``½ row / Σ row + ½ identity``; a row without weights becomes the identity's."""
    identity = torch.zeros_like(rows)
    identity[..., torch.arange(rows.shape[-2]), list(queries)] = 1
    return (normalized_rows(rows, identity) + identity) / 2


def normalized_rows(
    rows: Float[Tensor, "*batch rows tokens"], fallback: Tensor
) -> Float[Tensor, "*batch rows tokens"]:
    """Return rows divided by their sums, and rows of another matrix in place of those that sum to 0."""
    sums = rows.sum(-1, keepdim=True)
    return torch.where(sums > 0, rows / torch.where(sums > 0, sums, 1), fallback)


def computed(matrix: LayerMatrix, tokens: int) -> LayerMatrix:
    """Return a relevance matrix with all its rows computed now."""
    rows = torch.cat([matrix(queries) for queries in _chunks(range(tokens), tokens)], dim=-2)
    return lambda queries: rows[..., list(queries), :]


def multiplied_down(
    start: Float[Tensor, "batch targets tokens"],
    matrices: Sequence[LayerMatrix],
    *,
    adds_identity: bool = False,
) -> Float[Tensor, "batch targets tokens"]:
    """Return ``start · M_last ⋯ M_first``, computing only the rows that something flows through.

    Args:
        start: Rows of scores over the tokens of the last layer, of each text.
        matrices: The layers' relevance matrices, first layer first.
        adds_identity: Whether each layer is ``I + M``; then ``start`` itself is subtracted from the result,
            which would otherwise hide everything small.

    Returns:
        Rows of scores over the tokens of the text.
    """
    rows, gained = start, torch.zeros_like(start)
    for matrix in reversed(matrices):
        active = rows.ne(0).flatten(0, 1).any(dim=0).nonzero().flatten().tolist()
        below = torch.zeros_like(rows)
        for queries in _chunks(active, len(rows) * rows.shape[-1]):
            below += _product(rows[..., list(queries)], matrix(queries).to(rows))
        gained = gained + below if adds_identity else below
        rows = start + gained if adds_identity else below
    return gained


def _product(
    rows: Float[Tensor, "batch targets active"], matrix: Float[Tensor, "*batch active tokens"]
) -> Float[Tensor, "batch targets tokens"]:
    """Return rows times a matrix; of one text without the axis of texts, in which torch sums otherwise."""
    return rows @ matrix if len(rows) > 1 else (rows[0] @ matrix.reshape(matrix.shape[-2:]))[None]


def require_mean_heads(heads: Axis, name: str) -> None:
    """Raise where heads are chosen for a map that joins them by its own definition."""
    if heads != "mean":
        raise InputError(
            f"The map {name} joins the heads of a layer by its own definition. Got head={heads!r}.",
            hint="Pass head='mean', or leave it out.",
        )


def flow_map(
    model: Model,
    encoding: Encoding,
    layers: Axis,
    queries: Sequence[int] | None,
    start_layer: int,
    make_reader: MakeFlowReader,
    stack: Stack | None = None,
) -> CapturedAttention:
    """Return what each layer's tokens come from, as products of the matrices below.

    Args:
        model: The model.
        encoding: The texts; each is run alone.
        layers: Indices of the layers to start from.
        queries: Positions of the rows; all where left out.
        start_layer: The lowest layer; the columns are the tokens that enter it.
        make_reader: Makes what reads the layers as relevance matrices.
        stack: The stack of an encoder–decoder that is followed.

    Returns:
        Weights ``(B, L, 1, Q, T)`` and the cells that may be reached.

    Raises:
        InputError: Layers are to be joined, or lie below the start.
    """
    name = make_reader(model, Sides(1, 1, stack)).name
    if isinstance(layers, str):
        raise InputError(
            f"The map {name} multiplies the layers from the text up to one. Got layer={layers!r}.",
            hint="Pass layer=-1 for all of them, or the index of the highest one.",
        )
    tokens = sides_of(encoding, stack).queries
    positions = range(tokens) if queries is None else queries
    weights, masks = [], []
    for row in range(len(encoding)):
        text = encoding.row(row)
        reader = make_reader(model, sides_of(text, stack))
        length = reader.tokens
        first = index_in(start_layer, reader.layout.depth, "start layer")
        if min(layers) < first:
            raise InputError(
                f"start_layer={first} lies above layer {min(layers)}.",
                hint="Choose a lower start_layer or a higher layer.",
            )
        with guarded(model.module, gradients=reader.leaf_layer is not None):
            _, logits = captured_forward(reader, text)
            matrices = reader.matrices(_likeliest(model, logits))
            if len(layers) > 1:
                matrices = [computed(matrix, length) for matrix in matrices]
            start = torch.zeros((len(positions), length), device=model.device, dtype=torch.float32)
            inside = [index for index, query in enumerate(positions) if query < length]
            start[inside, [positions[index] for index in inside]] = 1
            multiply = partial(multiplied_down, start[None], adds_identity=reader.adds_identity)
            products = torch.cat([multiply(matrices[first : layer + 1]) for layer in layers])
            products = products + start if reader.adds_identity else products
        padding = (0, tokens - length)
        weights.append(torch.nn.functional.pad(products, padding)[:, None])
        mask = _reachable(positions, length, attends_ahead=reader.attends_ahead)
        masks.append(torch.nn.functional.pad(mask, padding))
    return CapturedAttention(torch.stack(weights), torch.stack(masks).to(weights[0].device))


def _likeliest(model: Model, logits: Float[Tensor, "1 positions classes"]) -> Float[Tensor, ""]:
    """Return the largest logit; the sum over the positions of a model that answers at several at once."""
    if model.is_language_model or logits.shape[1] == 1:
        return logits[0, -1].max()
    return logits[0].amax(dim=-1).sum()


def _reachable(queries: Sequence[int], tokens: int, *, attends_ahead: bool) -> Bool[Tensor, "queries tokens"]:
    rows = torch.as_tensor(list(queries))[:, None]
    keys = torch.arange(tokens)[None]
    return (rows < tokens) & ((keys <= rows) | attends_ahead)


def _chunks(queries: Sequence[int], cells: int) -> list[Sequence[int]]:
    """Return queries in parts whose rows, of so many cells each, are not too large together."""
    size = max(1, CELLS_AT_ONCE // cells)
    return [queries[start : start + size] for start in range(0, len(queries), size)]
