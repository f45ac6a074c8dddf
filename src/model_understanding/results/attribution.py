"""Token attributions: how much each token contributes to a target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool, Float, Int

from model_understanding.checks import index_in
from model_understanding.errors import InputError, NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.rendering import Drawn
from model_understanding.results.target import Target, sum_of_steps
from model_understanding.statistics import t_quantile
from model_understanding.tokens import Level, Tokens, read_only

if TYPE_CHECKING:
    import pandas

SMALL_CHANGE = 0.01
"""Share of ``Σ|scores|``: gaps are relative to this if the target's change is smaller."""
_MANY_SAMPLES = 10**6  # standard errors of unknown origin: the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Attribution(Drawn):
    """Raw scores of T tokens for N targets, in the unit of the target if the method allows it.

    Args:
        tokens: The T tokens.
        targets: The N targets.
        scores: Contribution of each token to each target, shape ``(N, T)``; 0 if not valid.
        valid: Whether a token can contribute, shape ``(N, T)`` (the target of a causal model does not depend
            on later tokens).
        signed: Whether positive scores support the target and negative scores oppose it.
        outputs: Value of each target on this text, shape ``(N,)``.
        method: Name of the method.
        parameters: Parameters of the method.
        provenance: Origin of the scores.
        baseline_outputs: Value of each target on the baseline, shape ``(N,)``, for methods with a baseline.
        gaps: Completeness gap ``Σ scores − (output − baseline output)``, shape ``(N,)``, for methods that
            guarantee completeness.
        standard_errors: Standard error of each score, shape ``(N, T)``, for methods that sample.
        sample_counts: Number of independent samples behind each target's standard errors, shape ``(N,)``;
            0 if its scores are exact.

    Raises:
        ValueError: The shapes do not match.
        NumericalError: A score or an output is not finite.

    >>> Attribution.from_arrays(["good", "film"], [0.75, -0.25]).pairs()
    [('good', 0.75), ('film', -0.25)]
    """

    EMPTY: ClassVar[dict[str, str]] = {"scores": "scored", "standard_errors": "scored"}

    tokens: Tokens
    targets: tuple[Target, ...]
    scores: Float[np.ndarray, "targets tokens"]
    valid: Bool[np.ndarray, "targets tokens"]
    signed: bool
    outputs: Float[np.ndarray, " targets"]
    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    baseline_outputs: Float[np.ndarray, " targets"] | None = None
    gaps: Float[np.ndarray, " targets"] | None = None
    standard_errors: Float[np.ndarray, "targets tokens"] | None = None
    sample_counts: Int[np.ndarray, " targets"] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", tuple(self.targets))
        count, length = len(self.targets), len(self.tokens)
        valid = read_only(self.valid, np.bool_, (count, length), "valid")
        scores = np.where(valid, read_only(self.scores, np.float32, (count, length), "scores"), 0)
        object.__setattr__(self, "valid", valid)
        object.__setattr__(self, "scores", read_only(scores, np.float32, (count, length), "scores"))
        for name in ("outputs", "baseline_outputs", "gaps"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, read_only(values, np.float32, (count,), name))
        if self.standard_errors is not None:
            errors = read_only(self.standard_errors, np.float32, (count, length), "standard_errors")
            object.__setattr__(self, "standard_errors", errors)
        if self.sample_counts is not None:
            counts = read_only(self.sample_counts, np.int64, (count,), "sample_counts")
            object.__setattr__(self, "sample_counts", counts)
        for name in ("scores", "outputs", "baseline_outputs", "gaps", "standard_errors"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                raise NumericalError(
                    f"The {name} of {self.method!r} are not finite.",
                    hint="Load the model with dtype='float32' and try again.",
                )

    @property
    def scored(self) -> Bool[np.ndarray, "targets tokens"]:
        """Which tokens have a score for which target, shape ``(N, T)``.

        All that can contribute, except special and chat-template tokens with a score of exactly 0: methods
        that keep them in place have not measured them. Views and tables show no number for the others.
        """
        return self.valid & ~(self.tokens.special & (self.scores == 0))

    @classmethod
    def from_arrays(
        cls,
        tokens: Tokens | Sequence[str],
        scores: Sequence[float] | Sequence[Sequence[float]] | np.ndarray,
        *,
        labels: Sequence[str] | None = None,
        signed: bool = True,
        method: str = "custom",
    ) -> Self:
        """Build an attribution from scores computed elsewhere, to draw or save it.

        Args:
            tokens: Tokens, or one string per token.
            scores: Shape ``(T,)`` for one target or ``(N, T)``.
            labels: Name of each target.
            signed: Whether positive scores support the target and negative scores oppose it.
            method: Name of the method.

        Returns:
            The attribution; its outputs are the sums of its scores.
        """
        pieces = tokens if isinstance(tokens, Tokens) else Tokens.from_pieces(tokens)
        rows = np.atleast_2d(np.asarray(scores, dtype=np.float64))
        names = labels or [f"target {i}" if len(rows) > 1 else "target" for i in range(len(rows))]
        return cls(
            tokens=pieces,
            targets=tuple(Target(task="unknown", name=name, quantity="custom") for name in names),
            scores=rows,
            valid=np.ones(rows.shape, dtype=bool),
            signed=signed,
            outputs=rows.sum(axis=1),
            method=method,
        )

    def row(self, target: int = 0) -> Self:
        """Return the attribution of one target.

        Args:
            target: Index of the target; negative indices count from the end.

        Returns:
            An attribution with one row.

        Raises:
            InputError: There is no such target.
        """
        if not self.targets:
            raise InputError(
                "The attribution has no targets.", hint="Compute an attribution with at least one target."
            )
        index = index_in(target, len(self.targets), "target", "the attribution")
        return replace(
            self,
            targets=(self.targets[index],),
            scores=self.scores[index : index + 1],
            valid=self.valid[index : index + 1],
            outputs=self.outputs[index : index + 1],
            baseline_outputs=None
            if self.baseline_outputs is None
            else self.baseline_outputs[index : index + 1],
            gaps=None if self.gaps is None else self.gaps[index : index + 1],
            standard_errors=None if self.standard_errors is None else self.standard_errors[index : index + 1],
            sample_counts=None if self.sample_counts is None else self.sample_counts[index : index + 1],
        )

    def summed(self, first: int = 0, last: int = -1) -> Self:
        """Return the attribution of the sum of some neighboring targets, by default of all.

        Scores, outputs and gaps are added up; magnitudes of unsigned methods give an upper bound. Confidence
        intervals of the sum are not known.

        Args:
            first: Index of the first target; negative indices count from the end.
            last: Index of the last target.

        Returns:
            An attribution with one row; that of a single target is unchanged.

        Raises:
            InputError: There is no such target.
        """
        row = self.row(first)
        first, last = (
            index_in(index, len(self.targets), "target", "the attribution") for index in (first, last)
        )
        if last <= first:
            return row
        rows = slice(first, last + 1)

        def total(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows].sum(axis=0, keepdims=True)

        return replace(
            row,
            targets=(sum_of_steps(self.targets[rows]),),
            scores=self.scores[rows].sum(axis=0, keepdims=True),
            valid=self.valid[rows].any(axis=0, keepdims=True),
            outputs=self.outputs[rows].sum(keepdims=True),
            baseline_outputs=total(self.baseline_outputs),
            gaps=total(self.gaps),
            standard_errors=None,
            sample_counts=None,
        )

    def relative_gaps(self) -> Float[np.ndarray, " targets"] | None:
        """Return each target's completeness gap as a share of its change from the baseline.

        A change of less than a hundredth of ``Σ|scores|`` counts as this hundredth.

        Returns:
            Shape ``(N,)``; ``None`` for methods whose scores need not add up.
        """
        if self.gaps is None or self.baseline_outputs is None:
            return None
        changes = np.abs(self.outputs.astype(np.float64) - self.baseline_outputs)
        scale = np.maximum(changes, SMALL_CHANGE * np.abs(self.scores.astype(np.float64)).sum(axis=1))
        return np.abs(self.gaps) / np.where(scale > 0, scale, 1)

    def intervals(self, level: float = 0.95) -> Float[np.ndarray, "targets tokens"] | None:
        """Return the half-widths of confidence intervals of the scores, for methods that sample.

        ``t · standard error``, with the quantile of Student's t for the number of samples: with two pairs of
        orders it is 12.7, with many 1.96.

        Args:
            level: The confidence level.

        Returns:
            Shape ``(N, T)``; ``None`` for methods that do not sample.
        """
        if self.standard_errors is None:
            return None
        counts = [0] * len(self.targets) if self.sample_counts is None else self.sample_counts.tolist()
        quantiles = [t_quantile(level, count - 1 if count > 1 else _MANY_SAMPLES) for count in counts]
        return self.standard_errors * np.array(quantiles)[:, None]

    def normalized(self) -> Self:
        """Return the scores of each target scaled so that their absolute values sum to 1.

        Standard errors are scaled likewise; outputs and gaps stay in the unit of the target. A row of zeros
        stays 0.
        """
        totals = np.abs(self.scores.astype(np.float64)).sum(axis=1, keepdims=True)
        scale = np.where(totals > 0, totals, 1)
        errors = self.standard_errors
        return replace(
            self,
            scores=self.scores / scale,
            standard_errors=None if errors is None else errors / scale,
        )

    def words(self) -> Self:
        """Return the attribution with tokens joined into words (UAX 29 on the original text)."""
        return self.folded("word")

    def sentences(self) -> Self:
        """Return the attribution with tokens joined into sentences."""
        return self.folded("sentence")

    def folded(self, level: Level) -> Self:
        """Return the attribution with tokens joined at a level.

        Signed scores are summed; unsigned scores are combined by their norm (l2: root of the sum of squares,
        l1: sum, max: maximum). Standard errors are summed, an upper bound whatever the correlation between
        the scores.

        Args:
            level: ``token``, ``character`` (tokens that split one visible character), ``word``,
                ``sentence``.

        Returns:
            An attribution over fewer tokens.
        """
        groups = self.tokens.groups(level)
        return self if len(groups) == len(self.tokens) else self.joined(groups)

    def joined(self, groups: Sequence[Sequence[int]]) -> Self:
        """Return the attribution with each group of neighboring tokens joined into one.

        Args:
            groups: Positions of the tokens in each group, as ``Tokens.groups`` returns them; every token
                belongs to one group.

        Returns:
            An attribution with one token per group; scores are combined as in ``folded``.
        """
        norm = None if self.signed else self.parameters.get("norm", "l2")
        errors = self.standard_errors
        shape = (len(self.targets), len(groups))

        def grouped(values: np.ndarray, join: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
            return np.array([join(values[:, list(group)]) for group in groups]).T.reshape(shape)

        return replace(
            self,
            standard_errors=None if errors is None else grouped(errors, lambda part: part.sum(axis=1)),
            tokens=self.tokens.fold(groups),
            scores=grouped(self.scores, lambda part: _joined(part, norm)),
            valid=grouped(self.valid, lambda part: np.asarray(part.any(axis=1))),
        )

    def pairs(self, target: int = 0) -> list[tuple[str, float]]:
        """Return the text and the score of each token, for one target."""
        return list(zip(self.tokens.surfaces(), map(float, self.row(target).scores[0]), strict=True))

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row per target and token.

        ``share`` is the score as a share of the target's absolute scores, with its sign; ``score`` and
        ``share`` are NaN where a token has no score, and empty in ``.csv``.
        """
        import pandas

        count, length = self.scores.shape
        starts, ends = self.tokens.offsets.T
        scores, shares = (
            np.where(self.scored, values, np.float32(np.nan)).ravel()
            for values in (self.scores, self.normalized().scores)
        )
        return pandas.DataFrame(
            {
                "target": np.repeat([target.description() for target in self.targets], length),
                "position": np.tile(np.arange(length), count),
                "token": self.tokens.surfaces() * count,
                "piece": self.tokens.pieces * count,
                "id": np.tile(self.tokens.ids, count),
                "segment": np.tile(self.tokens.segments, count),
                "start": np.tile(starts, count),
                "end": np.tile(ends, count),
                "word": np.tile(self.tokens.words, count),
                "special": np.tile(self.tokens.special, count),
                "score": scores,
                "share": shares,
                "valid": self.valid.ravel(),
            }
        )


def _joined(scores: Float[np.ndarray, "targets group"], norm: str | None) -> Float[np.ndarray, " targets"]:
    values = scores.astype(np.float64)
    if norm == "l2":
        return np.sqrt((values**2).sum(axis=1))
    if norm == "max":
        return values.max(axis=1)
    return values.sum(axis=1)
