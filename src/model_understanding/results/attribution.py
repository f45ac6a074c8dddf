"""How much each token contributed to a target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Bool, Float

from model_understanding.errors import InputError, NumericalError
from model_understanding.results.provenance import Provenance
from model_understanding.results.serialization import JsonResult
from model_understanding.results.target import Target
from model_understanding.tokens import Level, Tokens, read_only

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attribution(JsonResult):
    """Scores of T tokens for N targets, raw and in the target's own unit where the method allows.

    Args:
        tokens: The T tokens.
        targets: The N targets.
        scores: Contribution of each token to each target, shape ``(N, T)``; 0 where not valid.
        valid: Whether a token can contribute at all, shape ``(N, T)`` (a causal model's target does not
            depend on the tokens after it).
        signed: Whether a score's sign says for (+) or against (−).
        outputs: Each target's value on this text, shape ``(N,)``.
        method: Name of the method.
        parameters: The method's parameters.
        provenance: Where it comes from.
        baseline_outputs: Each target's value on the baseline, shape ``(N,)``, for methods that have one.
        gaps: ``Σ scores − (output − baseline output)``, shape ``(N,)``, for methods that promise 0.
        standard_errors: Of each score, shape ``(N, T)``, for methods that sample.

    Raises:
        ValueError: The shapes disagree.
        NumericalError: A score or an output is not finite.

    >>> Attribution.from_arrays(["good", "film"], [0.75, -0.25]).pairs()
    [('good', 0.75), ('film', -0.25)]
    """

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
        for name in ("scores", "outputs", "baseline_outputs", "gaps", "standard_errors"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                raise NumericalError(
                    f"The {name} of {self.method!r} are not finite.",
                    hint="Load the model with dtype='float32' and try again.",
                )

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
            tokens: Tokens, or one string for each.
            scores: Shape ``(T,)`` for one target or ``(N, T)``.
            labels: A name for each target.
            signed: Whether signs mean for and against.
            method: What to call the method.

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
        """Return the attribution of one target alone.

        Args:
            target: Its index; counted from the end where negative.

        Returns:
            An attribution with one row.

        Raises:
            InputError: There is no such target.
        """
        count = len(self.targets)
        if not -count <= target < count:
            raise InputError(
                f"There is no target {target}: the attribution has {count}.",
                hint="Count targets from 0, or from -1 at the end.",
            )
        index = target % count
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
        )

    def normalized(self) -> Self:
        """Return the scores of each target scaled so that their absolute values sum to 1.

        Standard errors are scaled likewise; outputs and gaps stay in the target's unit. A row of zeros
        stays zero.
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
        """Return the attribution with tokens joined to words (UAX 29 on the original text)."""
        return self.folded("word")

    def sentences(self) -> Self:
        """Return the attribution with tokens joined to sentences."""
        return self.folded("sentence")

    def folded(self, level: Level) -> Self:
        """Return the attribution with tokens joined at a level.

        Signed scores are summed; norms are combined by their norm (l2: root of the sum of squares, l1:
        sum, max: maximum). Standard errors are summed, which bounds that of the sum however the tokens'
        scores vary together.

        Args:
            level: ``token``, ``character`` (tokens that split one visible character), ``word``,
                ``sentence``.

        Returns:
            An attribution over fewer tokens.
        """
        groups = self.tokens.groups(level)
        return self if len(groups) == len(self.tokens) else self.joined(groups)

    def joined(self, groups: Sequence[Sequence[int]]) -> Self:
        """Return the attribution with groups of neighboring tokens joined, each into one.

        Args:
            groups: Positions of each new token, as ``Tokens.groups`` returns them; they cover all tokens.

        Returns:
            An attribution over one token for each group, joined as ``folded`` says.
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
        """Return each token's text with its score for one target."""
        return list(zip(self.tokens.surfaces(), map(float, self.row(target).scores[0]), strict=True))

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with one row for each target and token."""
        import pandas

        count, length = self.scores.shape
        starts, ends = self.tokens.offsets.T
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
                "score": self.scores.ravel(),
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
