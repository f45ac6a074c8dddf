"""The difference between two models over many texts: which modules' weights make it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from model_understanding.checks import whole_number
from model_understanding.results.failure import Failure
from model_understanding.results.model_diff import ModelDiff, ModuleChange
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Rendered
from model_understanding.results.serialization import JsonResult
from model_understanding.statistics import t_quantile

if TYPE_CHECKING:
    import pandas

_LEVEL = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleMean(JsonResult):
    """A module whose weights differ, over many texts.

    A module's share of a text is its value over the sum of the magnitudes of all values.

    Args:
        name: The module's name in the first model.
        kind: Its kind, as in ``ModuleChange``.
        layer: The transformer block that it is a part of; ``None`` outside of the blocks.
        value: The mean of its values.
        share: The mean magnitude of its shares.
        share_interval: The 95 % confidence interval of that mean; ``None`` for a single text.
        signed_share: The mean of its shares: positive where it raises the target's value.
        signed_interval: Its interval, likewise.
    """

    name: str
    kind: str
    layer: int | None = None
    value: float
    share: float
    share_interval: Interval | None = None
    signed_share: float
    signed_interval: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelDiffSummary(Rendered):
    """Which modules' weights make the difference between two models, over many texts.

    Args:
        texts: Number of texts.
        failed: Number of texts that could not be compared.
        quantity: The quantity that was compared: ``logit``, ``log_prob``, …
        modules: The modules, those with the largest mean share first.
        difference: The mean of the differences: the value in the other model minus that in the first.
        size: The mean magnitude of the differences.
        largest: The largest magnitude of a difference.
        largest_text: The index of the text that has it.
        changed_answers: Number of texts that the other model answers differently.
        gap: The largest completeness gap.
        restored: How much of the magnitude of all differences came back where modules were restored.
        restored_at_random: The same for as many random modules; ``None`` if all were restored on each text.
        other: The origin of the other model.
        provenance: The origin of the first model.

    >>> changes = [ModuleChange(name="up", kind="linear", value=1.5),
    ...            ModuleChange(name="down", kind="linear", value=-0.5)]
    >>> from model_understanding.results.target import Target
    >>> from model_understanding.tokens import Tokens
    >>> diff = ModelDiff(tokens=Tokens.from_pieces(["a"]), target=Target(task="sequence-classification"),
    ...     value=0.0, other_value=1.0, modules=changes, at_tokens=[[1.5], [-0.5]], gap=0.0)
    >>> summary = ModelDiffSummary.of([diff, diff])
    >>> summary.texts, summary.modules[0].name, summary.modules[0].share
    (2, 'up', 0.75)
    """

    texts: int
    failed: int = 0
    quantity: str
    modules: tuple[ModuleMean, ...]
    difference: float
    size: float
    largest: float
    largest_text: int
    changed_answers: int = 0
    gap: float = 0.0
    restored: float | None = None
    restored_at_random: float | None = None
    other: Provenance = field(default_factory=Provenance)
    provenance: Provenance = field(default_factory=Provenance)

    @staticmethod
    def of(diffs: Iterable[ModelDiff | Failure]) -> "ModelDiffSummary":
        """Return the summary of diffs of the same two models, of which none is kept.

        Args:
            diffs: The diffs of one or more texts; failures are counted.

        Raises:
            ValueError: There is no diff.
        """
        sums = _Sums()
        for index, diff in enumerate(diffs):
            if isinstance(diff, Failure):
                sums.failed += 1
            else:
                sums.add(index, diff)
        return sums.summary()

    def strongest(self, top: int = 10) -> tuple[ModuleMean, ...]:
        """Return the modules with the largest mean shares.

        Args:
            top: Number of modules.

        Raises:
            InputError: ``top`` is not a whole number of at least 1.
        """
        return self.modules[: whole_number(top, "top")]

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per module."""
        import pandas

        rows = []
        for module in self.modules:
            low, high = module.share_interval or (None, None)
            signed_low, signed_high = module.signed_interval or (None, None)
            rows.append(
                {
                    "module": module.name,
                    "kind": module.kind,
                    "layer": module.layer,
                    "value": module.value,
                    "share": module.share,
                    "share_low": low,
                    "share_high": high,
                    "signed_share": module.signed_share,
                    "signed_low": signed_low,
                    "signed_high": signed_high,
                }
            )
        columns = ["module", "kind", "layer", "value", "share", "share_low", "share_high", "signed_share"]
        columns += ["signed_low", "signed_high"]
        return pandas.DataFrame(rows, columns=columns).astype({"layer": "Int64"})


class _Sums:
    """Running sums of diffs, so that none of them has to be kept."""

    def __init__(self) -> None:
        self.texts = self.failed = self.changed_answers = 0
        self._last: ModelDiff | None = None
        self._difference = self._size = self._gap = 0.0
        self._largest, self._largest_text = -1.0, 0
        self._restored = self._at_random = self._restorable = 0.0
        self._drawn = False
        self._modules: dict[str, tuple[ModuleChange, np.ndarray]] = {}

    def add(self, index: int, diff: ModelDiff) -> None:
        """Add the diff of the text with an index."""
        self.texts += 1
        self._last = diff
        self._difference += diff.difference
        self._size += abs(diff.difference)
        self._gap = max(self._gap, diff.gap)
        if abs(diff.difference) > self._largest:
            self._largest, self._largest_text = abs(diff.difference), index
        self.changed_answers += diff.answers is not None and diff.answers[0] != diff.answers[1]
        if diff.restored is not None:
            shares = diff.restored.random_shares
            self._drawn = self._drawn or bool(shares)
            self._restorable += abs(diff.difference)
            self._restored += abs(diff.difference) * diff.restored.share
            self._at_random += abs(diff.difference) * float(np.mean(shares or [diff.restored.share]))
        total = sum(abs(change.value) for change in diff.modules)
        for change in diff.modules:
            share = change.value / total if total else 0.0
            _, sums = self._modules.setdefault(change.name, (change, np.zeros(4)))
            sums += (change.value, abs(share), share, share * share)

    def summary(self) -> ModelDiffSummary:
        """Return the summary of all diffs that were added."""
        if self._last is None:
            raise ValueError("There is no diff to summarize.")
        modules = [self._mean(change, sums) for change, sums in self._modules.values()]
        restorable = self._restorable
        return ModelDiffSummary(
            texts=self.texts,
            failed=self.failed,
            quantity=self._last.target.quantity,
            modules=tuple(sorted(modules, key=lambda module: -module.share)),
            difference=self._difference / self.texts,
            size=self._size / self.texts,
            largest=self._largest,
            largest_text=self._largest_text,
            changed_answers=self.changed_answers,
            gap=self._gap,
            restored=self._restored / restorable if restorable else None,
            restored_at_random=self._at_random / restorable if restorable and self._drawn else None,
            other=self._last.other,
            provenance=self._last.provenance,
        )

    def _mean(self, change: ModuleChange, sums: np.ndarray) -> ModuleMean:
        value, share, signed, squares = (float(each) for each in sums / self.texts)
        return ModuleMean(
            name=change.name,
            kind=change.kind,
            layer=change.layer,
            value=value,
            share=share,
            share_interval=None
            if (ends := self._interval(share, squares)) is None
            else (max(ends[0], 0.0), ends[1]),
            signed_share=signed,
            signed_interval=self._interval(signed, squares),
        )

    def _interval(self, mean: float, squares: float) -> Interval | None:
        """Return the interval of a mean, from the mean of the squares."""
        if self.texts < 2:
            return None
        error = float(np.sqrt(max(squares - mean * mean, 0.0) / (self.texts - 1)))
        half = t_quantile(_LEVEL, self.texts - 1) * error
        return mean - half, mean + half
