"""The logit lens: every layer's hidden states read through the model's own final layers, in one forward pass.

What enters a block, and what leaves the last one, is kept at the chosen positions while the model runs.
Each layer's states then go through the operations that the model itself ran after its last block
(``replay.py``), and are reduced before the next layer's: no array of layers × positions × vocabulary is held.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.errors import NumericalError, UnsupportedModelError
from model_understanding.lens.replay import HINT, FinalLayers
from model_understanding.model.blocks import Block, answering_blocks, entering_states
from model_understanding.model.finite import is_finite, require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

_ROUNDINGS = 4  # of the largest logit: what another order of the same sums may change
_CELLS_AT_ONCE = 2**22  # positions × vocabulary that are reduced together: 32 MiB of 64-bit floats


class LensReadings(NamedTuple):
    """What each layer's hidden states give through the final layers; layers in the order they run.

    The first layer is what enters block 0, the next ones what enters block 1, 2, …, the last what leaves
    the last block.

    Args:
        top_ids: The likeliest classes or tokens.
        top_probabilities: Their probabilities.
        entropies: Entropy in nats.
        divergences: ``KL(last layer ‖ layer)`` in nats.
        tracked_ranks: Rank of each tracked class or token, from 1; 0 where none is tracked.
        tracked_probabilities: Its probability; 0 where none is tracked.
    """

    top_ids: Int[Tensor, "layers positions top"]
    top_probabilities: Float[Tensor, "layers positions top"]
    entropies: Float[Tensor, "layers positions"]
    divergences: Float[Tensor, "layers positions"]
    tracked_ranks: Int[Tensor, "tracks layers positions"]
    tracked_probabilities: Float[Tensor, "tracks layers positions"]


@dataclass(frozen=True, slots=True, eq=False)
class LayerPass:
    """One forward pass over a text, with what enters each layer and what the model does after the last one.

    Args:
        tokens: Length of the text that ran.
        positions: Where states were kept; ``None`` for all.
        states: The states.
        final_layers: What follows the last block.
        answer: The model's own logits, from the first position on.
    """

    tokens: int
    positions: tuple[int, ...] | None
    states: "_States"
    final_layers: FinalLayers
    answer: Tensor


def run_layers(model: Model, encoding: Encoding, positions: Sequence[int] | None) -> LayerPass:
    """Run one text once and keep what enters each layer.

    Args:
        model: The model.
        encoding: One text.
        positions: Where a language model's next token is read, or a token at its own position; ``None`` for a
            classifier's one answer.

    Raises:
        UnsupportedModelError: The blocks cannot be located, or the logits do not follow from the last one.
        NumericalError: The logits are not finite.
    """
    module = model.module
    try:
        with model.own_failures(encoding):
            blocks = answering_blocks(model)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(error.message, hint=HINT) from error
    prefix = positions if model.is_language_model else None  # later tokens play no part
    first = 0 if prefix is None else min(prefix)
    encoding = encoding if prefix is None else encoding.prefix(max(prefix) + 1)
    tokens = encoding.ids.shape[1]
    final_layers = FinalLayers(module)
    with guarded(module, gradients=False):
        with (
            model.own_failures(encoding),
            _kept_states(module, blocks, positions, tokens, final_layers) as states,
            final_layers,
        ):
            outputs = model.forward(encoding, first)
        count_forward(encoding.ids.numel())
        answer = model.logits_in(outputs)
        final_layers.finish(answer)
        require_finite(answer, "logits", lambda: model.broken_layer(encoding.inputs))
    return LayerPass(tokens, None if positions is None else tuple(positions), states, final_layers, answer)


def read_layers(
    model: Model,
    encoding: Encoding,
    *,
    positions: Sequence[int] | None,
    tracked: Sequence[int],
    top: int,
    ran: LayerPass | None = None,
) -> LensReadings:
    """Read each layer's states of one text through the model's own final layers.

    Args:
        model: The model.
        encoding: One text.
        positions: Where a language model's next token is read, or a token at its own position; ``None`` for a
            classifier's one answer.
        tracked: A class or token to track at each position, −1 for none; the last layer's likeliest is
            tracked besides.
        top: How many of the likeliest classes or tokens to keep.
        ran: A forward pass that kept the states at these positions; one runs where left out.

    Returns:
        The readings; ``tracked_*`` of the last layer's likeliest class or token, then of those given.

    Raises:
        UnsupportedModelError: The blocks cannot be located, or the layers after the last of them cannot be
            replayed or do not reproduce the model's logits.
        NumericalError: A layer's states give logits that are not finite.
    """
    ran = ran or run_layers(model, encoding, positions)
    last = len(ran.states.layers) - 1
    with guarded(model.module, gradients=False):
        reduction = _Reduction(ran.answer, ran.tokens, positions, tracked, top)
        for layer, layer_states in enumerate(ran.states.layers):
            logits = ran.final_layers(ran.states.of_text(layer_states))
            if layer == last:
                _require_same(model.name, reduction.rows(logits), reduction.final)
                logits = ran.answer  # to the last bit
            reduction.add(layer, logits)
    return reduction.readings()


class _States:
    """The hidden states of each layer at the chosen positions.

    Args:
        positions: The positions; all where ``None``.
        tokens: Length of the text.
    """

    def __init__(self, positions: Sequence[int] | None, tokens: int) -> None:
        self.layers: list[Tensor] = []
        self._tokens = tokens
        self._positions = None if positions is None else list(positions)
        self._last: Tensor | None = None

    def keep(self, states: Tensor) -> None:
        """Keep a copy of a layer's states, ``(1, tokens, width)`` (in XLNet ``(tokens, 1, width)``)."""
        self._last = states
        if self._positions is None:
            self.layers.append(states.detach().clone())
        else:
            self.layers.append(states.detach()[:, self._rows(states)])

    def of_text(self, layer: Tensor) -> Tensor:
        """Return a layer's states in the shape of the last block's output, on its device.

        Other positions hold zeros: the final layers of a language model read one position at a time. If they
        did not, they would not reproduce the last layer's logits, and the model would be refused.
        """
        assert self._last is not None
        layer = layer.to(self._last.device, self._last.dtype)
        if self._positions is None:
            return layer
        states = layer.new_zeros(self._last.shape)
        states[:, self._rows(states)] = layer
        return states

    def _rows(self, states: Tensor) -> list[int]:
        """Return where the chosen positions are in states, which may be of the last positions only.

        Layers that share keys and values run for the positions whose logits are needed (Gemma 4).
        """
        assert self._positions is not None
        skipped = self._tokens - states.shape[1]
        return [position - skipped for position in self._positions]


@contextmanager
def _kept_states(
    model: nn.Module,
    blocks: Sequence[Block],
    positions: Sequence[int] | None,
    tokens: int,
    final_layers: FinalLayers,
) -> Iterator[_States]:
    """Keep what enters each block and leaves the last one in a forward pass; the final layers begin there."""
    kept = _States(None if blocks[-1].transposed else positions, tokens)
    calls: dict[nn.Module, int] = dict.fromkeys((block.module for block in blocks), 0)
    name = type(model).__name__

    def before(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        states = entering_states(module, arguments, keywords)
        if states is None:
            raise UnsupportedModelError(
                f"The block {type(module).__name__} of {name} does not receive hidden states.", hint=HINT
            )
        kept.keep(states)

    def after(module: nn.Module, _: Any, output: Any) -> None:
        calls[module] += 1
        if module is blocks[-1].module and calls[module] == blocks[-1].calls:
            states = output[0] if isinstance(output, tuple | list) else output
            if not isinstance(states, Tensor) or states.ndim != 3:
                raise UnsupportedModelError(
                    f"The last block of {name} does not return hidden states.", hint=HINT
                )
            kept.keep(states)
            final_layers.begin(states)

    handles = [module.register_forward_pre_hook(before, with_kwargs=True) for module in calls]
    handles.append(blocks[-1].module.register_forward_hook(after))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
    if len(kept.layers) != len(blocks) + 1:
        raise UnsupportedModelError(
            f"Expected {name} to run its {len(blocks)} blocks once each, found {len(kept.layers) - 1} runs.",
            hint=HINT,
        )


class _Distribution:
    """Distributions over classes or tokens, in a form in which small entropies and divergences stay exact.

    They are in 64 bits: the divergence of two layers that agree is far below 1. Vocabularies are large, and
    new memory costs more than arithmetic in it, so that the next layer's can be computed in their place.

    Args:
        logits: Their logits.
    """

    def __init__(self, logits: Float[Tensor, "positions entries"]) -> None:
        shape, device = logits.shape, logits.device
        self._below, self.probabilities, self._products = (
            torch.empty(shape, dtype=torch.float64, device=device) for _ in range(3)
        )
        self.set_to(logits)

    def set_to(self, logits: Float[Tensor, "positions entries"]) -> Self:
        """Compute the distributions of other logits, of the same shape, in place of these."""
        self._below.copy_(logits).sub_(logits.amax(-1, keepdim=True))
        torch.exp(self._below, out=self.probabilities)
        totals = self.probabilities.sum(-1, keepdim=True)
        self.probabilities.div_(totals)
        self._logs = totals[:, 0].log()
        return self

    def entropy(self) -> Float[Tensor, " positions"]:
        """Return ``−Σ p log p`` as a sum of positive terms."""
        return self._logs - torch.mul(self.probabilities, self._below, out=self._products).sum(-1)

    def divergence_from(self, other: "_Distribution") -> Float[Tensor, " positions"]:
        """Return ``KL(self ‖ other)`` from differences of logits, never of their exponentials."""
        differences = torch.sub(self._below, other._below, out=self._products)
        mean_difference = differences.mul_(self.probabilities).sum(-1)
        return (mean_difference - (self._logs - other._logs)).clamp(min=0)


class _Reduction:
    """Reduces the logits of one layer at a time to what is kept of it.

    Args:
        final: The model's own logits.
        tokens: How many tokens it read.
        positions: The positions to read; ``None`` for a classifier.
        tracked: The class or token to track at each, −1 for none.
        top: How many of the likeliest classes or tokens to keep.
    """

    def __init__(
        self, final: Tensor, tokens: int, positions: Sequence[int] | None, tracked: Sequence[int], top: int
    ) -> None:
        self._rows: list[int] | None = None
        if positions is not None:  # the model may have computed the logits of the last positions only
            skipped = tokens - final.shape[1]
            self._rows = [position - skipped for position in positions]
        self.final = self.rows(final)
        self._top = min(top, self.final.shape[-1])
        likeliest = self.final.topk(1, dim=-1).indices[:, 0]
        given = torch.as_tensor(list(tracked), dtype=torch.long, device=likeliest.device)
        self._tracked = torch.stack([likeliest, given])
        self._final: _Distribution | None = None
        self._own: _Distribution | None = None  # of the layer before, to be computed in its place
        self._kept: list[list[Tensor]] = []

    def rows(self, logits: Tensor) -> Float[Tensor, "positions entries"]:
        """Return the rows of logits that are read."""
        return logits if self._rows is None else logits[0, self._rows]

    def add(self, layer: int, logits: Tensor) -> None:
        """Reduce and keep a layer's logits."""
        rows = self.rows(logits)
        if not is_finite(rows):
            raise NumericalError(
                f"The logits of layer {layer}, read through the head in {rows.dtype}, are not finite.",
                hint="Load the model with dtype='float32'.",
            )
        step = max(1, _CELLS_AT_ONCE // rows.shape[-1])
        parts = [
            self._reduced(rows[start : start + step], slice(start, start + step))
            for start in range(0, len(rows), step)
        ]
        self._kept.append([torch.cat(group) for group in zip(*parts, strict=True)])

    def _reduced(self, rows: Tensor, which: slice) -> list[Tensor]:
        own, final = self._own_of(rows), self._final_of(which)
        best = rows.topk(self._top, dim=-1).indices
        tracked = self._tracked[:, which].T
        is_tracked = tracked >= 0
        indices = tracked.clamp(min=0)
        logits = rows.gather(1, indices)
        columns = logits.unbind(1)
        if all(torch.equal(column, columns[0]) for column in columns[1:]):
            columns = columns[:1]  # a greedy step's token is the last layer's likeliest
        ranks = torch.stack([(rows > column[:, None]).sum(-1) + 1 for column in columns], dim=1)
        return [
            best,
            own.probabilities.gather(1, best),
            own.entropy(),
            final.divergence_from(own),
            ranks * is_tracked,
            own.probabilities.gather(1, indices) * is_tracked,
        ]

    def _own_of(self, rows: Tensor) -> "_Distribution":
        """Return a layer's distributions, in the memory of the last layer's where that is as large."""
        if self._own is None or self._own.probabilities.shape != rows.shape:
            self._own = _Distribution(rows)
            return self._own
        return self._own.set_to(rows)

    def _final_of(self, which: slice) -> "_Distribution":
        """Return the last layer's distributions, kept where all positions are reduced together."""
        if self._final is not None:
            return self._final
        distributions = _Distribution(self.final[which])
        self._final = distributions if len(distributions.probabilities) == len(self.final) else None
        return distributions

    def readings(self) -> LensReadings:
        """Return what was kept of all layers."""
        ids, probabilities, entropies, divergences, ranks, tracked = (
            torch.stack(group).cpu() for group in zip(*self._kept, strict=True)
        )
        ranks, tracked = ranks.permute(2, 0, 1), tracked.permute(2, 0, 1)
        return LensReadings(ids, probabilities, entropies, divergences, ranks, tracked)


def _require_same(name: str, replayed: Tensor, expected: Tensor) -> None:
    allowed = _ROUNDINGS * torch.finfo(expected.dtype).eps * expected.abs().max()
    if not bool((replayed - expected).abs().max() <= allowed):
        raise UnsupportedModelError(
            f"Replaying {name}'s final layers does not reproduce its logits.", hint=HINT
        )
