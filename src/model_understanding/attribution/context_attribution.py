"""ContextCite: which parts of the context a continuation rests on, by a sparse linear surrogate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from model_understanding.attribution.protocol import Scores
from model_understanding.errors import InputError
from model_understanding.passes.runner import Runner, Targets
from model_understanding.perturbation.black_box import BlackBox
from model_understanding.perturbation.shapley import Game, check_sampling
from model_understanding.perturbation.surrogates import lasso
from model_understanding.perturbation.token_removal import (
    Replacement,
    ablations_of,
    check_replacement,
    stacked,
)
from model_understanding.perturbation.units import PlainUnit, Units, check_unit, shared, units_of
from model_understanding.results import Target
from model_understanding.statistics import rank_correlation
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextAttribution:
    r"""The coefficients of a LASSO of the answer's logit on which sources are there.

    ``min_{w,b} 1/(2M) Σ_z (g(x_z)/K − b − Σ_s w_s z_s)² + alpha ‖w‖₁``, ``g = log(p / (1 − p))``

    p is the probability of all K tokens of the continuation together; a score is ``K w_s`` in logits.
    Each source is there with probability 0.5. A log-probability (the target of a language model) becomes
    its logit; every other target is taken as it is, with K = 1. The caution gives the linear
    datamodeling score: Spearman's correlation of the surrogate with the truth on variants held out.

    Args:
        samples: Variants that the surrogate is fitted to.
        held_out: Variants that it is judged on.
        alpha: The penalty, of coefficients of standardized columns.
        seed: Seed of the draws.
        unit: What a source is: ``sentence``, ``word`` or ``token`` of the prompt.
        chunks: Sources given instead: parts of the prompt's text as they stand there, in reading order;
            what stands in none is never removed.
        replacement: What stands in for removed tokens: ``default``, ``mask``, ``pad`` or ``mean`` (see
            ``Occlusion``).

    Raises:
        InputError: A parameter is out of range, or a chunk does not stand in the prompt.

    Reference:
        Cohen-Wang, Shah, Georgiev, Mądry (2024), "ContextCite: Attributing Model Generation to Context",
        section 3, and the authors' code for the penalty (0.01, K as here). The paper deletes sources
        from the text; here their tokens are replaced in place, so that no position changes.

    >>> ContextAttribution(chunks=("Paris is in France.",)).unit
    'sentence'
    """

    name: ClassVar[str] = "context_attribution"
    signed: ClassVar[bool] = True
    complete: ClassVar[bool] = False
    cost: ClassVar[str] = "1 + samples + held_out forwards (default 97)"
    reference: ClassVar[str] = "Cohen-Wang et al. 2024"

    samples: int = 64
    held_out: int = 32
    alpha: float = 0.01
    seed: int = 0
    unit: PlainUnit = "sentence"
    chunks: tuple[str, ...] = ()
    replacement: Replacement = "default"

    def __post_init__(self) -> None:
        check_sampling(self.samples, self.seed)
        check_unit(self.unit, windows=False)
        check_replacement(self.replacement)
        object.__setattr__(self, "chunks", tuple(self.chunks))
        if not 0 <= self.alpha < float("inf") or not self.held_out >= 2:
            raise InputError(
                f"alpha={self.alpha!r} must be at least 0 and held_out={self.held_out!r} at least 2.",
                hint="Use alpha=0.01 and held_out=32.",
            )

    def __call__(self, runner: Runner | BlackBox, encoding: Encoding, targets: Targets) -> Scores:
        """Score the tokens of a batch of texts."""
        scores, outputs, cautions = [], [], []
        for ablations in ablations_of(runner, encoding, targets, self.replacement):
            units = self._sources(ablations.tokens, ablations.context_length)
            game = Game(ablations, units)
            asked = None if callable(ablations.targets) else ablations.targets
            values, agreement = self._fitted(game, asked)
            scores.append(shared(values, units, ablations.removable.size, ablations.reach))
            outputs.append(game.full)
            said = ", ".join(f"{score:.2f}" for score in agreement)
            cautions.append(
                (
                    f"Linear datamodeling score (rank correlation on {self.held_out} variants held out): "
                    f"{said}.",
                )
            )
        return Scores(scores=stacked(scores), outputs=np.stack(outputs), cautions=tuple(cautions))

    def _fitted(
        self, game: Game, targets: Sequence[Target] | None
    ) -> tuple[Float[np.ndarray, "targets players"], list[float]]:
        generator = np.random.default_rng(self.seed)
        present = generator.random((self.samples + self.held_out, game.players)) < 0.5
        found = np.zeros((len(game.full), game.players))
        agreement = []
        values = game.values(present)
        for number, matters in enumerate(game.matters):
            wanted, tokens = _logits(values[:, number], None if targets is None else targets[number])
            design = present[:, matters].astype(float)
            weights, constant = lasso(design[: self.samples], wanted[: self.samples] / tokens, self.alpha)
            found[number, matters] = weights * tokens
            predicted = design[self.samples :] @ weights + constant
            agreement.append(rank_correlation(predicted, wanted[self.samples :]) or 0.0)
        return found, agreement

    def _sources(self, tokens: Tokens, length: int) -> Units:
        if self.chunks:
            return tuple(_chunk_units(tokens, length, self.chunks))
        units = units_of(tokens, self.unit)
        kept = (tuple(position for position in unit if position < length) for unit in units)
        return tuple(unit for unit in kept if unit)


def _logits(
    values: Float[np.ndarray, " variants"], target: Target | None
) -> tuple[Float[np.ndarray, " variants"], int]:
    """Return ``log(p / (1 − p))`` of summed log-probabilities, and of how many tokens."""
    if target is None or target.quantity != "log_prob" or target.against:
        return values, 1
    count = len(target.indices)
    total = values * count if target.reduce == "mean" else values
    certain = np.minimum(total, -1e-7)  # 32-bit log-probabilities cannot tell p from 1 beyond
    return total - np.log(-np.expm1(certain)), count


def _chunk_units(tokens: Tokens, length: int, chunks: tuple[str, ...]) -> Units:
    """Return the tokens of each chunk: those that begin in it, or reach into it first."""
    units, taken = [], 0
    for chunk in chunks:
        start = tokens.texts[0].find(chunk, taken) if chunk else -1
        if start < 0:
            raise InputError(
                f"The chunk {chunk[:60]!r} does not stand in the prompt after the chunks before it.",
                hint="Give chunks exactly as they stand in the text, in reading order.",
            )
        taken = start + len(chunk)
        used = {position for unit in units for position in unit}
        unit = tuple(
            position
            for position in range(length)
            if tokens.segments[position] == 0
            and not tokens.special[position]
            and position not in used
            and tokens.offsets[position, 0] < taken
            and tokens.offsets[position, 1] > start
        )
        if not unit:
            raise InputError(f"The chunk {chunk[:60]!r} has no token of its own.", hint="Give longer chunks.")
        units.append(unit)
    return tuple(units)
