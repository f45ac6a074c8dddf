"""Compute a ``Ledger``: two runs, one backward pass, and the cuts that it passes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layout import with_known_layout
from model_understanding.attention.capture.parts import ToHeads
from model_understanding.errors import InputError, NumericalError, UnsupportedModelError
from model_understanding.finite_backward.mode import Around
from model_understanding.finite_backward.reading import custom_reader, reader_of
from model_understanding.finite_backward.run import EMBEDDINGS, FiniteBackward, Side, finite_backward
from model_understanding.ledger.alignment import Aligned, aligned
from model_understanding.ledger.heads import HeadOutputs, HeadWatch, why_unread
from model_understanding.ledger.stream import Join, Residual, StreamWatch
from model_understanding.model.blocks import Block, transformer_blocks
from model_understanding.model.hidden_states import block_of_layer
from model_understanding.model.model import Model
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.runner import Runner
from model_understanding.passes.target_values import CustomTarget, entries_of
from model_understanding.paths.baselines import baseline_cautions, baseline_embeddings, resolved_baseline
from model_understanding.results import Ledger, Target
from model_understanding.text.encoding import Encoding

LARGEST_GAP = 1e-3
"""A cut that leaves more of the difference unexplained is refused."""
_WITHOUT_ATTENTION = "No attention was found: all that blocks add to the residual stream is under mlp."
_HINT = "Use compute_saliency: its methods of removal (leave_one_out, guided_ablation) work for every model."


def ledger_of_texts(
    runner: Runner,
    text: Encoding,
    reference: Encoding,
    target: Target,
    function: CustomTarget | None = None,
) -> Ledger:
    """Return the ledger of the difference between two texts.

    Args:
        runner: The runner of the model.
        text: One text.
        reference: The text that it is compared with.
        target: What is explained, on the text.
        function: The caller's function of the model's outputs, where that is the target.

    Raises:
        InputError: One is a pair and one is not, or with fillers they are longer than the model allows.
        UnsupportedModelError: The model's two runs cannot be compared exactly.
        NumericalError: A cut does not sum to the difference.
    """
    counts = [len(each.tokens[0].texts) for each in (text, reference)]
    if counts[0] != counts[1]:
        raise InputError(
            f"A text is compared with a reference of the same form. Got {counts[0]} and {counts[1]} texts.",
            hint="Pass two single texts, or two pairs as (text, other).",
        )
    own, other = aligned(runner, text, reference)
    moved = (
        replace(target, positions=tuple(own.places[position] for position in target.positions))
        if (runner.is_language_model and target.positions)
        else target
    )
    cautions = _filler_cautions(runner, (text, reference), (own, other), target, moved, function)
    cautions = (*dict.fromkeys((*reference.cautions, *cautions)),)
    return _ledger(runner, own.side, other.side, moved, function, cautions)


def ledger_of_baseline(
    runner: Runner, text: Encoding, baseline: str, target: Target, function: CustomTarget | None = None
) -> Ledger:
    """Return the ledger of the difference between a text and its baseline.

    Args:
        runner: The runner of the model.
        text: One text.
        baseline: Name of a baseline, as ``baseline_embeddings`` takes it.
        target: What is explained.
        function: The caller's function of the model's outputs, where that is the target.

    Raises:
        InputError: There is no such baseline.
        UnsupportedModelError: The model's two runs cannot be compared exactly.
        NumericalError: A cut does not sum to the difference.
    """
    name = resolved_baseline(runner, baseline)
    side = Side(text, baseline_embeddings(runner, text, name))
    return _ledger(runner, Side(text), side, target, function, baseline_cautions(runner, name), name)


def _ledger(
    runner: Runner,
    text: Side,
    reference: Side,
    target: Target,
    function: CustomTarget | None,
    cautions: Sequence[str],
    baseline: str | None = None,
) -> Ledger:
    started = time.perf_counter()
    model, count = runner.model, text.encoding.ids.shape[1]
    blocks = _blocks(model)
    length, read, first = count, None, 0
    if function is not None:
        read = custom_reader(function)
    else:
        groups = prefixes_of(model, text.encoding, entries_of([[target]]), gradients=False)
        if len(groups) > 1:
            raise UnsupportedModelError(
                f"{model.name} needs a forward pass for each of the {len(groups)} tokens of the target; a "
                "ledger is of one forward pass.",
                hint="Pass a target that is a single token, such as target='next'.",
            )
        ((length, entries),) = groups
        first = min(entry.position for entry in entries)
        read = reader_of(model, target, entries, first)
    pair = [_prefix(side, length) for side in (reference, text)]
    why = why_unread(model)

    def run() -> tuple[FiniteBackward, dict[Any, float]]:
        cuts = _Cuts(model, blocks, reads_heads=why is None)
        result = finite_backward(
            model, pair[0], pair[1], read, keep_from=first, watches=[cuts.watching], summed=cuts.summed
        )
        return result, cuts.rounding

    result, rounding = with_known_layout(model, pair[1].encoding, run)
    gaps, rows, missing = _checked_rows(model, result, rounding, blocks)
    attention, mlp = _sublayers(result, len(blocks), length)
    notes = [
        *missing,
        *([] if why is None else [f"The heads are missing: {why}"]),
        *([] if attention.any() or not mlp.any() else [_WITHOUT_ATTENTION]),
        *_correction_notes(result.corrections),
    ]
    provenance = model.provenance(text.encoding, time.perf_counter() - started)
    value, reference_value = float(result.text[0]), float(result.reference[0])
    return Ledger(
        tokens=text.encoding.tokens[0],
        reference_tokens=reference.encoding.tokens[0],
        target=target,
        value=value,
        reference_value=reference_value,
        residual=_padded(rows, count),
        attention=_padded(attention, count),
        mlp=_padded(mlp, count),
        heads=None if why is not None else _heads(result, len(blocks)),
        gaps=gaps,
        corrections=result.corrections,
        baseline=baseline,
        provenance=provenance.with_cautions([*cautions, *notes]),
    )


def _blocks(model: Model) -> tuple[Block, ...]:
    if getattr(model.config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{model.name} is an encoder–decoder; a ledger follows one residual stream.", hint=_HINT
        )
    try:
        return transformer_blocks(model)
    except UnsupportedModelError as error:
        raise UnsupportedModelError(error.message, hint=_HINT) from error


class _Cuts:
    """Notes the tensors of a ledger's cuts in one run after the other."""

    def __init__(self, model: Model, blocks: tuple[Block, ...], *, reads_heads: bool) -> None:
        self._model = model
        self._blocks = blocks
        self._reads_heads = reads_heads
        self._arranged: dict[int, ToHeads] = {}
        self._joins: dict[int, list[tuple[int, Join]]] = {}
        self.rounding: dict[Any, float] = {}
        """What rounding alone may add to the sum of a cut, whose entries cancel."""

    @contextmanager
    def watching(self, encoding: Encoding, noted: dict[Any, Tensor]) -> Iterator[Sequence[Around]]:
        stream = StreamWatch(self._blocks, encoding, noted, self._joins)
        heads = HeadWatch(self._model, encoding, noted) if self._reads_heads else None
        with stream.watching():
            yield [stream.around] if heads is None else [stream.around, heads.around]
        if heads is not None:
            self._arranged = heads.arranged
            heads.require_complete()

    def summed(self, name: Any, passed: Tensor) -> Tensor:
        """Sum what passes a cut over everything but its positions, or over everything but its heads."""
        if not isinstance(name, HeadOutputs):
            self.rounding[name] = 4 * torch.finfo(passed.dtype).eps * float(passed.abs().sum())
            return passed.sum(-1, dtype=torch.float64)
        return self._arranged[name.layer](passed).sum((0, 2, 3), dtype=torch.float64)


def _prefix(side: Side, length: int) -> Side:
    rows = None if side.embeddings is None else side.embeddings[:, :length]
    return Side(side.encoding.prefix(length), rows)


def _checked_rows(
    model: Model, result: FiniteBackward, rounding: dict[Any, float], blocks: tuple[Block, ...]
) -> tuple[Float[np.ndarray, " states"], Float[np.ndarray, "states tokens"], list[str]]:
    """Return the gap and the contributions of each state; raise where a cut does not add up."""
    difference = float(result.difference[0])
    embeddings = result.cuts[EMBEDDINGS][0].cpu().numpy()
    rows = []
    for layer in range(len(blocks) + 1):
        cut = result.cuts.get(Residual(layer))
        if cut is None:
            raise UnsupportedModelError(
                f"The states {_place(layer, len(blocks))} of {model.name} were not found.", hint=_HINT
            )
        rows.append(cut.flatten().cpu().numpy())  # one text, whatever the order of its axes
    whole = np.stack(rows)
    scale = max(abs(float(result.text[0])), abs(float(result.reference[0])))
    rounded = 2e-6 * scale
    # Where the difference is rounding itself, what is missing is compared with the values.
    least = scale if abs(difference) <= rounded else 0.0
    gaps = np.array([_gap(row, difference, least) for row in whole])

    def adds_up(name: Any, row: Float[np.ndarray, " tokens"]) -> bool:
        is_rounding = abs(float(row.sum()) - difference) <= rounded + rounding[name]
        return is_rounding or _gap(row, difference) <= LARGEST_GAP

    starts_right = adds_up(EMBEDDINGS, embeddings)
    notes = []
    for layer in reversed(range(len(gaps))):  # from the output, so that the first is where it arises
        if adds_up(Residual(layer), whole[layer]):
            continue
        if starts_right and layer < len(blocks) and _is_bypassed(model, layer):
            notes.append(
                f"What enters block {layer} is not all of the difference: other paths bypass the block."
            )
            continue
        raise NumericalError(
            f"The contributions of the states {_place(layer, len(blocks))} of {model.name} sum to "
            f"{whole[layer].sum():.6g}, and the difference is {difference:.6g}.",
            hint=_dtype_hint(model),
        )
    if not starts_right:
        raise NumericalError(
            f"The contributions of the embeddings of {model.name} sum to {embeddings.sum():.6g}, and the "
            f"difference is {difference:.6g}.",
            hint=_dtype_hint(model),
        )
    return gaps, whole, notes


def _dtype_hint(model: Model) -> str:
    is_exact = str(model.dtype) in ("torch.float32", "torch.float64")
    return _HINT if is_exact else f"Load the model with dtype='float32'; it has {model.dtype}. {_HINT}"


def _gap(row: Float[np.ndarray, " tokens"], difference: float, least: float = 0.0) -> float:
    """Return what a cut leaves unexplained, as a share of the difference or of what cancels in it."""
    size = max(abs(difference), float(np.abs(row).sum()), least)
    return abs(float(row.sum()) - difference) / size if size else 0.0


def _is_bypassed(model: Model, layer: int) -> bool:
    try:
        block_of_layer(model, layer)
    except UnsupportedModelError:
        return True
    return False


def _place(layer: int, layers: int) -> str:
    return f"that enter block {layer}" if layer < layers else "that leave the last block"


def _sublayers(
    result: FiniteBackward, layers: int, tokens: int
) -> tuple[Float[np.ndarray, "layers tokens"], Float[np.ndarray, "layers tokens"]]:
    """Return what attention and what other sublayers add to the stream.

    In a layer without attention that has two sublayers, the first takes attention's place.
    """
    attention, mlp = np.zeros((2, layers, tokens))
    joins = [(name, cut) for name, cut in result.cuts.items() if isinstance(name, Join)]
    for layer in range(layers):
        own = sorted((join for join in joins if join[0].layer == layer), key=lambda join: join[0].index)
        has_attention = any(name.reads_attention for name, _ in own)
        for place, (name, cut) in enumerate(own):
            stands_in = not has_attention and place == 0 and len(own) > 1
            (attention if name.reads_attention or stands_in else mlp)[layer] += cut.flatten().cpu().numpy()
    return attention, mlp


def _heads(result: FiniteBackward, layers: int) -> Float[np.ndarray, "layers heads"]:
    sums = {name.layer: cut for name, cut in result.cuts.items() if isinstance(name, HeadOutputs)}
    heads = np.zeros((layers, max(map(len, sums.values()), default=0)))
    for layer, values in sums.items():
        heads[layer, : len(values)] = values.cpu().numpy()
    return heads


def _padded(values: Float[np.ndarray, "rows tokens"], tokens: int) -> Float[np.ndarray, "rows tokens"]:
    """Return values of a prefix as those of the whole text: what follows the target adds nothing."""
    return np.pad(values, ((0, 0), (0, tokens - values.shape[1])))


def _correction_notes(corrections: dict[str, float]) -> list[str]:
    share = corrections.get("routing", 0.0)
    if share < 0.01:
        return []
    passed = (
        f"{100 * share:.0f} % of the difference passes" if share <= 1 else "more than the difference passes"
    )
    return [
        f"The texts are routed to other experts: {passed} the routers by a correction, not by an exact rule. "
        "The sums are exact; their distribution is less certain."
    ]


def _filler_cautions(
    runner: Runner,
    texts: tuple[Encoding, Encoding],
    sides: tuple[Aligned, Aligned],
    target: Target,
    moved: Target,
    function: CustomTarget | None,
) -> list[str]:
    """Return the warning of texts that were filled, with what the fillers change."""
    if not any(side.fillers for side in sides):
        return []
    lengths = " and ".join(str(text.ids.shape[1]) for text in texts)
    cautions = [
        f"The texts have {lengths} tokens. Shared tokens are compared with each other; where one text has no "
        "counterpart, a filler stands in the other."
    ]
    for text, side, what in zip(texts, sides, ("text", "reference"), strict=True):
        if not side.fillers:
            continue
        own = _own_target(side, moved) if runner.is_language_model and moved.positions else target
        change = ""
        if own is not None:
            targets: Any = function if function is not None else (own,)
            alone = float(runner.values(text, targets)[0, 0])
            filled = float(
                runner.values(side.side.encoding, function or (moved,), embeddings=side.side.embeddings)[0, 0]
            )
            change = f"; with them the value is {filled:.4g} instead of {alone:.4g}"
        fillers = f"{side.fillers} filler{'s' if side.fillers > 1 else ''}"
        cautions.append(f"The {what} has {fillers}{change}.")
    return cautions


def _own_target(side: Aligned, moved: Target) -> Target | None:
    """Return the target at a text's own positions, if it has a token at each."""
    own = {place: position for position, place in enumerate(side.places)}
    if not all(position in own for position in moved.positions):
        return None
    return replace(moved, positions=tuple(own[position] for position in moved.positions))
