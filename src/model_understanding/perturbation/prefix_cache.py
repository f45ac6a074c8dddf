"""Reuse keys and values of the positions before the first removed token of a causal model's variants.

The text runs once; each variant then runs from its first removed token on, with copies of the keys and values
before it. Whether the model's cache reproduces its logits is measured on the text. If it does not, or if the
model has no such cache (Mamba), variants run in full.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.model.batching import Batches
from model_understanding.model.causality import is_causal
from model_understanding.model.embeddings import replaced_embeddings
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.memory import forward_cost, most_positions
from model_understanding.model.metering import count_forward, count_memory, is_dry_run
from model_understanding.model.model import Model
from model_understanding.model.precision import precise
from model_understanding.passes.memory_estimate import pass_bytes
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.target_values import entries_of, read_values
from model_understanding.perturbation.cached_positions import (
    empty_cache,
    is_complete,
    may_have_cache,
    run_after,
    shared_prefix,
)
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

MakeVariants = Callable[[Bool[Tensor, "variants tokens"]], tuple[Encoding, Tensor | None]]
# Relative difference of logits that is rounding error: much larger in half precision.
_TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-8}
_HALF_TOLERANCE = 2e-2
_log = logging.getLogger("model_understanding")


class PrefixReuse:
    """Runs variants of one text from their first removed token on.

    Args:
        model: The model.
        encoding: One text, without padding.
        targets: Its targets.
    """

    def __init__(self, model: Model, encoding: Encoding, targets: Sequence[Target]) -> None:
        self.model = model
        self.encoding = encoding
        self.targets = list(targets)
        self._cache: Any = None
        self._failed = False
        self._is_shared: bool | None = None
        self._checks = 0
        self._values_before: Float[np.ndarray, "positions targets"] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether this model may have a usable cache."""
        return (
            not self._failed
            and self.model.is_language_model
            and not self.model.reads_two_sequences  # nearly every variant changes what the encoder reads
            and may_have_cache(self.model)
            and is_causal(self.model)
            and self._serves_all_targets()
        )

    def _serves_all_targets(self) -> bool:
        """Whether one forward pass gives every target what a pass over its own prefix would give."""
        if self._is_shared is None:
            groups = prefixes_of(self.model, self.encoding, entries_of([self.targets]), gradients=False)
            self._is_shared = [length for length, _ in groups] == [self.visible_length]
        return self._is_shared

    @property
    def visible_length(self) -> int:
        """Number of leading positions that the targets can depend on."""
        return max(max(target.positions) for target in self.targets) + 1

    def is_cheaper(self, removed: Bool[np.ndarray, "variants tokens"]) -> bool:
        """Return whether running variants from their first removed token on is cheaper than in full."""
        if len(removed) < 2 or not self.is_usable:
            return False
        batch_size = most_positions(self.model.device)
        full_overhead = _overhead(self.model, -(-len(removed) * self.visible_length // batch_size))
        groups = self._groups(_first_removed(removed, self.visible_length))
        positions = sum(len(rows) * (self.visible_length - start) for start, rows in groups)
        # Before the first variant: the text itself, and two rows of half of it to check the cache.
        check = 0 if self._cache is not None else 2 * self.visible_length + _overhead(self.model, 2)
        full = len(removed) * self.visible_length + full_overhead
        return positions + _overhead(self.model, len(groups)) + check < full

    def values(
        self, removed: Bool[np.ndarray, "variants tokens"], make: MakeVariants
    ) -> Float[np.ndarray, "variants targets"] | None:
        """Return the value of each target for each variant, or ``None`` if the cache is not usable.

        Args:
            removed: The tokens that are removed in each variant.
            make: Makes the variants' ids and, if they are replaced, embeddings.

        Returns:
            Values ``(M, N)``, or ``None``.
        """
        with guarded(self.model.module, gradients=False):
            if self._cache is None and not self._prepare():
                self._failed = True
                return None
            assert self._values_before is not None
            first = _first_removed(removed, self.visible_length)
            values = self._values_before[first]
            for start, rows in self._groups(first):
                if start < self.visible_length:
                    values[rows] = self._values_before[start] + self._run(removed[rows], start, make)
        return values

    def _run(
        self, removed: Bool[np.ndarray, "variants tokens"], start: int, make: MakeVariants
    ) -> Float[np.ndarray, "variants targets"]:
        parts = []
        batches = Batches(len(removed), self.visible_length - start, self.model.memory)
        for begin, end in batches:
            with batches.halving():
                parts.append(self._run_rows(removed[begin:end], start, make))
        return np.concatenate(parts)

    def _run_rows(
        self, removed: Bool[np.ndarray, "variants tokens"], start: int, make: MakeVariants
    ) -> Float[np.ndarray, "variants targets"]:
        targets = [self.targets] * len(removed)
        entries = [entry for entry in entries_of(targets) if entry.position >= start]
        lowest = min(entry.position for entry in entries)
        count_memory(
            lambda: pass_bytes(
                self.model, len(removed), self.visible_length, self.visible_length - lowest, is_cached=True
            )
        )
        if is_dry_run():
            count_forward(len(removed) * (self.visible_length - start))
            return np.zeros((len(removed), len(self.targets)))
        encoding, embeddings = make(torch.from_numpy(removed).to(self.model.device))
        replacement = None if embeddings is None else embeddings[:, start : self.visible_length]
        logits = self._logits(encoding.ids, start, lowest, replacement)
        count_forward(len(removed) * (self.visible_length - start))
        values = read_values(logits, lowest, entries, targets, self.model.output_activation)
        return values.double().cpu().numpy()

    def _logits(
        self, ids: Int[Tensor, "variants tokens"], start: int, lowest: int, embeddings: Tensor | None
    ) -> Float[Tensor, "variants positions vocabulary"]:
        """Run positions from ``start`` on and return the logits from position ``lowest`` on."""
        part = ids[:, start : self.visible_length]
        cache = shared_prefix(self._cache, start)
        replaced = nullcontext() if embeddings is None else replaced_embeddings(self.model, part, embeddings)
        with replaced:
            outputs = run_after(self.model, part, start, lowest, cache)
        logits = self.model.logits_in(outputs)[:, lowest - self.visible_length :]
        require_finite(logits, "logits", lambda: self.model.broken_layer({"input_ids": ids}))
        return logits

    def _prepare(self) -> bool:
        """Return whether keys and values of the text are cached and reproduce its logits.

        A dry run uses the result for the last text of this model, and measures only if there is none.
        """
        measured = self.model.actual.measured
        if not is_dry_run() or PrefixReuse not in measured:
            measured[PrefixReuse] = (self._fill_cache(), self._checks)
        works, checks = measured[PrefixReuse]
        for positions in (self.visible_length, 2 * (self.visible_length - self.visible_length // 2))[:checks]:
            count_forward(positions)
        if works and self._values_before is None:
            self._cache, self._values_before = (), np.zeros((self.visible_length + 1, len(self.targets)))
        return works

    def _fill_cache(self) -> bool:
        """Run the text once, keep its keys and values, and return whether they reproduce its logits."""
        entries = [entry for index, target in enumerate(self.targets) for entry in _single(target, index)]
        lowest = min(target.positions[0] for target, *_ in entries)
        ids = self.encoding.ids[:, : self.visible_length]
        try:
            outputs = run_after(self.model, ids, 0, lowest, empty_cache())
            self._checks += 1
            if not is_complete(outputs.past_key_values, self.visible_length):
                return False
            logits = self.model.logits_in(outputs)[:, lowest - self.visible_length :]
            self._cache = outputs.past_key_values
            middle = self.visible_length // 2
            again = self._logits(self.encoding.ids.expand(2, -1), middle, max(middle, lowest), None)
            self._checks += 1
        except (TypeError, ValueError, AttributeError, LookupError, RuntimeError) as error:
            _log.info("%s has no usable cache: %s", self.model.name, error)
            self._cache = None
            return False
        require_finite(logits, "logits", lambda: self.model.broken_layer({"input_ids": ids}))
        expected = logits[:, max(middle - lowest, 0) :]
        difference = float((precise(again) - precise(expected)).abs().max())
        if difference > _TOLERANCES.get(logits.dtype, _HALF_TOLERANCE) * float(expected.abs().max()):
            _log.info("The cache of %s does not reproduce its logits (%g).", self.model.name, difference)
            self._cache = None
            return False
        self._values_before = self._cumulative_values(entries, logits, lowest)
        return True

    def _cumulative_values(
        self, entries: list[tuple[Target, int, float]], logits: Tensor, lowest: int
    ) -> Float[np.ndarray, "positions targets"]:
        """Return the contribution of all earlier positions to the targets, for each position of the text."""
        singles = [[target for target, *_ in entries]]
        values = read_values(logits, lowest, entries_of(singles), singles, self.model.output_activation)
        contributions = np.zeros((self.visible_length + 1, len(self.targets)))
        for (target, index, weight), value in zip(entries, values[0].double().cpu().numpy(), strict=True):
            contributions[target.positions[0] + 1, index] += weight * value
        return contributions.cumsum(axis=0)

    def _groups(self, first: Int[np.ndarray, " variants"]) -> list[tuple[int, Int[np.ndarray, " rows"]]]:
        """Return which variants run together and from which position, at the lowest cost in positions.

        Variants are sorted by their first removed token. Neighbors share a forward pass if its overhead is
        larger than the cost of the positions that the later ones run unnecessarily.
        """
        starts, counts = np.unique(first, return_counts=True)
        best = np.zeros(len(starts) + 1)  # lowest cost of the first so many starts
        came_from = np.zeros(len(starts) + 1, dtype=int)
        rows_up_to = np.concatenate([[0], counts.cumsum()])
        for end in range(1, len(starts) + 1):
            positions = (rows_up_to[end] - rows_up_to[:end]) * (self.visible_length - starts[:end])
            forwards = np.where(positions > 0, -(-positions // most_positions(self.model.device)), 0)
            costs = best[:end] + positions + forwards * _overhead(self.model, 1)
            came_from[end] = int(costs.argmin())
            best[end] = costs[came_from[end]]
        groups, end = [], len(starts)
        while end > 0:
            begin = came_from[end]
            rows = np.flatnonzero((first >= starts[begin]) & (first <= starts[end - 1]))
            groups.append((int(starts[begin]), rows))
            end = begin
        return groups[::-1]


def _single(target: Target, index: int) -> list[tuple[Target, int, float]]:
    """Return each entry of a target as a separate target, with the target's index and the entry's weight."""
    weight = 1 / len(target.indices) if target.reduce == "mean" else 1.0
    return [
        (
            replace(
                target,
                positions=(position,),
                indices=(target.indices[i],),
                labels=(),
                against=(target.against[i],) if target.against else (),
                against_labels=(),
                reduce="sum",
            ),
            index,
            weight,
        )
        for i, position in enumerate(target.positions)
    ]


def _first_removed(
    removed: Bool[np.ndarray, "variants tokens"], visible_length: int
) -> Int[np.ndarray, " variants"]:
    """Return the position of each variant's first removed token, or the visible length if there is none."""
    return np.where(removed.any(axis=1), removed.argmax(axis=1), visible_length)


def _overhead(model: Model, forwards: int) -> int:
    """Return the overhead of forward passes, in positions."""
    return forwards * forward_cost(model.device)
