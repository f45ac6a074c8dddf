"""The forwards that serve some targets of a batch, and the backwards through them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor

from model_understanding.model.metering import count_forward
from model_understanding.passes.gradients import Gradients, GradientSum, joined_rows
from model_understanding.passes.lm_head_gradient import caught_head_input, split_directions
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.target_values import (
    CustomTarget,
    TargetRows,
    Targets,
    custom_value,
    entries_of,
    for_each_row,
)
from model_understanding.text.encoding import Encoding

if TYPE_CHECKING:
    from model_understanding.passes.runner import Runner

BackwardRule = Callable[[], AbstractContextManager[Any]]


def run_targets(
    runner: "Runner",
    encoding: Encoding,
    targets: Targets,
    embeddings: Tensor | None,
    keep: Tensor | None,
    *,
    gradients: bool,
    rule: BackwardRule = nullcontext,
) -> Gradients:
    """Return the value of each target for each row of a batch that fits, and its gradient where asked for.

    Args:
        runner: The runner.
        encoding: The texts; one text is repeated for each row of ``embeddings`` or ``keep``.
        targets: N targets for all rows, N for each row, or a function of the model's outputs.
        embeddings: As ``Runner.gradients`` takes them.
        keep: As ``Runner.values`` takes them.
        gradients: Whether to differentiate.
        rule: As ``Runner.gradients`` takes it.

    Returns:
        Values ``(B, N)`` and gradients ``(B, N, T, D)``; of T = 0 tokens where none are asked for.
    """
    variants = next((part for part in (embeddings, keep) if part is not None), None)
    if variants is not None:
        encoding = encoding.repeated(len(variants))
    if keep is not None:
        encoding = Encoding(encoding.tokens, {**encoding.inputs, "attention_mask": keep.long()})
    if callable(targets):
        return _run_custom(runner, encoding, targets, embeddings, gradients=gradients, rule=rule)
    predicted = targets if isinstance(targets, PredictedTargets) and variants is None else None
    predicted = None if predicted is None or predicted.is_known else predicted
    rows: TargetRows = [] if predicted else for_each_row(targets, len(encoding))
    wanted = predicted.entries() if predicted else entries_of(rows)
    found = GradientSum()
    for length, entries in prefixes_of(runner, wanted, encoding.ids.shape[1], gradients=gradients):
        part = encoding.prefix(length)
        given = None if embeddings is None else embeddings[:, :length]
        first = min(entry.position for entry in entries)
        numbers = sorted({entry.target for entry in entries})
        splits = gradients and runner.is_language_model and len(numbers) > 1
        with (
            runner.cut(part, given) as swap,
            caught_head_input(runner.model, wanted=splits) as head,
            rule(),
        ):
            logits = runner.logits_of(runner.forward(part, first), part, first)
        count_forward(part.ids.numel())
        if predicted:  # there is one position to read, so this is the only forward
            predicted.settle(logits)
            rows = predicted
            entries = entries_of(rows)
        values = runner.read(logits, first, entries, rows)
        del logits  # a vocabulary of them for each target: the graph keeps what it needs
        assert swap.leaf is not None
        split = split_directions(head, values, swap.leaf, entries, numbers) if splits else None
        runner.add_to(found, values, swap.leaf, encoding, numbers, split, gradients=gradients)
    return found.total


def _run_custom(
    runner: "Runner",
    encoding: Encoding,
    target: CustomTarget,
    embeddings: Tensor | None,
    *,
    gradients: bool,
    rule: BackwardRule,
) -> Gradients:
    """Run a function of the model's outputs on each text alone, as the caller wrote it for one."""
    found = []
    for row in range(len(encoding)):
        part = encoding.row(row)
        given = None if embeddings is None else embeddings[row : row + 1, : part.ids.shape[1]]
        with runner.cut(part, given) as swap, rule():
            outputs = runner.forward(part, 0)
            runner.logits_of(outputs, part, 0)
            value = runner.custom_answer(target, outputs)
        count_forward(part.ids.numel())
        values = custom_value(value, gradients=gradients)
        assert swap.leaf is not None
        found.append(GradientSum())
        runner.add_to(found[-1], values, swap.leaf, encoding, [0], gradients=gradients)
    return joined_rows([one.total for one in found])
