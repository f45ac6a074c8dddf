"""Integrate gradients along straight lines in embedding space, until they add up to the target's change.

The target's values at both ends of a line give the exact sum of the scores, so that the error is known. A
line starts as one piece of Gauss–Legendre nodes; while its completeness gap is too large, the pieces that
cause it are halved, and only these are integrated again. That is cheaper than doubling the nodes of the whole
line, especially near the singularity of an RMSNorm.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.checks import real_number, whole_number
from model_understanding.model.batching import Batches
from model_understanding.model.metering import converged, is_dry_run
from model_understanding.model.precision import precise
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.passes.runner import Runner, Targets
from model_understanding.passes.target_values import for_each_row
from model_understanding.results import Target
from model_understanding.results.attribution import SMALL_CHANGE
from model_understanding.text.encoding import Encoding

_log = logging.getLogger("model_understanding")
_LONGEST = 60  # characters of a target's description in a warning


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A straight path that ends at a text's embeddings.

    Args:
        row: Row of the text in the batch.
        difference: The text's embeddings − those at the line's start, ``(T, D)``.
        moved: The tokens that change along the line; the others keep the text's embeddings.
    """

    row: int
    difference: Float[Tensor, "tokens width"]
    moved: Bool[Tensor, " tokens"]


class Point(NamedTuple):
    """A point on a line, at a fraction of it: 0 is the start, 1 is the text itself."""

    line: Line
    fraction: float


class Variants(NamedTuple):
    """Variants of texts with other embeddings.

    Args:
        rows: Row of the text that each is a variant of.
        embeddings: The variants' embeddings, ``(V, T, D)``.
        differences: Factors of the gradients there, ``(V, T, D)``.
    """

    rows: Sequence[int]
    embeddings: Float[Tensor, "variants tokens width"]
    differences: Float[Tensor, "variants tokens width"]


MakeVariants = Callable[[int, int], Variants]


@dataclass(frozen=True, slots=True, eq=False)
class Integral:
    """The integral along one line.

    Args:
        scores: ``Σ_d difference · ∫ gradient``, shape ``(N, T)``.
        start: The targets' values at the line's start, ``(N,)``.
        end: The targets' values for the text, ``(N,)``.
        nodes: Number of gradients that were computed, including those of pieces that were halved later.
        relative_gaps: How far each target's scores are from its change, relative to it (see ``integrate``).
        has_converged: Whether each target's gap is within the tolerance or the rounding error.
    """

    scores: Float[np.ndarray, "targets tokens"]
    start: Float[np.ndarray, " targets"]
    end: Float[np.ndarray, " targets"]
    nodes: int
    relative_gaps: Float[np.ndarray, " targets"]
    has_converged: bool

    @property
    def gaps(self) -> Float[np.ndarray, " targets"]:
        """``Σ scores − (end − start)``."""
        return self.scores.sum(-1) - (self.end - self.start)


@dataclass(slots=True, eq=False)
class _Piece:
    low: float
    high: float
    value_low: Float[np.ndarray, " targets"]
    value_high: Float[np.ndarray, " targets"]
    scores: Float[np.ndarray, "targets tokens"] | None = None

    def gaps(self) -> Float[np.ndarray, " targets"]:
        assert self.scores is not None
        return self.scores.sum(-1) - (self.value_high - self.value_low)


def check_nodes(nodes: int, max_nodes: int, tolerance: float) -> None:
    """Check the settings of an integration.

    Raises:
        InputError: A number is out of its range.
    """
    whole_number(nodes, "nodes", example=20)
    whole_number(max_nodes, "max_nodes", least=nodes)
    real_number(tolerance, "tolerance", example=0.01)


def integrate(
    runner: Runner,
    encoding: Encoding,
    targets: Targets,
    lines: Sequence[Line],
    *,
    nodes: int,
    max_nodes: int,
    tolerance: float,
    relative_to_largest: bool = False,
) -> list[Integral]:
    r"""Integrate each target's gradient along lines, up to a tolerance.

    ``scores_t = Σ_d difference_td · ∫₀¹ ∂ target / ∂ embedding_td (start + α · difference) dα``

    Nodes of all lines and texts share batches. A target's gap is relative to its change from start to end,
    or to a hundredth of ``Σ|scores|`` if the change is smaller. A gap within the rounding error of the
    target's value in the model's dtype is accepted as well.

    Args:
        runner: The runner.
        encoding: The texts.
        targets: N targets for all texts, N for each, or a function of the model's outputs.
        lines: The lines.
        nodes: Gauss–Legendre nodes of a piece; a line starts as one piece.
        max_nodes: Maximum number of gradients per line.
        tolerance: The largest relative gap that is accepted.
        relative_to_largest: Whether gaps are relative to the largest change among a text's lines, for lines
            that move different parts of it.

    Returns:
        One integral per line, in their order.
    """
    embeddings = precise(runner.embed(encoding))
    texts = sorted({line.row for line in lines})
    ends = {row: Point(next(line for line in lines if line.row == row), 1.0) for row in texts}
    outer = _values(
        runner, encoding, targets, embeddings, [*ends.values(), *(Point(line, 0.0) for line in lines)]
    )
    end_of = dict(zip(texts, outer, strict=False))
    starts = outer[len(texts) :]
    pieces = [[_Piece(0.0, 1.0, start, end_of[line.row])] for line, start in zip(lines, starts, strict=True)]
    floors = _largest_changes(lines, pieces) if relative_to_largest else [np.zeros(1)] * len(lines)
    used = [0] * len(lines)
    states: list[_State | None] = [None] * len(lines)
    open_lines = list(range(len(lines)))
    while open_lines:
        new = [(i, piece) for i in open_lines for piece in pieces[i] if piece.scores is None]
        on_lines = [(lines[i], piece) for i, piece in new]
        _integrate_pieces(runner, encoding, targets, embeddings, on_lines, nodes)
        new_count = Counter(i for i, _ in new)
        halved: list[tuple[int, list[_Piece]]] = []
        for i in open_lines:
            used[i] += nodes * new_count[i]
            states[i] = state = _state_of(pieces[i], floors[i], tolerance, _rounding_error(runner))
            room = (max_nodes - used[i]) // (2 * nodes)
            worst = [] if converged(state.has_converged) else state.worst[:room]
            if worst:
                halved.append((i, [pieces[i][index] for index in worst]))
        middles = [
            Point(lines[i], (piece.low + piece.high) / 2)
            for i, worst_pieces in halved
            for piece in worst_pieces
        ]
        middle_values = iter(_values(runner, encoding, targets, embeddings, middles))
        for i, worst_pieces in halved:
            for piece in worst_pieces:
                middle, value = (piece.low + piece.high) / 2, next(middle_values)
                index = pieces[i].index(piece)
                pieces[i][index : index + 1] = [
                    _Piece(piece.low, middle, piece.value_low, value),
                    _Piece(middle, piece.high, value, piece.value_high),
                ]
        open_lines = [i for i, _ in halved]
    return [
        Integral(state.scores, start, end_of[line.row], count, state.relative_gaps, state.has_converged)
        for line, start, count, state in zip(lines, starts, used, states, strict=True)
        if state is not None
    ]


def gradients_times_differences(
    runner: Runner, encoding: Encoding, targets: Targets, variants: MakeVariants, count: int
) -> Float[np.ndarray, "variants targets tokens"]:
    """Return ``Σ_d difference · gradient`` of variants of texts, run in batches.

    Args:
        runner: The runner.
        encoding: The texts.
        targets: N targets for all texts, N for each, or a function of the model's outputs.
        variants: Makes the variants from a start to an end (exclusive).
        count: Number of variants.
    """
    tokens = encoding.ids.shape[1]
    positions_each = tokens * target_count(targets)
    parts = []
    batches = Batches(count, positions_each, runner.model.memory, gradients=True, tokens=tokens)
    for start, end in batches:
        with batches.halving():
            batch = variants(start, end)
            part, part_targets = selected_texts(encoding, targets, batch.rows)
            gradients = runner.gradients(part, part_targets, embeddings=batch.embeddings).gradients
            products = torch.einsum("vntd,vtd->vnt", gradients, batch.differences)
            parts.append(products.cpu().double().numpy())
    return np.concatenate(parts)


def values_at(
    runner: Runner, encoding: Encoding, targets: Targets, variants: MakeVariants, count: int
) -> Float[np.ndarray, "variants targets"]:
    """Return the targets' values for variants of texts; see ``gradients_times_differences``."""
    parts = []
    batches = Batches(count, encoding.ids.shape[1], runner.model.memory)
    for start, end in batches:
        with batches.halving():
            batch = variants(start, end)
            part, part_targets = selected_texts(encoding, targets, batch.rows)
            values = runner.values(part, part_targets, embeddings=batch.embeddings)
            parts.append(values.cpu().double().numpy())
    return np.concatenate(parts)


def selected_texts(encoding: Encoding, targets: Targets, rows: Sequence[int]) -> tuple[Encoding, Any]:
    """Return the texts at rows of a batch, which may repeat, and their targets."""
    inputs = {name: values[list(rows)] for name, values in encoding.inputs.items()}
    part = replace(encoding, tokens=tuple(encoding.tokens[row] for row in rows), inputs=inputs)
    if callable(targets) or isinstance(targets[0], Target):
        return part, targets
    return part, [targets[row] for row in rows]


def target_count(targets: Targets) -> int:
    """Return the number of targets of each text."""
    if callable(targets) or isinstance(targets, PredictedTargets):
        return 1
    return len(targets) if isinstance(targets[0], Target) else len(targets[0])  # pyright: ignore[reportArgumentType]


def target_values(runner: Runner, encoding: Encoding, targets: Targets) -> Float[np.ndarray, "batch targets"]:
    """Return the targets' values for the unchanged texts."""
    return runner.values(encoding, targets).cpu().double().numpy()


def cautions_of(
    encoding: Encoding,
    targets: Targets,
    integrals: Sequence[Sequence[Integral]],
    tolerance: float,
    setting: str = "",
) -> tuple[tuple[str, ...], ...]:
    """Return a warning for each text with lines that did not converge, and log it.

    The number of several lines is that of the worst, which is not the completeness gap of their mean or sum.

    Args:
        encoding: The texts.
        targets: What was explained, as for ``integrate``.
        integrals: The integrals of each text's lines.
        tolerance: The relative gap that was requested.
        setting: How to set ``max_nodes``, for the warning.

    Returns:
        The warnings of each text.
    """
    cautions: list[tuple[str, ...]] = []
    rows = None if callable(targets) else for_each_row(targets, len(encoding))
    for row, (tokens, lines) in enumerate(zip(encoding.tokens, integrals, strict=True)):
        failed = [integral for integral in lines if not integral.has_converged]
        if not failed:
            cautions.append(())
            continue
        worst = max(failed, key=lambda integral: integral.relative_gaps.max())
        gaps = worst.relative_gaps
        where, subject = "", "the completeness gap is"
        if len(lines) > 1:
            where = f" on {len(failed)} of {len(lines)} paths"
            subject = "the sum of the scores on the worst path is off by"
        if len(gaps) > 1:
            where += f" for {int((gaps > tolerance).sum())} of {len(gaps)} targets"
        name = "" if rows is None else f"{short_description(rows[row][int(gaps.argmax())])}; "
        caution = (
            f"The integral did not converge{where}: after {worst.nodes} nodes, {subject} "
            f"{100 * gaps.max():.1f} % of the target's change ({name}tolerance: {100 * tolerance:.1f} %). "
            f"Increase max_nodes{setting and f' ({setting})'} or choose another baseline."
        )
        cautions.append((caution,))
        if not is_dry_run():
            _log.warning("%r: %s", tokens.texts[0][:40], caution)
    return tuple(cautions)


def short_description(target: Target) -> str:
    """Return which target a warning is about: a class, token, entity, choice or document."""
    description = target.description()
    return description if len(description) <= _LONGEST else f"{description[: _LONGEST - 1].rstrip()}…"


class _State(NamedTuple):
    scores: Float[np.ndarray, "targets tokens"]
    relative_gaps: Float[np.ndarray, " targets"]
    has_converged: bool
    worst: list[int]
    """Indices of the pieces that cause the gap, the worst first."""


def _state_of(pieces: Sequence[_Piece], floor: np.ndarray, tolerance: float, rounding: float) -> _State:
    scores = np.sum([piece.scores for piece in pieces if piece.scores is not None], axis=0)
    start, end = pieces[0].value_low, pieces[-1].value_high
    change = np.maximum(np.abs(end - start), floor)
    scale = np.maximum(change, SMALL_CHANGE * np.abs(scores).sum(-1))
    noise = rounding * np.maximum(np.abs(start), np.abs(end))
    allowed = np.maximum(np.maximum(tolerance * scale, noise), np.finfo(np.float64).tiny)
    gaps = np.abs(scores.sum(-1) - (end - start))
    relative = gaps / np.maximum(scale, np.finfo(np.float64).tiny)
    # At least one piece causes its equal share of a gap that is too large.
    shares = np.array([(np.abs(piece.gaps()) / allowed).max() for piece in pieces])
    worst = [int(index) for index in np.argsort(-shares) if shares[index] > 1 / len(pieces)]
    return _State(scores, relative, bool((gaps <= allowed).all()), worst)


def _largest_changes(lines: Sequence[Line], pieces: Sequence[Sequence[_Piece]]) -> list[np.ndarray]:
    """Return for each line the largest change among its text's lines, by target."""
    changes: dict[int, np.ndarray] = {}
    for line, (piece, *_) in zip(lines, pieces, strict=True):
        change = np.abs(piece.value_high - piece.value_low)
        changes[line.row] = np.maximum(changes.get(line.row, change), change)
    return [changes[line.row] for line in lines]


def _rounding_error(runner: Runner) -> float:
    """Return the relative rounding error of a target's value in the model's dtype."""
    dtype = runner.model.dtype
    return 4 * torch.finfo(dtype if dtype.is_floating_point else torch.float32).eps


def _integrate_pieces(
    runner: Runner,
    encoding: Encoding,
    targets: Targets,
    embeddings: Tensor,
    pieces: Sequence[tuple[Line, _Piece]],
    nodes: int,
) -> None:
    """Set the scores of each piece, integrated with a number of nodes."""
    abscissas, weights = np.polynomial.legendre.leggauss(nodes)
    points = [
        Point(line, float(piece.low + (piece.high - piece.low) * (abscissa + 1) / 2))
        for line, piece in pieces
        for abscissa in abscissas
    ]
    variants = _variants_at(embeddings, points)
    products = gradients_times_differences(runner, encoding, targets, variants, len(points))
    for i, (_, piece) in enumerate(pieces):
        part = products[i * nodes : (i + 1) * nodes]
        piece.scores = np.tensordot(weights * (piece.high - piece.low) / 2, part, axes=1)


def _values(
    runner: Runner, encoding: Encoding, targets: Targets, embeddings: Tensor, points: Sequence[Point]
) -> list[Float[np.ndarray, " targets"]]:
    if not points:
        return []
    return list(values_at(runner, encoding, targets, _variants_at(embeddings, points), len(points)))


def _variants_at(embeddings: Tensor, points: Sequence[Point]) -> MakeVariants:
    def make(start: int, end: int) -> Variants:
        part = points[start:end]
        rows = [point.line.row for point in part]
        moved = torch.stack([point.line.moved for point in part])[..., None]
        differences = torch.stack([point.line.difference for point in part]) * moved
        remaining = embeddings.new_tensor([1 - point.fraction for point in part])
        return Variants(rows, embeddings[rows] - remaining[:, None, None] * differences, differences)

    return make
