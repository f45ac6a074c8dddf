"""ContextCite: which parts of the prompt a continuation depends on, by a sparse linear model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from model_understanding.attribution.protocol import Scores
from model_understanding.checks import one_of, real_number, whole_number
from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game
from model_understanding.perturbation.surrogates import lasso
from model_understanding.perturbation.token_removal import (
    REPLACEMENTS,
    Replacement,
    padded_scores,
    token_removals,
)
from model_understanding.perturbation.units import PlainUnit, Units, check_unit, token_scores, units_of
from model_understanding.results import Target
from model_understanding.statistics import rank_correlation
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextAttribution:
    r"""The coefficients of a sparse linear model of which sources in the prompt are present (ContextCite).

    ``min_{w,b} 1/(2M) Σ_z (g(x_z)/K − b − Σ_s w_s z_s)² + alpha ‖w‖₁``, ``g = log(p / (1 − p))``

    p is the probability of all K tokens of the continuation together, and a score is ``K w_s`` in logits.
    Each source is present with probability 0.5. A log-probability (the target of a language model) is
    converted to ``g``; every other target is used unchanged, with K = 1. A note in the result gives the
    linear datamodeling score: Spearman's correlation of the linear model with the target on held-out
    variants.

    Args:
        samples: Number of variants that the linear model is fitted to.
        held_out: Number of variants that it is tested on.
        alpha: Penalty of the absolute values of the standardized coefficients.
        seed: Seed of the sampling.
        unit: What a source is: a ``sentence``, ``word`` or ``token`` of the prompt.
        chunks: Sources given as exact parts of the prompt's text, in reading order, instead of ``unit``. The
            rest of the prompt is never removed.
        replacement: What replaces removed tokens: ``default``, ``mask``, ``pad`` or ``mean`` (see
            ``Occlusion``).

    Raises:
        InputError: A parameter is out of its range, or the prompt does not contain a chunk.

    Reference:
        Cohen-Wang, Shah, Georgiev, Mądry (2024), "ContextCite: Attributing Model Generation to Context",
        section 3, and the authors' code for the penalty (0.01, with K as here). The paper deletes sources
        from the text; here their tokens are replaced, so that no position changes.

    >>> ContextAttribution(chunks=("Paris is in France.",)).unit
    'sentence'
    """

    name: ClassVar[str] = "context_attribution"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "samples + held_out + 1 forward passes (default 97)"
    reference: ClassVar[str] = "Cohen-Wang et al. 2024"

    samples: int = 64
    held_out: int = 32
    alpha: float = 0.01
    seed: int = 0
    unit: PlainUnit = "sentence"
    chunks: tuple[str, ...] = ()
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        whole_number(self.samples, "samples", least=2, example=64)
        whole_number(self.held_out, "held_out", least=2, example=32)
        real_number(self.alpha, "alpha", example=0.01)
        whole_number(self.seed, "seed", least=0)
        check_unit(self.unit, windows=False)
        one_of(self.replacement, "replacement", REPLACEMENTS)
        object.__setattr__(self, "chunks", tuple(self.chunks))

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, outputs, cautions = [], [], []
        for removal in token_removals(runner, encoding, targets, self.replacement):
            units = self._sources(removal.tokens, removal.context_length)
            game = Game(removal, units)
            values, correlations = self._fit(game, None if callable(removal.targets) else removal.targets)
            scores.append(token_scores(values, units, removal.removable.size, removal.visible_length))
            outputs.append(game.full)
            listed = ", ".join(f"{correlation:.2f}" for correlation in correlations)
            cautions.append(
                (
                    f"Linear datamodeling score (rank correlation on {self.held_out} held-out variants): "
                    f"{listed}.",
                )
            )
        return Scores(scores=padded_scores(scores), outputs=np.stack(outputs), cautions=tuple(cautions))

    def _fit(
        self, game: Game, targets: Sequence[Target] | None
    ) -> tuple[Float[np.ndarray, "targets players"], list[float]]:
        """Return the sources' scores and the correlation on held-out variants, for each target."""
        generator = np.random.default_rng(self.seed)
        present = generator.random((self.samples + self.held_out, game.players)) < 0.5
        scores = np.zeros((len(game.full), game.players))
        correlations = []
        values = game.values(present)
        for index, is_visible in enumerate(game.is_visible):
            outcomes, tokens = _logits(values[:, index], None if targets is None else targets[index])
            design = present[:, is_visible].astype(float)
            weights, constant = lasso(design[: self.samples], outcomes[: self.samples] / tokens, self.alpha)
            scores[index, is_visible] = weights * tokens
            predicted = design[self.samples :] @ weights + constant
            correlations.append(rank_correlation(predicted, outcomes[self.samples :]) or 0.0)
        return scores, correlations

    def _sources(self, tokens: Tokens, length: int) -> Units:
        if self.chunks:
            return tuple(_chunk_units(tokens, length, self.chunks))
        units = units_of(tokens, self.unit)
        sources = (tuple(position for position in unit if position < length) for unit in units)
        return tuple(source for source in sources if source)


def _logits(
    values: Float[np.ndarray, " variants"], target: Target | None
) -> tuple[Float[np.ndarray, " variants"], int]:
    """Return ``log(p / (1 − p))`` of summed log-probabilities, and the number of tokens."""
    if target is None or target.quantity != "log_prob" or target.against:
        return values, 1
    count = len(target.indices)
    total = values * count if target.reduce == "mean" else values
    bounded = np.minimum(total, -1e-7)  # above, 32-bit log-probabilities do not distinguish p from 1
    return total - np.log(-np.expm1(bounded)), count


def _chunk_units(tokens: Tokens, length: int, chunks: tuple[str, ...]) -> Units:
    """Return the tokens of each chunk: those that overlap it and belong to no earlier chunk."""
    units, end = [], 0
    for chunk in chunks:
        start = tokens.texts[0].find(chunk, end) if chunk else -1
        if start < 0:
            raise InputError(
                f"The prompt does not contain the chunk {chunk[:60]!r} after the chunks before it.",
                hint="Pass chunks exactly as they are in the text, in reading order.",
            )
        end = start + len(chunk)
        used = {position for unit in units for position in unit}
        unit = tuple(
            position
            for position in range(length)
            if tokens.segments[position] == 0
            and not tokens.special[position]
            and position not in used
            and tokens.offsets[position, 0] < end
            and tokens.offsets[position, 1] > start
        )
        if not unit:
            raise InputError(
                f"The chunk {chunk[:60]!r} has no tokens that belong to no other chunk.",
                hint="Pass longer chunks.",
            )
        units.append(unit)
    return tuple(units)
