"""Compare texts with several references, and divide the difference of their targets among the tokens.

The text's run is recorded once and serves all references and targets: both runs can change their roles.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.errors import InputError, ModelUnderstandingError, UnsupportedModelError
from model_understanding.finite_backward.pairing import HINT
from model_understanding.finite_backward.reading import custom_reader, reader_of_rows
from model_understanding.finite_backward.run import EMBEDDINGS, Read, Recording, Side
from model_understanding.model.batching import Batches, is_out_of_memory
from model_understanding.model.embeddings import embeddings_of
from model_understanding.model.guard import guarded
from model_understanding.model.metering import (
    count_backward,
    count_forward,
    count_memory,
    counted_by,
    is_dry_run,
)
from model_understanding.model.model import Model, measured_once
from model_understanding.model.offloading import require_whole
from model_understanding.model.probes import probe_texts, unchanged_modules
from model_understanding.passes.memory_estimate import pass_bytes
from model_understanding.passes.predicted_targets import PredictedTargets
from model_understanding.passes.prefix_plan import prefixes_of
from model_understanding.passes.runner import Runner, Targets
from model_understanding.passes.target_values import entries_of, for_each_row
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding

LARGEST_GAP = 1e-3
"""What the tokens may leave of a difference, as a share of it or of what cancels in it."""
_LARGEST_LOGIT = 1e6  # of a model that gives hidden tokens the least number of its dtype
_GRAPHS = 4  # memory of a pair of runs, in graphs of one: measured 2 to 4


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """What divides the differences of N targets between B texts and R references among T tokens.

    Args:
        outputs: The targets' values for the texts.
        references: Their values for the references.
        contributions: What each token contributes to ``outputs − references``.
        corrections: The size of what passed through corrections, by name, as a share of the difference from
            a reference: the largest.
    """

    outputs: Float[np.ndarray, "batch targets"]
    references: Float[np.ndarray, "references batch targets"]
    contributions: Float[np.ndarray, "references batch targets tokens"]
    corrections: dict[str, float]


def differences(
    runner: Runner,
    encoding: Encoding,
    targets: Targets,
    references: Sequence[Float[Tensor, "batch tokens width"]],
) -> Differences:
    """Divide the differences of targets between texts and references among the tokens, exactly.

    One forward pass of the texts serves all references and targets; each reference takes a forward pass, and
    a backward pass for each target.

    Args:
        runner: The runner.
        encoding: The texts, of one length.
        targets: N targets for all texts, N for each, or a function of the model's outputs.
        references: Embeddings of each reference; at a layer, its hidden states.

    Raises:
        UnsupportedModelError: The runs cannot be compared exactly, or do not fit into memory.
    """
    model, tokens = runner.model, encoding.ids.shape[1]
    require_whole(model.module)
    reason = reason_not_comparable(model)
    if reason is not None:
        raise UnsupportedModelError(reason, hint=HINT)
    if not model.memory.fits_graph(tokens, graphs=_GRAPHS):
        raise _too_large(tokens)
    parts: list[Differences] = []
    batches = Batches(len(encoding), tokens, model.memory, gradients=True)
    for start, end in batches:
        part, own = encoding, targets
        if end - start < len(encoding):
            part = encoding.rows(start, end)
            own = targets if callable(targets) or isinstance(targets[0], Target) else targets[start:end]
        rows = [reference[start:end] for reference in references]
        with batches.halving(), guarded(model.module, gradients=True):
            parts += list(_of_rows(runner, part, own, rows))
    return Differences(
        np.concatenate([part.outputs for part in parts]),
        np.concatenate([part.references for part in parts], axis=1),
        np.concatenate([part.contributions for part in parts], axis=1),
        _largest([part.corrections for part in parts]),
    )


@measured_once
def reason_not_comparable(model: Model) -> str | None:
    """Return why two runs of a model cannot be compared exactly; ``None`` if two short texts can.

    Args:
        model: The model.
    """
    module = model.module

    def read(logits: Tensor, outputs: Any) -> Tensor:
        entries = logits.double().clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT).mean(1)[:, :2]
        return entries[:, :1] - 0.5 * entries[:, 1:].sum(-1, keepdim=True)

    try:
        text, other = probe_texts(model)
        with counted_by(None), guarded(module, gradients=True), unchanged_modules(module):
            with torch.no_grad():
                reference = embeddings_of(model, other.ids)
            with _refusing(model, text.ids.shape[1], is_single=True):
                recording = Recording(model, Side(text), read)
                result = recording.compared(Side(text, reference), summed=_with_sizes)
        sums, sizes = result.cuts[EMBEDDINGS].cpu().numpy().transpose(3, 0, 1, 2)
        _require_complete(model, recording.value.cpu().numpy(), result.text.cpu().numpy(), sums, sizes)
    except UnsupportedModelError as error:
        return error.message
    except InputError:  # a model with a vocabulary of its own: the text itself will tell
        return None
    return None


def _of_rows(
    runner: Runner, encoding: Encoding, targets: Targets, references: Sequence[Tensor]
) -> Iterator[Differences]:
    """Yield the differences of the rows of a batch that fits: together, or one by one for a function."""
    tokens = encoding.ids.shape[1]
    if callable(targets):
        read = custom_reader(targets)
        for row in range(len(encoding)):
            text = encoding.row(row)
            part = _Pass(runner, text, lambda *given: read(*given)[:, None], [0])
            rows = [reference[row : row + 1, : text.ids.shape[1]] for reference in references]
            yield _placed(part.compared(rows), [0], 1, tokens)
        return
    predicted = targets if isinstance(targets, PredictedTargets) and not targets.is_known else None
    own = [] if predicted else for_each_row(targets, len(encoding))
    entries = predicted.entries() if predicted else entries_of(own)
    results: list[Differences] = []
    for length, group in prefixes_of(runner.model, encoding, entries, gradients=True):
        indices = sorted({entry.target for entry in group})
        first = min(entry.position for entry in group)
        if predicted:
            read = partial(_read_predicted, runner.model, predicted, first)
        else:
            served = [replace(entry, target=indices.index(entry.target)) for entry in group]
            rows = [[row[index] for index in indices] for row in own]
            read = reader_of_rows(runner.model, rows, served, first)
        part = _Pass(runner, encoding.prefix(length), read, indices, first, predicted)
        with _refusing(runner.model, length, is_single=len(encoding) == 1):
            result = part.compared([reference[:, :length] for reference in references])
        results.append(_placed(result, indices, len(own[0]) if own else 1, tokens))
    yield _summed(results)


def _read_predicted(
    model: Model, predicted: PredictedTargets, first: int, logits: Tensor, outputs: Any
) -> Tensor:
    """Read the model's own answers, which the first run settles."""
    if not predicted.is_known:
        predicted.resolve(logits)
    return reader_of_rows(model, predicted, entries_of(predicted), first)(logits, outputs)


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """A forward pass over texts, and the targets that are read from it.

    Args:
        runner: The runner.
        encoding: The texts.
        read: Reads the targets.
        targets: Their indices among all targets.
        first: The first position whose logits are read.
        predicted: Targets that are not known before the pass.
    """

    runner: Runner
    encoding: Encoding
    read: Read
    targets: Sequence[int]
    first: int = 0
    predicted: PredictedTargets | None = None

    def compared(self, references: Sequence[Tensor]) -> Differences:
        """Return what divides the differences from each reference."""
        if is_dry_run():
            return self._counted(len(references))
        model = self.runner.model
        hooked = partial(self.runner.hooked, gradients=True)
        recording = Recording(model, Side(self.encoding), self.read, keep_from=self.first, hooked=hooked)
        outputs = recording.value.cpu().numpy()
        values, contributions = [], []
        corrections: dict[str, float] = {}
        for index, reference in enumerate(references):
            keep = index < len(references) - 1
            result = recording.compared(Side(self.encoding, reference), summed=_with_sizes, keep=keep)
            sums, sizes = result.cuts[EMBEDDINGS].cpu().numpy().transpose(3, 0, 1, 2)
            values.append(result.text.cpu().numpy())
            _require_complete(model, outputs, values[-1], sums, sizes)
            contributions.append(-sums)
            corrections = _largest([corrections, result.corrections])
        return Differences(outputs, np.stack(values), np.stack(contributions), corrections)

    def _counted(self, references: int) -> Differences:
        """Count the passes of a dry run; outputs are 1 for texts and 0 for references."""
        model: Any = self.runner.model
        rows, tokens = self.encoding.ids.shape
        targets = len(self.targets)
        for run in range(1 + references):
            outputs = model.forward(self.encoding, self.first)
            logits = model.logits_of(outputs, self.encoding, self.first)
            count_forward(rows * tokens)
            if run == 0 and self.predicted:
                self.predicted.resolve(logits)
            for _ in range(targets if run else 0):
                count_backward(rows * tokens)
        positions = int(model.last_pass[2])
        count_memory(lambda: _GRAPHS * pass_bytes(model, rows, tokens, positions, 1, targets))
        shape = (references, rows, targets)
        return Differences(np.ones((rows, targets)), np.zeros(shape), np.zeros((*shape, tokens)), {})


def _with_sizes(_: Any, passed: Tensor) -> Tensor:
    """Return what passes each token, and the size of what cancels in it."""
    return torch.stack([part.sum(-1, dtype=torch.float64) for part in (passed, passed.abs())], -1)


def _require_complete(
    model: Model,
    outputs: Float[np.ndarray, "batch targets"],
    references: Float[np.ndarray, "batch targets"],
    sums: Float[np.ndarray, "batch targets tokens"],
    sizes: Float[np.ndarray, "batch targets tokens"],
) -> None:
    """Raise unless what passes the tokens is the difference, up to rounding."""
    change = references - outputs
    eps = torch.finfo(model.dtype if model.dtype.is_floating_point else torch.float32).eps
    share = max(LARGEST_GAP, 32 * eps)
    rounding = 16 * eps * np.maximum(np.abs(outputs), np.abs(references)) + 4 * eps * sizes.sum(-1)
    allowed = share * np.maximum(np.abs(change), np.abs(sums).sum(-1)) + rounding
    gaps = np.abs(sums.sum(-1) - change)
    if (gaps <= allowed).all():
        return
    excess = np.nan_to_num(gaps / np.maximum(allowed, 1e-300), nan=np.inf)
    row, target = np.unravel_index(excess.argmax(), gaps.shape)
    raise UnsupportedModelError(
        f"The contributions of the tokens to {model.name} sum to {-sums[row, target].sum():.6g}, and the "
        f"difference from the baseline is {-change[row, target]:.6g}.",
        hint=HINT if eps < 1e-6 else f"Load the model with dtype='float32'; it has {model.dtype}. {HINT}",
    )


def _placed(result: Differences, indices: Sequence[int], targets: int, tokens: int) -> Differences:
    """Return the differences of some targets and a prefix as those of all targets and the whole text."""

    def among_all(values: np.ndarray, axis: int) -> np.ndarray:
        shape = list(values.shape)
        shape[axis] = targets
        placed = np.zeros(shape)
        np.moveaxis(placed, axis, 0)[list(indices)] = np.moveaxis(values, axis, 0)
        return placed

    missing = tokens - result.contributions.shape[-1]
    contributions = np.pad(among_all(result.contributions, 2), ((0, 0), (0, 0), (0, 0), (0, missing)))
    outputs, references = among_all(result.outputs, 1), among_all(result.references, 2)
    return Differences(outputs, references, contributions, result.corrections)


def _summed(results: Sequence[Differences]) -> Differences:
    """Return the differences of all targets from those of passes that serve some of them each."""
    return Differences(
        np.sum([result.outputs for result in results], axis=0),
        np.sum([result.references for result in results], axis=0),
        np.sum([result.contributions for result in results], axis=0),
        _largest([result.corrections for result in results]),
    )


def _largest(shares: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the largest share of each name."""
    return {name: max(one.get(name, 0.0) for one in shares) for name in {*chain.from_iterable(shares)}}


@contextmanager
def _refusing(model: Model, tokens: int, *, is_single: bool) -> Iterator[None]:
    """Refuse a model by name where a rule fails on it, and a text where one pair of runs does not fit.

    Yields:
        Nothing.

    Raises:
        UnsupportedModelError: Something else than this package's own errors was raised.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError) as error:  # a model may have any operation
        if isinstance(error, ModelUnderstandingError):
            raise
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            if is_single:
                raise _too_large(tokens) from error
            raise
        raise UnsupportedModelError(
            f"The two runs of {model.name} cannot be compared exactly ({type(error).__name__}: "
            f"{str(error).strip().partition(chr(10))[0].rstrip('.')}).",
            hint=HINT,
        ) from error


def _too_large(tokens: int) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"There is not enough memory to compare two runs over {tokens} tokens.",
        hint="Use integrated_gradients, which needs less memory, or a shorter text.",
    )
