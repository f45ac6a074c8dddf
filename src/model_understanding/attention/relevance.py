"""From a target to rows of scores: where its answer was read, and what flows there through attention."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.attention.flow import CaptureMaker, FlowCapture, carried_back, checked_start
from model_understanding.errors import UnsupportedModelError
from model_understanding.model.guard import guarded
from model_understanding.model.metering import count_backward, count_forward
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.runner import CustomTarget, Runner, Targets
from model_understanding.passes.target_values import (
    Entry,
    custom_value,
    entries_of,
    for_each_row,
    read_values,
)
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding


class Relevance(NamedTuple):
    """Values of the targets, and what flowed to each from each token."""

    values: Float[Tensor, "batch targets"]
    scores: Float[Tensor, "batch targets tokens"]


def relevance_of(
    runner: Runner,
    encoding: Encoding,
    targets: Targets,
    capture_of: CaptureMaker,
    *,
    start_layer: int = 0,
) -> Relevance:
    """Follow attention from where each target's answer was read down to the text.

    A language model's answer is read at the positions before the tokens predicted. A classifier's is read
    where it pools: the positions of the last layer at which its logits have a gradient, each with its
    share of the gradient's norm; a target that is a function of the outputs likewise.

    Args:
        runner: The runner.
        encoding: The texts; each is run alone.
        targets: N targets for all texts, N for each, or a function of the model's outputs.
        capture_of: Makes the mode that finds the layers' transitions.
        start_layer: The lowest layer followed.

    Returns:
        Values ``(B, N)`` and scores ``(B, N, T)``, non-negative.

    Raises:
        UnsupportedModelError: A layer cannot be read, or the answer depends on no attention.
    """
    first = checked_start(start_layer, capture_of(runner.model, 1).layer_count)
    first = max(first, runner.layer or 0)
    values = runner.values(encoding, targets)
    whole = encoding.ids.shape[1]
    scores = values.new_zeros((*values.shape, whole))
    for number in range(len(encoding)):
        text = encoding.row(number)
        length = text.ids.shape[1]
        if callable(targets):
            scores[number, :, :length] = _custom_scores(runner, text, targets, capture_of, first)
            continue
        rows = for_each_row(targets, len(encoding))[number]
        for part_length, entries in prefixes_of(runner.model, entries_of([rows]), length, gradients=False):
            part = text.prefix(part_length)
            scores[number, :, :part_length] += _scores(runner, part, rows, entries, capture_of, first)
    return Relevance(values, scores)


def _scores(
    runner: Runner,
    text: Encoding,
    targets: Sequence[Target],
    entries: list[Entry],
    capture_of: CaptureMaker,
    first: int,
) -> Float[Tensor, "targets tokens"]:
    tokens = text.ids.shape[1]
    keep_from = min(entry.position for entry in entries)
    capture = capture_of(runner.model, tokens)
    if not runner.is_language_model and capture.cut_at is None:
        capture.cut_at = -1
    start = torch.zeros((len(targets), tokens), device=runner.model.device)
    with guarded(runner.model.module, gradients=capture.cut_at is not None):
        outputs = _run(runner, text, keep_from, capture)
        if outputs is None:
            for _ in {entry.target for entry in entries} if capture.needs_value else ():
                count_backward(tokens)
            return start
        logits = runner.model.logits_of(outputs, text, keep_from)
        if runner.is_language_model:
            for entry in entries:
                start[entry.target, entry.position] += abs(entry.weight)
        else:
            # Of all logits, weighted: a plain sum of a softmax's inputs can cancel.
            weights = torch.linspace(-1, 1, logits.shape[-1] + 1, device=logits.device)[1:]
            start[:] = _pooled_positions(runner, capture, (logits * weights.to(logits)).sum())
        if not capture.needs_value:
            return carried_back(start, capture.transitions(None)[first:])
        values = read_values(logits, keep_from, entries, [targets], runner.model.output_activation)
        found = torch.zeros_like(start)
        for number in sorted({entry.target for entry in entries}):
            count_backward(tokens)
            transitions = capture.transitions(values[0, number])[first:]
            one = start[number : number + 1]
            found[number] = carried_back(one, transitions, adds_identity=capture.adds_identity)[0]
        return found


def _custom_scores(
    runner: Runner, text: Encoding, target: CustomTarget, capture_of: CaptureMaker, first: int
) -> Float[Tensor, "1 tokens"]:
    tokens = text.ids.shape[1]
    capture = capture_of(runner.model, tokens)
    capture.cut_at = -1 if capture.cut_at is None else capture.cut_at
    with guarded(runner.model.module, gradients=True):
        outputs = _run(runner, text, 0, capture)
        if outputs is None:
            count_backward(tokens)
            return torch.zeros((1, tokens), device=runner.model.device)
        value = custom_value(target(outputs), gradients=True).sum()
        start = _pooled_positions(runner, capture, value)
        count_backward(tokens)
        transitions = capture.transitions(value)[first:]
        return carried_back(start, transitions, adds_identity=capture.adds_identity)


def _run(runner: Runner, text: Encoding, keep_from: int, capture: FlowCapture) -> Any:
    """Run a forward under the mode; a rehearsal runs none and returns nothing."""
    with capture:
        outputs = runner.model.forward(text, keep_from)
    for _ in range(1 + capture.reruns):
        count_forward(text.ids.numel())
    if outputs is not None:
        capture.require_complete()
    return outputs


def _pooled_positions(runner: Runner, capture: FlowCapture, value: Tensor) -> Float[Tensor, "1 tokens"]:
    """Return each position's share in the norm of a value's gradient at the last layer's mixtures."""
    layer = capture.last_layer
    assert layer is not None
    (gradient,) = torch.autograd.grad(value, layer.result, retain_graph=True, allow_unused=True)
    sizes = (
        None if gradient is None else layer.arranged(gradient).float().square().sum(dim=(0, 2)).sqrt()[None]
    )
    if sizes is None or not sizes.sum() > 0:
        raise UnsupportedModelError(
            f"The answer of {runner.model.name} has no gradient at its last attention layer: where "
            "it is read there cannot be told.",
            hint="Use a method that needs no attention, such as saliency.",
        )
    return sizes / sizes.sum()
