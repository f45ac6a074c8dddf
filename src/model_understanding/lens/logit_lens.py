"""Read every layer's hidden states through the model's own tail: the logit lens, from one forward.

What enters a block, and what leaves the last one, is kept at the chosen positions while the model runs.
Each layer's states then go through the operations that the model itself ran after its last block
(``tail.py``), and are reduced before the next layer's: no array of layers × positions × vocabulary is held.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model_understanding.errors import NumericalError, UnsupportedModelError
from model_understanding.lens.replay import HINT, Tail
from model_understanding.model.blocks import Block, entering_states, transformer_blocks
from model_understanding.model.finite import first_broken_layer, require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model
from model_understanding.text.encoding import Encoding

_ROUNDINGS = 4  # of the largest logit: what another order of the same sums may change
_CELLS_AT_ONCE = 2**22  # positions × vocabulary that are reduced together: 32 MiB of 64-bit floats


class LensReadings(NamedTuple):
    """What each layer's hidden states say through the model's tail; layers in the order they run.

    The first layer is what enters block 0, the next ones what enters block 1, 2, …, the last what leaves
    the last block.

    Args:
        top_ids: The likeliest entries.
        top_probabilities: Their probabilities.
        entropies: Entropy in nats.
        divergences: ``KL(last layer ‖ layer)`` in nats.
        tracked_ranks: Rank of each tracked entry, from 1; 0 where none is tracked.
        tracked_probabilities: Its probability; 0 where none is tracked.
    """

    top_ids: Int[Tensor, "layers positions top"]
    top_probabilities: Float[Tensor, "layers positions top"]
    entropies: Float[Tensor, "layers positions"]
    divergences: Float[Tensor, "layers positions"]
    tracked_ranks: Int[Tensor, "tracks layers positions"]
    tracked_probabilities: Float[Tensor, "tracks layers positions"]


def read_layers(
    model: Model,
    encoding: Encoding,
    *,
    positions: Sequence[int] | None,
    followed: Sequence[int],
    top: int,
) -> LensReadings:
    """Run one text once and read each layer's states through the model's own tail.

    Args:
        model: The model.
        encoding: One text.
        positions: Where a language model's next token is read; ``None`` for a classifier's one answer.
        followed: An entry to track for each position, −1 for none; the last layer's likeliest is the other
            track.
        top: How many of the likeliest entries to keep.

    Returns:
        The readings; ``tracked_*`` of the last layer's likeliest entry, then of those followed.

    Raises:
        UnsupportedModelError: The blocks cannot be told, the way from the last of them to the logits cannot
            be followed, or followed again it does not give the model's own logits.
        NumericalError: A layer's states give logits that are not finite.
    """
    module = model.module
    try:
        blocks = transformer_blocks(model)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(error.message, hint=HINT) from error
    first = 0 if positions is None else min(positions)
    encoding = encoding if positions is None else encoding.prefix(max(positions) + 1)
    tail = Tail(module)
    with guarded(module, gradients=False):
        with _kept_states(module, blocks, positions, tail) as states, tail:
            outputs = model.forward(encoding, first)
        count_forward(encoding.ids.numel())
        tail.finish(outputs.logits)
        require_finite(outputs.logits, "logits", lambda: first_broken_layer(module, encoding.inputs))
        reduce = _Reduction(outputs.logits, encoding.ids.shape[1], positions, followed, top)
        for number, layer in enumerate(states.layers):
            logits = tail(states.whole(layer))
            if number == len(blocks):
                _require_same(model.name, reduce.chosen(logits), reduce.final)
                logits = outputs.logits  # to the last bit
            reduce.take(number, logits)
    return reduce.readings()


class _States:
    """The hidden states of each layer at the chosen positions.

    Args:
        positions: The positions; all where ``None``.
    """

    def __init__(self, positions: Sequence[int] | None) -> None:
        self.layers: list[Tensor] = []
        self._positions = None if positions is None else list(positions)
        self._place: Tensor | None = None

    def keep(self, states: Tensor) -> None:
        """Keep a copy of a layer's states, ``(1, tokens, width)`` (in XLNet ``(tokens, 1, width)``)."""
        self._place = states
        if self._positions is None:
            self.layers.append(states.detach().clone())
        else:
            self.layers.append(states.detach()[:, self._positions])

    def whole(self, layer: Tensor) -> Tensor:
        """Return a layer's states in the shape of the last block's output, on its device.

        Places that were not chosen hold zeros: the tail of a language model reads one position at a time,
        and if it did not, the last layer's logits would come out otherwise and the model be refused.
        """
        assert self._place is not None
        layer = layer.to(self._place.device, self._place.dtype)
        if self._positions is None:
            return layer
        whole = layer.new_zeros(self._place.shape)
        whole[:, self._positions] = layer
        return whole


@contextmanager
def _kept_states(
    model: nn.Module, blocks: Sequence[Block], positions: Sequence[int] | None, tail: Tail
) -> Iterator[_States]:
    """Keep what enters each block and leaves the last one, for one forward, and start its tail there."""
    kept = _States(positions)
    calls: dict[nn.Module, int] = dict.fromkeys((block.module for block in blocks), 0)
    name = type(model).__name__

    def before(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        states = entering_states(module, arguments, keywords)
        if states is None:
            raise UnsupportedModelError(
                f"{name} did not run its block {type(module).__name__} on hidden states.", hint=HINT
            )
        kept.keep(states)

    def after(module: nn.Module, _: Any, output: Any) -> None:
        calls[module] += 1
        if module is blocks[-1].module and calls[module] == blocks[-1].calls:
            states = output[0] if isinstance(output, tuple | list) else output
            if not isinstance(states, Tensor) or states.ndim != 3:
                raise UnsupportedModelError(
                    f"The last block of {name} gives no hidden states that could be followed.", hint=HINT
                )
            kept.keep(states)
            tail.begin(states)

    handles = [module.register_forward_pre_hook(before, with_kwargs=True) for module in calls]
    handles.append(blocks[-1].module.register_forward_hook(after))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()
    if len(kept.layers) != len(blocks) + 1:
        raise UnsupportedModelError(
            f"{name} ran {len(kept.layers)} times through its {len(blocks)} blocks.", hint=HINT
        )


class _Distribution:
    """Distributions over the entries, so written that small entropies and divergences stay exact.

    Args:
        logits: Their logits, in 64 bits: the divergence of two layers that agree is far below 1.
    """

    def __init__(self, logits: Float[Tensor, "positions entries"]) -> None:
        self._below = logits - logits.amax(-1, keepdim=True)
        powers = self._below.exp()
        totals = powers.sum(-1, keepdim=True)
        self.probabilities = powers / totals
        self._logs = totals[:, 0].log()

    def entropy(self) -> Float[Tensor, " positions"]:
        """Return ``−Σ p log p`` as a sum of numbers that are all positive."""
        return self._logs - (self.probabilities * self._below).sum(-1)

    def divergence_from(self, other: "_Distribution") -> Float[Tensor, " positions"]:
        """Return ``KL(self ‖ other)`` from differences of logits, never of their exponentials."""
        apart = (self.probabilities * (self._below - other._below)).sum(-1)
        return (apart - (self._logs - other._logs)).clamp(min=0)


class _Reduction:
    """Reduces the logits of one layer at a time to what is kept of it.

    Args:
        final: The model's own logits.
        tokens: How many tokens it read.
        positions: The positions to read; ``None`` for a classifier.
        followed: The entry to track at each, −1 for none.
        top: How many of the likeliest entries to keep.
    """

    def __init__(
        self, final: Tensor, tokens: int, positions: Sequence[int] | None, followed: Sequence[int], top: int
    ) -> None:
        self._places: list[int] | None = None
        if positions is not None:  # the model may have computed the logits of the last positions only
            skipped = tokens - final.shape[1]
            self._places = [position - skipped for position in positions]
        self.final = self.chosen(final)
        self._top = min(top, self.final.shape[-1])
        likeliest = self.final.topk(1, dim=-1).indices[:, 0]
        given = torch.as_tensor(list(followed), dtype=torch.long, device=likeliest.device)
        self._tracked = torch.stack([likeliest, given])
        self._final: _Distribution | None = None
        self._kept: list[list[Tensor]] = []

    def chosen(self, logits: Tensor) -> Float[Tensor, "positions entries"]:
        """Return the rows of logits that are read."""
        return logits if self._places is None else logits[0, self._places]

    def take(self, number: int, logits: Tensor) -> None:
        """Reduce and keep a layer's logits."""
        rows = self.chosen(logits)
        if not bool(torch.isfinite(rows).all()):
            raise NumericalError(
                f"The logits of layer {number}, read through the head in {rows.dtype}, are not finite.",
                hint="Load the model with dtype='float32'.",
            )
        step = max(1, _CELLS_AT_ONCE // rows.shape[-1])
        parts = [
            self._reduced(rows[start : start + step], slice(start, start + step))
            for start in range(0, len(rows), step)
        ]
        self._kept.append([torch.cat(group) for group in zip(*parts, strict=True)])

    def _reduced(self, rows: Tensor, which: slice) -> list[Tensor]:
        own, final = _Distribution(rows.double()), self._final_of(which)
        best = rows.topk(self._top, dim=-1).indices
        tracked = self._tracked[:, which].T
        is_tracked = tracked >= 0
        places = tracked.clamp(min=0)
        reached = rows.gather(1, places)
        ranks = torch.stack(
            [(rows > reached[:, [track]]).sum(-1) + 1 for track in range(reached.shape[1])], dim=1
        )
        return [
            best,
            own.probabilities.gather(1, best),
            own.entropy(),
            final.divergence_from(own),
            ranks * is_tracked,
            own.probabilities.gather(1, places) * is_tracked,
        ]

    def _final_of(self, which: slice) -> "_Distribution":
        """Return the last layer's distributions, kept where all positions are reduced together."""
        if self._final is not None:
            return self._final
        found = _Distribution(self.final[which].double())
        self._final = found if len(found.probabilities) == len(self.final) else None
        return found

    def readings(self) -> LensReadings:
        """Return what was kept of all layers."""
        ids, probabilities, entropies, divergences, ranks, chances = (
            torch.stack(group).cpu() for group in zip(*self._kept, strict=True)
        )
        ranks, chances = ranks.permute(2, 0, 1), chances.permute(2, 0, 1)
        return LensReadings(ids, probabilities, entropies, divergences, ranks, chances)


def _require_same(name: str, found: Tensor, expected: Tensor) -> None:
    allowed = _ROUNDINGS * torch.finfo(expected.dtype).eps * expected.abs().max()
    if not bool((found - expected).abs().max() <= allowed):
        raise UnsupportedModelError(
            f"What {name} does after its last block, done again, does not give its own logits.", hint=HINT
        )
