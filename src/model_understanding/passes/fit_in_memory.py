"""Run a batch of any size: at once if it fits, else in parts, and long texts with checkpointing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor

from model_understanding.model.batching import Batches, is_out_of_memory, note_out_of_memory
from model_understanding.model.blocks import checkpointed_modules
from model_understanding.model.failures import translated_type_errors
from model_understanding.model.model import Model
from model_understanding.passes.checkpointing import recomputed_blocks
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

Result = TypeVar("Result")
RunRows = Callable[[Encoding, Any, Tensor | None, Tensor | None], Result]


def run_in_parts(
    model: Model,
    run: RunRows[Result],
    encoding: Encoding,
    targets: Any,
    embeddings: Tensor | None,
    keep: Tensor | None,
    *,
    gradients: bool,
    recompute: bool | None = None,
) -> list[Result]:
    """Run the rows of a batch in as few parts as fit into memory.

    A text whose graph does not fit, or is not expected to, runs under activation checkpointing; results are
    the same.

    Args:
        model: The model.
        run: Runs rows, given their encoding, targets, embeddings and visible tokens.
        encoding: The texts; one text is repeated for each row of ``embeddings`` or ``keep``.
        targets: N targets for all rows, N for each row, or a function of the model's outputs.
        embeddings: See ``Runner.gradients``.
        keep: See ``Runner.values``.
        gradients: Whether the graph is kept.
        recompute: Whether to use checkpointing; ``None`` for where it is needed.

    Returns:
        The result of each part, in order.

    Raises:
        NumericalError: Not even one row fits.
    """
    variants = embeddings if embeddings is not None else keep
    rows = len(encoding) if variants is None else len(variants)
    tokens = encoding.ids.shape[1]
    logits = _logit_positions(model, targets, tokens)
    results: list[Result] = []
    batches = Batches(rows, tokens, model.memory, gradients=gradients, logits=logits)
    for start, end in batches:
        part = encoding, targets, embeddings, keep
        if end - start < rows:
            part = _rows(encoding, targets, embeddings, keep, start, end)
        with batches.halving(), translated_type_errors(model.name, model.dtype, model.device):
            if not gradients:
                results.append(run(*part))
                continue
            with _checkpointing(model, tokens, logits, recompute) as is_checkpointed:
                try:
                    results.append(run(*part))
                    continue
                except RuntimeError as error:
                    is_single = end - start == 1
                    if is_checkpointed or not is_single or recompute is False or not is_out_of_memory(error):
                        raise
            model.memory.recomputed_from = tokens
            note_out_of_memory(
                f"Out of memory with the graph of a text of {tokens} tokens; continuing with checkpointing."
            )
            with _checkpointed(model):
                results.append(run(*part))
    return results


@contextmanager
def _checkpointing(model: Model, tokens: int, logits: int, recompute: bool | None) -> Iterator[bool]:
    """Turn activation checkpointing on if it is requested or needed, and yield whether it is on."""
    if recompute is None:
        # A model without a list of blocks runs without checkpointing.
        is_too_large = not model.memory.fits_graph(tokens, logits)
        recompute = is_too_large and bool(checkpointed_modules(model.module))
    if not recompute:
        yield False
        return
    with _checkpointed(model):
        yield True


@contextmanager
def _checkpointed(model: Model) -> Iterator[None]:
    model.memory.keeps_graph = False
    try:
        with recomputed_blocks(model.module):
            yield
    finally:
        model.memory.keeps_graph = True


def _rows(
    encoding: Encoding, targets: Any, embeddings: Tensor | None, keep: Tensor | None, start: int, end: int
) -> tuple[Encoding, Any, Tensor | None, Tensor | None]:
    """Return the rows of a batch from a start to an end (exclusive)."""
    if len(encoding) > 1:
        encoding = encoding.rows(start, end)
    if not callable(targets) and not isinstance(targets[0], Target):
        targets = targets[start:end]
    return (
        encoding,
        targets,
        None if embeddings is None else embeddings[start:end],
        None if keep is None else keep[start:end],
    )


def _logit_positions(model: Model, targets: Any, tokens: int) -> int:
    """Return the number of positions of a text whose logits are computed."""
    if not model.is_language_model:
        return model.logit_positions(tokens)
    if callable(targets) or "logits_to_keep" not in model.accepted:
        return tokens
    if isinstance(targets, PredictedTargets):
        return 1
    flat = targets if isinstance(targets[0], Target) else [target for row in targets for target in row]
    positions = [position for target in flat for position in target.positions]
    return max(positions) - min(positions) + 1 if positions else tokens
