"""Run a batch whatever its size: whole where it fits, else in parts, and a long text block by block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from torch import Tensor

from model_understanding.errors import UnsupportedModelError
from model_understanding.model.batching import is_out_of_memory, packed, tell
from model_understanding.model.blocks import blocks_of
from model_understanding.passes.checkpointing import recomputed_blocks
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

if TYPE_CHECKING:
    from model_understanding.passes.runner import Runner

Result = TypeVar("Result")
RunRows = Callable[[Encoding, Any, Tensor | None, Tensor | None], Result]


def run_in_parts(
    runner: "Runner",
    run: RunRows[Result],
    encoding: Encoding,
    targets: Any,
    embeddings: Tensor | None,
    keep: Tensor | None,
    *,
    gradients: bool,
) -> list[Result]:
    """Run the rows of a batch in as few parts as fit.

    A text whose graph alone does not fit, or is not thought to, is run under activation checkpointing
    (``runner.recompute`` says always or never); answers are the same.

    Args:
        runner: The runner.
        run: Runs rows: their encoding, targets, embeddings and kept tokens.
        encoding: The texts; one text is repeated for each row of ``embeddings`` or ``keep``.
        targets: N targets for all rows, N for each row, or a function of the model's outputs.
        embeddings: As ``Runner.gradients`` takes them.
        keep: As ``Runner.values`` takes them.
        gradients: Whether a graph is kept.

    Returns:
        What each part gave, in order.

    Raises:
        NumericalError: Not even one row fits.
    """
    variants = next((part for part in (embeddings, keep) if part is not None), None)
    rows = len(encoding) if variants is None else len(variants)
    tokens = encoding.ids.shape[1]
    logits = _logit_positions(runner, targets, tokens)

    def part(start: int, end: int) -> Result:
        if end - start == rows:
            chosen = encoding, targets, embeddings, keep
        else:
            chosen = _rows(encoding, targets, embeddings, keep, start, end)
        with _named_types(runner):
            return whole_or_by_blocks(chosen, is_one=end - start == 1)

    def whole_or_by_blocks(chosen: tuple[Any, ...], *, is_one: bool) -> Result:
        if not gradients:
            return run(*chosen)
        with _recomputing(runner, tokens, logits) as recomputes:
            try:
                return run(*chosen)
            except RuntimeError as error:
                if recomputes or not is_one or runner.recompute is False or not is_out_of_memory(error):
                    raise
        runner.memory.recomputed_from = tokens
        tell(f"Out of memory with the graph of one text of {tokens} tokens; going on block by block.")
        with _block_by_block(runner):
            return run(*chosen)

    return packed(part, rows, tokens, runner.memory, gradients=gradients, logits=logits)


@contextmanager
def _named_types(runner: "Runner") -> Iterator[None]:
    """Turn torch's words for a number type that a device cannot compute with into this package's."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else ""
        if not any(word in said for word in ("not implemented for '", "Expected mat_a to be ")):
            raise
        raise UnsupportedModelError(
            f"{type(runner.model).__name__} does not run in {runner.model.dtype} on {runner.device}: {said}.",
            hint="Load the model with dtype='float32'.",
        ) from error


@contextmanager
def _recomputing(runner: "Runner", tokens: int, logits: int) -> Iterator[bool]:
    """Turn activation checkpointing on where it is asked for or needed; yield whether it is on."""
    wanted = runner.recompute
    if wanted is None:
        # A model without a list of blocks is tried as it is.
        wanted = not runner.memory.holds_graph(tokens, logits) and bool(blocks_of(runner.model))
    if not wanted:
        yield False
        return
    with _block_by_block(runner):
        yield True


@contextmanager
def _block_by_block(runner: "Runner") -> Iterator[None]:
    runner.memory.keeps_graph = False
    try:
        with recomputed_blocks(runner.model):
            yield
    finally:
        runner.memory.keeps_graph = True


def _rows(
    encoding: Encoding, targets: Any, embeddings: Tensor | None, keep: Tensor | None, start: int, end: int
) -> tuple[Encoding, Any, Tensor | None, Tensor | None]:
    """Return some rows of a batch."""
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


def _logit_positions(runner: "Runner", targets: Any, tokens: int) -> int:
    """Return how many positions of a text get logits."""
    if not runner.is_language_model:
        return 1
    if callable(targets) or "logits_to_keep" not in runner.accepted:
        return tokens
    if isinstance(targets, PredictedTargets):
        return 1
    read = targets if isinstance(targets[0], Target) else [target for row in targets for target in row]
    positions = [position for target in read for position in target.positions]
    return max(positions) - min(positions) + 1 if positions else tokens
