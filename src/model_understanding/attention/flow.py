"""Follow attention through the layers: from a token of the last one back to the tokens of the text.

Each layer is a transition, tokens × tokens, whose rows are computed when they are needed. A row of scores
goes down through the layers as ``r ← r · M_layer``: nothing tokens² is held, unless the model's own eager
code holds it already.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.attention.capture.layer import CELLS_AT_ONCE, AttentionLayer, blocks_of
from model_understanding.attention.capture.mode import CapturedAttention
from model_understanding.attention.capture.projections import BlockCapture
from model_understanding.attention.capture.reducers import Axis, Rows, choose_heads
from model_understanding.attention.capture.values import MixingLayer
from model_understanding.errors import InputError
from model_understanding.model.attention_layout import require_attention_in_every_layer
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

Transition = Callable[[Sequence[int]], Float[Tensor, "rows tokens"]]


def rows_of(
    layer: AttentionLayer, queries: Sequence[int], heads: Axis, factors: Tensor | None = None
) -> Float[Tensor, "rows tokens"]:
    """Return rows of one text's weights, heads joined.

    Args:
        layer: The layer.
        queries: Positions of the rows.
        heads: ``mean`` or ``max``.
        factors: What the weights of each head and key are multiplied by, ``(heads, tokens)``.
    """

    def joined() -> object:
        for block in blocks_of(layer, queries):
            weights = block.weights
            if factors is not None:
                weights = weights * factors[:, None, block.first : block.first + weights.shape[-1]]
            yield block._replace(weights=choose_heads(weights, heads))

    return Rows()(joined(), (1, 1, len(queries), layer.shape[2])).weights[0, 0]  # pyright: ignore[reportArgumentType]


def with_residual(rows: Float[Tensor, "rows tokens"], queries: Sequence[int]) -> Float[Tensor, "rows tokens"]:
    """Return ``½ row / Σ row + ½ identity``; a row without weights is the identity's."""
    identity = torch.zeros_like(rows)
    identity[torch.arange(len(rows)), list(queries)] = 1
    return (shares_of(rows, identity) + identity) / 2


def shares_of(rows: Float[Tensor, "rows tokens"], instead: Tensor) -> Float[Tensor, "rows tokens"]:
    """Return rows divided by their sums, and other rows instead of those that sum to 0."""
    sums = rows.sum(-1, keepdim=True)
    return torch.where(sums > 0, rows / torch.where(sums > 0, sums, 1), instead)


def held(transition: Transition, tokens: int) -> Transition:
    """Return a transition whose rows are all computed now."""
    matrix = torch.cat([transition(rows) for rows in _chunks(range(tokens), tokens)])
    return lambda queries: matrix[list(queries)]


def carried_back(
    start: Float[Tensor, "targets tokens"], transitions: Sequence[Transition], *, adds_identity: bool = False
) -> Float[Tensor, "targets tokens"]:
    """Return ``start · M_last ⋯ M_first``, computing only the rows that something flows through.

    Args:
        start: Rows of scores over the tokens of the last layer.
        transitions: The layers' transitions, first layer first.
        adds_identity: Whether each layer is ``I + M``; then ``start`` itself is taken off the result, which
            would drown what is small beside it.

    Returns:
        Rows of scores over the tokens of the text.
    """
    rows, gained = start, torch.zeros_like(start)
    for transition in reversed(transitions):
        active = rows.ne(0).any(dim=0).nonzero().flatten().tolist()
        below = torch.zeros_like(rows)
        for chunk in _chunks(active, rows.shape[1]):
            below += rows[:, list(chunk)] @ transition(chunk).to(rows)
        gained = gained + below if adds_identity else below
        rows = start + gained if adds_identity else below
    return gained


class FlowCapture(BlockCapture):
    """The mode, for one text, of a method that follows attention through every layer.

    Args:
        model: The model.
        tokens: Length of the text.
        name: The method's name, for errors.

    Raises:
        UnsupportedModelError: Some layer of the model is no attention that can be read.
    """

    cut_at: int | None = None
    """The layer whose mixture is made the leaf of the graph, from −1 at the end; none where left out."""
    needs_value: ClassVar[bool] = False
    """Whether the transitions are those of one target."""
    adds_identity: ClassVar[bool] = False
    """Whether each layer is the identity and its transition."""
    reruns = 0
    """How often each block is run again: as costly as so many forwards."""

    def __init__(self, model: Model, tokens: int, name: str) -> None:
        require_attention_in_every_layer(model, name)
        super().__init__(model, tokens)
        self.found: list[Transition] = []
        self.last_layer: MixingLayer | None = None
        self.looks_ahead = False

    def add(self, layer: AttentionLayer, transition: Transition) -> None:
        """Append a layer's transition."""
        self.looks_ahead = self.looks_ahead or layer.looks_ahead
        self.found.append(held(transition, self.tokens) if layer.is_held else transition)

    def leaving(self, number: int, mixture: Tensor) -> Tensor:
        """Return a mixture; the leaf of the graph where it is to start here."""
        if self.cut_at is None or number != self.cut_at % self.layer_count or not torch.is_grad_enabled():
            return mixture
        return mixture.detach().requires_grad_()

    def mixed(self, layer: MixingLayer) -> None:
        """Receive a layer with its values; the last one is kept for its gradient."""
        super().mixed(layer)
        self.last_layer = layer

    def transitions(self, value: Tensor | None) -> list[Transition]:
        """Return the layers' transitions, first layer first.

        Args:
            value: The target's value, for methods that differentiate it.
        """
        return self.found


CaptureMaker = Callable[[Model, int], FlowCapture]


def require_mean_heads(heads: Axis, name: str) -> None:
    """Raise where heads are chosen for a map that joins them by its own definition."""
    if heads != "mean":
        raise InputError(
            f"{name} joins the heads of a layer by its own definition. Got head={heads!r}.",
            hint="Leave head='mean'.",
        )


def checked_start(start_layer: int, layers: int) -> int:
    """Return a start layer counted from 0.

    Raises:
        InputError: There is no such layer.
    """
    if isinstance(start_layer, bool) or not -layers <= start_layer < layers:
        raise InputError(
            f"There is no layer {start_layer!r} to start from: the model has {layers}.",
            hint=f"Pass start_layer from 0 to {layers - 1}; 0 follows attention down to the text.",
        )
    return start_layer % layers


def flow_map(
    model: Model,
    encoding: Encoding,
    layers: Axis,
    queries: Sequence[int] | None,
    start_layer: int,
    name: str,
    capture_of: CaptureMaker,
) -> CapturedAttention:
    """Return what each layer's tokens come from, as products of the transitions below.

    Args:
        model: The model.
        encoding: The texts; each is run alone.
        layers: Indices of the layers to look from.
        queries: Positions of the rows; all where left out.
        start_layer: The lowest layer; the columns are the tokens that enter it.
        name: The map's name, for errors.
        capture_of: Makes the mode.

    Returns:
        Weights ``(B, L, 1, Q, T)`` and the cells that may be reached.

    Raises:
        InputError: Layers are to be joined, or lie below the start.
    """
    if isinstance(layers, str):
        raise InputError(
            f"{name} joins the layers from the text up to one: layer={layers!r} has no meaning here.",
            hint="Pass layer=-1 for all of them, or the index of the layer to look from.",
        )
    tokens = encoding.ids.shape[1]
    chosen = range(tokens) if queries is None else queries
    weights, masks = [], []
    for number in range(len(encoding)):
        text = encoding.row(number)
        length = text.ids.shape[1]
        capture = capture_of(model, length)
        with guarded(model.module, gradients=capture.cut_at is not None):
            first = checked_start(start_layer, capture.layer_count)
            if min(layers) < first:
                raise InputError(
                    f"{name} from layer {first} up cannot be seen from layer {min(layers)} below it.",
                    hint="Choose a lower start_layer or a higher layer.",
                )
            with capture:
                outputs = model.forward(text, length - 1 if model.is_language_model else 0)
            require_finite(outputs.logits, "logits")
            capture.require_complete()
            transitions = capture.transitions(_likeliest(model, outputs))
            if len(layers) > 1:
                transitions = [held(transition, length) for transition in transitions]
            start = torch.zeros((len(chosen), length), device=model.device)
            inside = [place for place, query in enumerate(chosen) if query < length]
            start[inside, [chosen[place] for place in inside]] = 1
            carry = partial(carried_back, start, adds_identity=capture.adds_identity)
            found = torch.stack([carry(transitions[first : layer + 1]) for layer in layers])
            found = found + start if capture.adds_identity else found
        padding = (0, tokens - length)
        weights.append(torch.nn.functional.pad(found, padding)[:, None])
        masks.append(torch.nn.functional.pad(_reachable(chosen, length, capture), padding))
    return CapturedAttention(torch.stack(weights), torch.stack(masks).to(weights[0].device))


def _likeliest(model: Model, outputs: Any) -> Tensor:
    """Return the logit of the likeliest class, or of the likeliest next token."""
    logits = outputs.logits
    return logits[0, -1].max() if model.is_language_model else logits[0].max()


def _reachable(queries: Sequence[int], tokens: int, capture: FlowCapture) -> Bool[Tensor, "queries tokens"]:
    rows = torch.as_tensor(list(queries))[:, None]
    keys = torch.arange(tokens)[None]
    return (rows < tokens) & ((keys <= rows) | capture.looks_ahead)


def _chunks(queries: Sequence[int], tokens: int) -> list[Sequence[int]]:
    size = max(1, CELLS_AT_ONCE // tokens)
    return [queries[start : start + size] for start in range(0, len(queries), size)]
