"""Integrate gradients along straight lines in embedding space, until they add up.

The line's two ends say what the scores must add up to, so the error is known and not estimated: a line
starts as one piece of Gauss–Legendre nodes; while its gap is too large, the pieces that cause it are
halved and only these are run again. That costs less than doubling the nodes of the whole line, and near
an RMSNorm's singular point much less.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model_understanding.errors import InputError
from model_understanding.model.batching import Batches
from model_understanding.model.metering import converged, is_dry_run
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.passes.runner import Runner, Targets
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

SMALL_CHANGE = 0.01  # of Σ|scores|: a change below it is held against this much instead
_log = logging.getLogger("model_understanding")


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A straight path that ends at a text's own embeddings.

    Args:
        row: Which text of the batch.
        difference: The text's embeddings − those at the line's start, ``(T, D)``.
        moved: The tokens that this line moves; the others stay at the text's embeddings.
    """

    row: int
    difference: Float[Tensor, "tokens width"]
    moved: Bool[Tensor, " tokens"]


class Point(NamedTuple):
    """A place on a line: 0 is its start, 1 the text itself."""

    line: Line
    place: float


class Variants(NamedTuple):
    """Texts of a batch with other embeddings.

    Args:
        rows: Which text each is a variant of.
        embeddings: In place of the text's own, ``(V, T, D)``.
        differences: What a gradient there is multiplied with, ``(V, T, D)``.
    """

    rows: Sequence[int]
    embeddings: Float[Tensor, "variants tokens width"]
    differences: Float[Tensor, "variants tokens width"]


MakeVariants = Callable[[int, int], Variants]


@dataclass(frozen=True, slots=True, eq=False)
class Integral:
    """What one line gave.

    Args:
        scores: ``Σ_d difference · ∫ gradient``, shape ``(N, T)``.
        start: The targets' values at the line's start, ``(N,)``.
        end: Their values on the text.
        nodes: How many gradients were taken, those of pieces that were later halved included.
        relative_gap: The largest gap of a target, relative to its change (see ``integrate``).
        has_converged: Whether each target's gap is within the tolerance, or within rounding.
    """

    scores: Float[np.ndarray, "targets tokens"]
    start: Float[np.ndarray, " targets"]
    end: Float[np.ndarray, " targets"]
    nodes: int
    relative_gap: float
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
    """Raise where the settings of an integration make no sense.

    Raises:
        InputError: A number is out of its range.
    """
    if not 1 <= nodes <= max_nodes:
        raise InputError(
            f"nodes must be at least 1 and at most max_nodes. Got nodes={nodes}, max_nodes={max_nodes}.",
            hint="Leave both out for the defaults, or raise max_nodes.",
        )
    if not tolerance >= 0:
        raise InputError(f"tolerance must be 0 or more. Got {tolerance}.", hint="Use tolerance=0.01.")


def integrate(
    runner: Runner,
    encoding: Encoding,
    targets: Targets,
    lines: Sequence[Line],
    *,
    nodes: int,
    max_nodes: int,
    tolerance: float,
    by_largest: bool = False,
) -> list[Integral]:
    r"""Integrate each target's gradient along lines, to within a gap.

    ``scores_t = Σ_d difference_td · ∫₀¹ ∂ target / ∂ embedding_td (start + α · difference) dα``

    Nodes of all lines and texts are packed into common batches. A target's gap is measured against its
    change from start to end, or where that is below a hundredth of ``Σ|scores|``, against this.
    A gap within the rounding of the value itself, in the model's number type, passes too.

    Args:
        runner: The runner.
        encoding: The texts.
        targets: N targets for all texts, N for each, or a function of the model's outputs.
        lines: The lines.
        nodes: Gauss–Legendre nodes of a piece; a line starts as one piece.
        max_nodes: Gradients that one line may cost in all.
        tolerance: The relative gap that is small enough.
        by_largest: Measure the gaps against the largest change among the lines of a text, where each is
            about a part of it.

    Returns:
        One integral for each line, in their order.
    """
    embeddings = runner.embed(encoding).float()
    texts = sorted({line.row for line in lines})
    ends = {row: Point(next(line for line in lines if line.row == row), 1.0) for row in texts}
    outer = _values(
        runner, encoding, targets, embeddings, [*ends.values(), *(Point(line, 0.0) for line in lines)]
    )
    end_of = dict(zip(texts, outer, strict=False))
    starts = outer[len(texts) :]
    pieces = [[_Piece(0.0, 1.0, start, end_of[line.row])] for line, start in zip(lines, starts, strict=True)]
    floors = _floors(lines, pieces) if by_largest else [np.zeros(1)] * len(lines)
    used = [0] * len(lines)
    states: list[_State | None] = [None] * len(lines)
    open_lines = list(range(len(lines)))
    while open_lines:
        todo = [(number, piece) for number in open_lines for piece in pieces[number] if piece.scores is None]
        on_lines = [(lines[number], piece) for number, piece in todo]
        _fill(runner, encoding, targets, embeddings, on_lines, nodes)
        run = Counter(number for number, _ in todo)
        halved: list[tuple[int, list[_Piece]]] = []
        for number in open_lines:
            used[number] += nodes * run[number]
            states[number] = state = _state_of(pieces[number], floors[number], tolerance, _rounding(runner))
            room = (max_nodes - used[number]) // (2 * nodes)
            worst = [] if converged(state.has_converged) else state.worst[:room]
            if worst:
                halved.append((number, [pieces[number][place] for place in worst]))
        middles = [
            Point(lines[number], (piece.low + piece.high) / 2)
            for number, chosen in halved
            for piece in chosen
        ]
        found = iter(_values(runner, encoding, targets, embeddings, middles))
        for number, chosen in halved:
            for piece in chosen:
                middle, value = (piece.low + piece.high) / 2, next(found)
                place = pieces[number].index(piece)
                pieces[number][place : place + 1] = [
                    _Piece(piece.low, middle, piece.value_low, value),
                    _Piece(middle, piece.high, value, piece.value_high),
                ]
        open_lines = [number for number, _ in halved]
    return [
        Integral(state.scores, start, end_of[line.row], cost, state.relative_gap, state.has_converged)
        for line, start, cost, state in zip(lines, starts, used, states, strict=True)
        if state is not None
    ]


def slopes(
    runner: Runner, encoding: Encoding, targets: Targets, variants: MakeVariants, count: int
) -> Float[np.ndarray, "variants targets tokens"]:
    """Return ``Σ_d difference · gradient`` of variants of texts, packed into batches.

    Args:
        runner: The runner.
        encoding: The texts.
        targets: N targets for all texts, N for each, or a function of the model's outputs.
        variants: Makes the variants from a start to an end (exclusive).
        count: How many there are.
    """
    tokens = encoding.ids.shape[1]
    each, memory = tokens * target_count(targets), runner.model.memory
    parts = []
    batches = Batches(count, each, memory, gradients=True, tokens=tokens)
    for start, end in batches:
        with batches.halving():
            made = variants(start, end)
            part, part_targets = chosen_texts(encoding, targets, made.rows)
            gradients = runner.gradients(part, part_targets, embeddings=made.embeddings).gradients
            products = torch.einsum("vntd,vtd->vnt", gradients, made.differences)
            parts.append(products.cpu().double().numpy())
    return np.concatenate(parts)


def values_at(
    runner: Runner, encoding: Encoding, targets: Targets, variants: MakeVariants, count: int
) -> Float[np.ndarray, "variants targets"]:
    """Return the targets' values on variants of texts, packed into batches; see ``slopes``."""
    parts = []
    batches = Batches(count, encoding.ids.shape[1], runner.model.memory)
    for start, end in batches:
        with batches.halving():
            made = variants(start, end)
            part, part_targets = chosen_texts(encoding, targets, made.rows)
            values = runner.values(part, part_targets, embeddings=made.embeddings)
            parts.append(values.cpu().double().numpy())
    return np.concatenate(parts)


def chosen_texts(encoding: Encoding, targets: Targets, rows: Sequence[int]) -> tuple[Encoding, Any]:
    """Return texts of a batch, each as often as asked for, and their targets."""
    chosen = list(rows)
    inputs = {name: values[chosen] for name, values in encoding.inputs.items()}
    part = Encoding(tuple(encoding.tokens[row] for row in chosen), inputs, encoding.prompt_length)
    if callable(targets) or isinstance(targets[0], Target):
        return part, targets
    return part, [targets[row] for row in chosen]


def target_count(targets: Targets) -> int:
    """Return how many targets each text has."""
    if callable(targets) or isinstance(targets, PredictedTargets):
        return 1
    return len(targets) if isinstance(targets[0], Target) else len(targets[0])  # pyright: ignore[reportArgumentType]


def target_values(runner: Runner, encoding: Encoding, targets: Targets) -> Float[np.ndarray, "batch targets"]:
    """Return the targets' values on the texts as they are."""
    return runner.values(encoding, targets).cpu().double().numpy()


def cautions_of(
    encoding: Encoding, integrals: Sequence[Sequence[Integral]], tolerance: float
) -> tuple[tuple[str, ...], ...]:
    """Return what a reader must know where lines did not converge, and log it.

    Args:
        encoding: The texts.
        integrals: The lines of each text.
        tolerance: The relative gap that was asked for.

    Returns:
        For each text a caution where a line of it failed.
    """
    cautions: list[tuple[str, ...]] = []
    for tokens, lines in zip(encoding.tokens, integrals, strict=True):
        failed = [integral for integral in lines if not integral.has_converged]
        if not failed:
            cautions.append(())
            continue
        worst = max(failed, key=lambda integral: integral.relative_gap)
        where = "" if len(lines) == 1 else f" on {len(failed)} of {len(lines)} paths"
        caution = (
            f"The integral has not converged{where}: after {worst.nodes} nodes the scores miss the "
            f"target's change by {worst.relative_gap:.1%} of it (allowed: {tolerance:.1%}). "
            "Raise max_nodes, or choose another baseline."
        )
        cautions.append((caution,))
        if not is_dry_run():
            _log.warning("%r: %s", tokens.texts[0][:40], caution)
    return tuple(cautions)


class _State(NamedTuple):
    scores: Float[np.ndarray, "targets tokens"]
    relative_gap: float
    has_converged: bool
    worst: list[int]
    """Pieces that cause the gap, the worst first."""


def _state_of(pieces: Sequence[_Piece], floor: np.ndarray, tolerance: float, rounding: float) -> _State:
    scores = np.sum([piece.scores for piece in pieces if piece.scores is not None], axis=0)
    start, end = pieces[0].value_low, pieces[-1].value_high
    change = np.maximum(np.abs(end - start), floor)
    scale = np.maximum(change, SMALL_CHANGE * np.abs(scores).sum(-1))
    noise = rounding * np.maximum(np.abs(start), np.abs(end))
    allowed = np.maximum(np.maximum(tolerance * scale, noise), np.finfo(np.float64).tiny)
    gaps = np.abs(scores.sum(-1) - (end - start))
    relative = float((gaps / np.maximum(scale, np.finfo(np.float64).tiny)).max())
    # Some piece holds at least its equal share of a gap that is too large.
    shares = np.array([(np.abs(piece.gaps()) / allowed).max() for piece in pieces])
    worst = [int(place) for place in np.argsort(-shares) if shares[place] > 1 / len(pieces)]
    return _State(scores, relative, bool((gaps <= allowed).all()), worst)


def _floors(lines: Sequence[Line], pieces: Sequence[Sequence[_Piece]]) -> list[np.ndarray]:
    """Return for each line the largest change among the lines of its text, for each target."""
    changes: dict[int, np.ndarray] = {}
    for line, (piece, *_) in zip(lines, pieces, strict=True):
        change = np.abs(piece.value_high - piece.value_low)
        changes[line.row] = np.maximum(changes.get(line.row, change), change)
    return [changes[line.row] for line in lines]


def _rounding(runner: Runner) -> float:
    """Return the relative error that the model's number type alone puts on a target's value."""
    dtype = getattr(runner.model.module, "dtype", torch.float32)
    return 4 * torch.finfo(dtype if dtype.is_floating_point else torch.float32).eps


def _fill(
    runner: Runner,
    encoding: Encoding,
    targets: Targets,
    embeddings: Tensor,
    pieces: Sequence[tuple[Line, _Piece]],
    nodes: int,
) -> None:
    """Integrate each piece by as many nodes."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    points = [
        Point(line, float(piece.low + (piece.high - piece.low) * (place + 1) / 2))
        for line, piece in pieces
        for place in places
    ]
    found = slopes(runner, encoding, targets, _on_lines(embeddings, points), len(points))
    for number, (_, piece) in enumerate(pieces):
        part = found[number * nodes : (number + 1) * nodes]
        piece.scores = np.tensordot(weights * (piece.high - piece.low) / 2, part, axes=1)


def _values(
    runner: Runner, encoding: Encoding, targets: Targets, embeddings: Tensor, points: Sequence[Point]
) -> list[Float[np.ndarray, " targets"]]:
    if not points:
        return []
    return list(values_at(runner, encoding, targets, _on_lines(embeddings, points), len(points)))


def _on_lines(embeddings: Tensor, points: Sequence[Point]) -> MakeVariants:
    def made(start: int, end: int) -> Variants:
        chosen = points[start:end]
        rows = [point.line.row for point in chosen]
        moved = torch.stack([point.line.moved for point in chosen])[..., None]
        differences = torch.stack([point.line.difference for point in chosen]) * moved
        remaining = torch.tensor([1 - point.place for point in chosen], device=embeddings.device)
        return Variants(rows, embeddings[rows] - remaining[:, None, None] * differences, differences)

    return made
