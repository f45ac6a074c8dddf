"""Keep keys and values of the positions before the first removed token of a causal model's variants.

The text runs once; a variant then runs only from its first removed token on, over copies of the keys and
values before it. Whether the model's cache gives the same logits is measured on the text itself, not
believed: where it does not (or there is no such cache: Mamba), variants are recomputed.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from model_understanding.model.batching import Batches
from model_understanding.model.causality import is_causal
from model_understanding.model.embeddings import swapped_embeddings
from model_understanding.model.finite import first_broken_layer, require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.memory import forward_cost, most_positions
from model_understanding.model.metering import count_forward, count_memory, is_dry_run
from model_understanding.model.model import Model
from model_understanding.passes.memory_estimate import pass_bytes
from model_understanding.passes.target_values import entries_of, read_values
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

MakeVariants = Callable[[Bool[Tensor, "variants tokens"]], tuple[Encoding, Tensor | None]]
_AGREEMENT = {torch.float32: 2e-5, torch.float64: 1e-8}  # relative; half precision rounds far more
_HALF_AGREEMENT = 2e-2
_log = logging.getLogger("model_understanding")
# For rehearsals: whether a model's cache could be trusted when last tried, and after how many forwards.


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
        self._broken = False
        self._tried = 0
        self._before: Float[np.ndarray, "positions targets"] | None = None

    @property
    def usable(self) -> bool:
        """Whether this model may be asked for its cache at all."""
        accepted = self.model.accepted
        return (
            not self._broken
            and self.model.is_language_model
            and "past_key_values" in accepted
            and "use_cache" in accepted
            and is_causal(self.model)
        )

    @property
    def horizon(self) -> int:
        """How many positions the targets can depend on."""
        return max(max(target.positions) for target in self.targets) + 1

    def pays(self, removed: Bool[np.ndarray, "variants tokens"]) -> bool:
        """Return whether running from the first removed token costs less than running it all."""
        if len(removed) < 2 or not self.usable:
            return False
        at_once = most_positions(self.model.device)
        plain = _cost(self.model, -(-len(removed) * self.horizon // at_once))
        groups = self._groups(_first_removed(removed, self.horizon))
        reused = sum(len(rows) * (self.horizon - start) for start, rows in groups)
        # Before the first variant: the text itself, and two rows of half of it to check.
        once = 0 if self._cache is not None else 2 * self.horizon + _cost(self.model, 2)
        return reused + _cost(self.model, len(groups)) + once < len(removed) * self.horizon + plain

    def values(
        self, removed: Bool[np.ndarray, "variants tokens"], make: MakeVariants
    ) -> Float[np.ndarray, "variants targets"] | None:
        """Return the value of each target on each variant; none where the cache cannot be trusted.

        Args:
            removed: Which tokens each variant lacks.
            make: Makes the variants' ids and, where these are replaced, embeddings.

        Returns:
            Values ``(M, N)``, or ``None``.
        """
        with guarded(self.model.module, gradients=False):
            if self._cache is None and not self._prepare():
                self._broken = True
                return None
            assert self._before is not None
            first = _first_removed(removed, self.horizon)
            found = self._before[first]
            for start, rows in self._groups(first):
                if start < self.horizon:
                    found[rows] = self._before[start] + self._run(removed[rows], start, make)
        return found

    def _run(
        self, removed: Bool[np.ndarray, "variants tokens"], start: int, make: MakeVariants
    ) -> Float[np.ndarray, "variants targets"]:
        parts = []
        batches = Batches(len(removed), self.horizon - start, self.model.memory)
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
            lambda: pass_bytes(self.model, len(removed), self.horizon, self.horizon - lowest, is_cached=True)
        )
        if is_dry_run():
            count_forward(len(removed) * (self.horizon - start))
            return np.zeros((len(removed), len(self.targets)))
        encoding, embeddings = make(torch.from_numpy(removed).to(self.model.device))
        replaced = None if embeddings is None else embeddings[:, start : self.horizon]
        logits = self._logits(encoding.ids, start, lowest, replaced)
        count_forward(len(removed) * (self.horizon - start))
        values = read_values(logits, lowest, entries, targets, self.model.output_activation)
        return values.double().cpu().numpy()

    def _logits(
        self, ids: Int[Tensor, "variants tokens"], start: int, lowest: int, embeddings: Tensor | None
    ) -> Float[Tensor, "variants positions vocabulary"]:
        """Return logits from position ``lowest`` on, running positions from ``start`` on."""
        part = ids[:, start : self.horizon]
        cache = _beginning(self._cache, start, len(ids))
        with swapped_embeddings(self.model.module, part, embeddings):
            outputs = self._forward(part, start, lowest, cache)
        logits = outputs.logits[:, lowest - self.horizon :]
        require_finite(logits, "logits", lambda: first_broken_layer(self.model.module, {"input_ids": ids}))
        return logits

    def _forward(self, ids: Tensor, start: int, lowest: int, cache: Any) -> Any:
        accepted = self.model.accepted
        options: dict[str, Any] = {"past_key_values": cache, "use_cache": True, "return_dict": True}
        if "attention_mask" in accepted:
            options["attention_mask"] = torch.ones(
                len(ids), self.horizon, dtype=torch.long, device=ids.device
            )
        if "position_ids" in accepted:
            positions = torch.arange(start, self.horizon, device=ids.device)
            options["position_ids"] = positions[None].expand(len(ids), -1)
        if "logits_to_keep" in accepted:
            options["logits_to_keep"] = self.horizon - lowest
        return self.model.module(input_ids=ids, **options)

    def _prepare(self) -> bool:
        """Return whether keys and values of the text are kept and can be trusted.

        A dry run relies on what the last text of this model showed; only the first has to be tried.
        """
        measured = self.model.actual.measured
        if not is_dry_run() or PrefixReuse not in measured:
            measured[PrefixReuse] = (self._is_kept(), self._tried)
        works, tried = measured[PrefixReuse]
        for positions in (self.horizon, 2 * (self.horizon - self.horizon // 2))[:tried]:
            count_forward(positions)
        if works and self._before is None:
            self._cache, self._before = (), np.zeros((self.horizon + 1, len(self.targets)))
        return works

    def _is_kept(self) -> bool:
        """Run the text once, keep its keys and values, and check that they give its logits again."""
        entries = [entry for number, target in enumerate(self.targets) for entry in _single(target, number)]
        lowest = min(target.positions[0] for target, *_ in entries)
        ids = self.encoding.ids[:, : self.horizon]
        # Without the configuration no layer forgets: the mask alone makes a window of attention.
        cache = DynamicCache()
        try:
            outputs = self._forward(ids, 0, lowest, cache)
            self._tried += 1
            if not _is_whole(outputs.past_key_values, self.horizon):
                return False
            logits = outputs.logits[:, lowest - self.horizon :]
            self._cache = outputs.past_key_values
            middle = self.horizon // 2
            again = self._logits(self.encoding.ids.expand(2, -1), middle, max(middle, lowest), None)
            self._tried += 1
        except (TypeError, ValueError, AttributeError, LookupError, RuntimeError) as error:
            _log.info("%s keeps no usable cache: %s", self.model.name, error)
            self._cache = None
            return False
        require_finite(logits, "logits", lambda: first_broken_layer(self.model.module, {"input_ids": ids}))
        expected = logits[:, max(middle - lowest, 0) :]
        apart = float((again.float() - expected.float()).abs().max())
        if apart > _AGREEMENT.get(logits.dtype, _HALF_AGREEMENT) * float(expected.float().abs().max()):
            _log.info("%s: its cache gives other logits (%g).", self.model.name, apart)
            self._cache = None
            return False
        self._before = self._values_before(entries, logits, lowest)
        return True

    def _values_before(
        self, entries: list[tuple[Target, int, float]], logits: Tensor, lowest: int
    ) -> Float[np.ndarray, "positions targets"]:
        """Return what positions before each one add to the targets on the text itself."""
        singles = [[target for target, *_ in entries]]
        values = read_values(logits, lowest, entries_of(singles), singles, self.model.output_activation)
        read = values[0].double().cpu().numpy()
        added = np.zeros((self.horizon + 1, len(self.targets)))
        for (target, number, weight), value in zip(entries, read, strict=True):
            added[target.positions[0] + 1, number] += weight * value
        return added.cumsum(axis=0)

    def _groups(self, first: Int[np.ndarray, " variants"]) -> list[tuple[int, Int[np.ndarray, " rows"]]]:
        """Return which variants run together and from where: fewest positions, forwards counted in.

        Variants are sorted by their first removed token; neighbors share a forward where its own cost
        is more than the positions that the later of them run in vain.
        """
        starts, counts = np.unique(first, return_counts=True)
        best = np.zeros(len(starts) + 1)  # of the groups of the first so many starts
        came_from = np.zeros(len(starts) + 1, dtype=int)
        rows_up_to = np.concatenate([[0], counts.cumsum()])
        for end in range(1, len(starts) + 1):
            positions = (rows_up_to[end] - rows_up_to[:end]) * (self.horizon - starts[:end])
            forwards = np.where(positions > 0, -(-positions // most_positions(self.model.device)), 0)
            costs = best[:end] + positions + forwards * _cost(self.model, 1)
            came_from[end] = int(costs.argmin())
            best[end] = costs[came_from[end]]
        groups, end = [], len(starts)
        while end > 0:
            begin = came_from[end]
            rows = np.flatnonzero((first >= starts[begin]) & (first <= starts[end - 1]))
            groups.append((int(starts[begin]), rows))
            end = begin
        return groups[::-1]


def _single(target: Target, number: int) -> list[tuple[Target, int, float]]:
    """Return each entry of a target as a target of its own, the target's number and the entry's weight."""
    weight = 1 / len(target.indices) if target.reduce == "mean" else 1.0
    return [
        (
            replace(
                target,
                positions=(position,),
                indices=(target.indices[place],),
                labels=(),
                against=(target.against[place],) if target.against else (),
                against_labels=(),
                reduce="sum",
            ),
            number,
            weight,
        )
        for place, position in enumerate(target.positions)
    ]


def _first_removed(
    removed: Bool[np.ndarray, "variants tokens"], horizon: int
) -> Int[np.ndarray, " variants"]:
    """Return each variant's first removed token; the horizon where none is."""
    return np.where(removed.any(axis=1), removed.argmax(axis=1), horizon)


def _is_whole(cache: object, length: int) -> bool:
    """Return whether a cache holds keys and values of all positions in every layer, and nothing else."""
    layers = getattr(cache, "layers", None)
    return bool(layers) and all(
        type(layer) is DynamicLayer and layer.keys is not None and layer.keys.shape[-2] == length
        for layer in layers  # pyright: ignore[reportOptionalIterable]
    )


def _beginning(cache: Any, length: int, rows: int) -> Any:
    """Return a new cache of the first positions for several rows; the given one stays as it is."""
    part = DynamicCache()
    if length > 0:
        for number, layer in enumerate(cache.layers):
            part.update(
                layer.keys[..., :length, :].expand(rows, -1, -1, -1),
                layer.values[..., :length, :].expand(rows, -1, -1, -1),
                number,
            )
    return part


def _cost(model: Model, forwards: int) -> int:
    return forwards * forward_cost(model.device)
