"""From a target to rows of scores: where its answer is read, and what flows there through attention."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.capture.layout import with_known_layout
from model_understanding.attention.capture.mode import captured_forward
from model_understanding.attention.flow import FlowReader, LayerMatrix, MakeFlowReader, multiplied_down
from model_understanding.checks import index_in
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.attention_layout import Sides
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_backward
from model_understanding.model.precision import precise
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.runner import CustomTarget, Runner, Targets
from model_understanding.passes.target_values import (
    Entry,
    TargetRows,
    custom_value,
    entries_of,
    for_each_row,
    read_values,
)
from model_understanding.text.encoding import Encoding


class Relevance(NamedTuple):
    """Values of the targets, and how much of each flows from each token."""

    values: Float[Tensor, "batch targets"]
    scores: Float[Tensor, "batch targets tokens"]


def relevance_of(
    runner: Runner,
    encoding: Encoding,
    targets: Targets,
    make_reader: MakeFlowReader,
    *,
    start_layer: int = 0,
) -> Relevance:
    """Follow attention from where each target's answer is read down to the text.

    A language model's answer is read at the positions before the tokens predicted. A classifier's is read
    where it pools: the positions of the last layer at which its logits have a gradient, each with its
    share of the gradient's norm; that of a model with logits at several positions where the target's value
    has one, and so for a target that is a function of the outputs.

    Args:
        runner: The runner.
        encoding: The texts. They share a pass where they have one length and the method reads several.
        targets: N targets for all texts, N for each, or a function of the model's outputs.
        make_reader: Makes what reads the layers as relevance matrices.
        start_layer: The lowest layer followed.

    Returns:
        Values ``(B, N)`` and scores ``(B, N, T)``, non-negative.

    Raises:
        UnsupportedModelError: A layer cannot be read, or the answer depends on no attention.
    """
    return with_known_layout(
        runner.model,
        encoding,
        lambda: _relevance_of(runner, encoding, targets, make_reader, start_layer),
    )


def _relevance_of(
    runner: Runner, encoding: Encoding, targets: Targets, make_reader: MakeFlowReader, start_layer: int
) -> Relevance:
    reader = make_reader(runner.model, Sides(1, 1))
    first = max(index_in(start_layer, reader.layout.depth, "start layer"), runner.layer or 0)

    def read(texts: Encoding, targets: Targets) -> Relevance:
        if callable(targets):
            return _of_function(runner, texts, targets, make_reader, first)
        is_open = isinstance(targets, PredictedTargets) and not targets.is_known
        rows: TargetRows = targets if is_open else for_each_row(targets, len(texts))  # pyright: ignore[reportAssignmentType]
        return _of_targets(runner, texts, rows, make_reader, first)

    if len(encoding) == 1:
        return read(encoding, targets)
    fails, measured = (_relevance_of, reader.name), runner.model.actual.measured
    together = reader.takes_batches and not callable(targets) and _have_one_length(encoding)
    if not together or fails in measured:
        return _of_each(runner, encoding, targets, read)
    try:
        return read(encoding, targets)
    except UnsupportedModelError:  # perhaps only of several texts
        found = _of_each(runner, encoding, targets, read)
        measured[fails] = True
        return found


def _have_one_length(encoding: Encoding) -> bool:
    return all(len(tokens) == encoding.ids.shape[1] for tokens in encoding.tokens)


def _of_each(
    runner: Runner, encoding: Encoding, targets: Targets, read: Callable[[Encoding, Targets], Relevance]
) -> Relevance:
    """Read each of several texts alone; their values come from a batch, as those of every method."""
    values = runner.values(encoding, targets)
    of_texts = [
        read(
            encoding.row(row),
            targets if callable(targets) else [for_each_row(targets, len(encoding))[row]],
        )
        for row in range(len(encoding))
    ]
    scores = values.new_zeros((*values.shape, encoding.ids.shape[1]))
    for row, of_text in enumerate(of_texts):
        scores[row, :, : of_text.scores.shape[-1]] = of_text.scores[0]
    return Relevance(values, scores)


def _of_targets(
    runner: Runner, texts: Encoding, targets: TargetRows, make_reader: MakeFlowReader, first: int
) -> Relevance:
    """Return values and scores of the targets; if predicted, the forward pass says which they are."""
    tokens, device = texts.ids.shape[1], runner.model.device
    predicted = targets if isinstance(targets, PredictedTargets) else None
    entries = predicted.entries() if predicted else entries_of(targets)
    count = 1 if predicted else len(targets[0])
    values = torch.zeros((len(texts), count), device=device, dtype=torch.float32)
    scores = torch.zeros((len(texts), count, tokens), device=device, dtype=torch.float32)
    for length, group in prefixes_of(runner.model, texts, entries, gradients=False):
        part = texts.prefix(length)
        keep_from = min(entry.position for entry in group)
        reader = make_reader(runner.model, Sides(length, length))
        if not runner.is_language_model and reader.leaf_layer is None:
            reader.leaf_layer = -1
        with guarded(runner.model.module, gradients=reader.leaf_layer is not None):
            outputs, logits = captured_forward(reader, part, keep_from)
            if predicted:  # one position is read, so this is the only forward pass
                predicted.resolve(logits)
                group = entries_of(targets)
            if outputs is None:
                values.fill_(1)
                for _ in {entry.target for entry in group} if reader.per_target else ():
                    count_backward(part.ids.numel())
                continue
            read = read_values(logits, keep_from, group, targets, runner.model.output_activation)
            values += read.detach().to(values)
            scores[:, :, :length] += _flow(runner, reader, logits, group, read, first)
    return Relevance(values, scores)


def _flow(
    runner: Runner,
    reader: FlowReader,
    logits: Float[Tensor, "batch positions classes"],
    entries: Sequence[Entry],
    values: Float[Tensor, "batch targets"],
    first: int,
) -> Float[Tensor, "batch targets tokens"]:
    """Return what flows from each token to where each target's entries are read."""
    start = torch.zeros((*values.shape, reader.tokens), device=runner.model.device, dtype=torch.float32)
    own: list[LayerMatrix] | None = None  # of the only target
    if runner.is_language_model:
        for entry in entries:
            start[entry.row, entry.target, entry.position] += abs(entry.weight)
    elif logits.shape[1] > 1:
        for target in range(values.shape[1]):
            start[:, target] = _pooled_positions(reader, values[:, target].sum())
    else:
        shares, own = _pooled_by_logits(runner, reader, logits, values)
        start[:] = shares[:, None]
    if not reader.per_target:
        return multiplied_down(start, reader.matrices(None)[first:])
    scores = torch.zeros_like(start)
    for target in sorted({entry.target for entry in entries}):
        count_backward(len(values) * reader.tokens)
        matrices = (own or reader.matrices(values[:, target].sum()))[first:]
        rows = start[:, target : target + 1]
        scores[:, target] = multiplied_down(rows, matrices, adds_identity=reader.adds_identity)[:, 0]
    return scores


def _pooled_by_logits(
    runner: Runner,
    reader: FlowReader,
    logits: Float[Tensor, "batch 1 classes"],
    values: Float[Tensor, "batch targets"],
) -> tuple[Float[Tensor, "batch tokens"], list[LayerMatrix] | None]:
    """Return each position's share in a classifier's logits, and the matrices of an only target if computed.

    Where all logits of a text are read at one position, that of a target is, too: once a model was seen to
    read them so, the gradient of the target, which its matrices need anyway, says which position it is.
    """
    measured, reads_once = runner.model.actual.measured, (_pooled_by_logits, reader.name)
    own, of_target = None, None
    if reader.per_target and values.shape[1] == 1:
        own = reader.matrices(values.sum())
        of_target = None if reader.last_gradient is None else _shares(reader.last_gradient)
        if of_target is not None and reads_once in measured and _is_one_position(of_target):
            return of_target, own
    # Of all logits, weighted: a plain sum of a softmax's inputs can cancel.
    weights = torch.linspace(-1, 1, logits.shape[-1] + 1, device=logits.device, dtype=torch.float32)[1:]
    shares = _pooled_positions(reader, (logits * weights.to(logits)).sum())
    is_same = of_target is not None and reader.tokens > 1 and torch.equal(shares, of_target)
    if is_same and _is_one_position(shares):
        measured[reads_once] = True
    return shares, own


def _of_function(
    runner: Runner, text: Encoding, function: CustomTarget, make_reader: MakeFlowReader, first: int
) -> Relevance:
    """Return value and scores of one text for a function of the model's outputs."""
    tokens = text.ids.shape[1]
    reader = make_reader(runner.model, Sides(tokens, tokens))
    reader.leaf_layer = -1 if reader.leaf_layer is None else reader.leaf_layer
    with guarded(runner.model.module, gradients=True):
        outputs, _ = captured_forward(reader, text, 0)
        count_backward(tokens)
        if outputs is None:
            device = runner.model.device
            one = torch.ones((1, 1), device=device, dtype=torch.float32)
            return Relevance(one, one.new_zeros((1, 1, tokens)))
        value = custom_value(function(outputs), gradients=True)
        start = _pooled_positions(reader, value.sum())[:, None]
        matrices = reader.matrices(value.sum())[first:]
        scores = multiplied_down(start, matrices, adds_identity=reader.adds_identity)
        return Relevance(value.detach(), scores)


def _pooled_positions(reader: FlowReader, value: Tensor) -> Float[Tensor, "batch tokens"]:
    """Return each position's share in the norm of a value's gradient at the last layer's output.

    Args:
        reader: Has read the layers.
        value: The sum of a value of each text.
    """
    layer = reader.last_layer
    assert layer is not None
    (gradient,) = torch.autograd.grad(value, layer.output, retain_graph=True, allow_unused=True)
    shares = None if gradient is None else _shares(layer.by_head(gradient))
    if shares is None:
        raise UnsupportedModelError(
            f"The answer of {reader.model.name} has no gradient at its last attention layer, so the position "
            "where it is read is unknown.",
            hint="Use a method that needs no attention, such as leave_one_out or saliency.",
        )
    return shares


def _shares(gradient: Float[Tensor, "batch heads tokens width"]) -> Float[Tensor, "batch tokens"] | None:
    """Return each position's share in the norm of a gradient; ``None`` where some text's gradient is zero."""
    sizes = precise(gradient).square().sum(dim=(1, 3)).sqrt()
    sums = sizes.sum(dim=1, keepdim=True)
    return sizes / sums if (sums > 0).all() else None


def _is_one_position(shares: Float[Tensor, "batch tokens"]) -> bool:
    """Return whether every text has a single position with a share."""
    return bool((shares.count_nonzero(dim=1) == 1).all())
