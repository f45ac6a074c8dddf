"""Record what each layer would answer."""

import time
from collections.abc import Sequence
from dataclasses import replace
from operator import index
from typing import Any

import numpy as np

from model_understanding.errors import InputError, NumericalError, UnsupportedModelError
from model_understanding.lens.logit_lens import read_layers
from model_understanding.model.model import Model
from model_understanding.results import LogitLens
from model_understanding.results.logit_lens import WHOLE_TEXT
from model_understanding.targets.classification import labels_of, problem_of
from model_understanding.targets.vocabulary import token_text
from model_understanding.text.encoding import Encoding

MOST_REPORTED = 64  # steps of a continuation that a report reads through the layers
TOP = 5


def lens_of_tokens(
    model: Model, encoding: Encoding, positions: int | Sequence[int] | None, top: int = TOP
) -> LogitLens:
    """Return what each layer of a language model would say next.

    Args:
        model: The model of a language model.
        encoding: A prompt, or a prompt and its continuation.
        positions: Where to read, counted from the end where negative. Left out: the positions that a
            continuation's tokens were chosen at, or all of a prompt alone.
        top: How many of the likeliest tokens to keep.

    Returns:
        The lens.

    Raises:
        InputError: There is no such position, or ``top`` is no number of tokens.
        UnsupportedModelError: The model's layers cannot be read through its own head.
    """
    started = time.perf_counter()
    _check_top(top)
    tokens = encoding.tokens[0]
    count, start = len(tokens), encoding.prompt_length or 0
    if positions is None:
        chosen = list(range(count)) if start in (0, count) else list(range(start - 1, count - 1))
    else:
        chosen = [_checked_position(p, count) for p in ([positions] if _is_one(positions) else positions)]  # pyright: ignore[reportGeneralTypeIssues]
    if not chosen:
        raise InputError("No position was chosen.", hint="Leave positions out, or pass for example -1.")
    following = [int(tokens.ids[p + 1]) if p + 1 < count else -1 for p in chosen]
    readings = read_layers(model, encoding, positions=chosen, followed=following, top=top)
    named = {*readings.top_ids.ravel().tolist(), *following} - {-1}
    labels = {entry: token_text(model.tokenizer, entry) for entry in sorted(named)}
    return _lens(model, encoding, chosen, following, readings, labels, started)


def lens_of_classes(model: Model, encoding: Encoding, top: int = TOP) -> LogitLens:
    """Return what each layer of a classifier would answer.

    Args:
        model: The model of a classifier.
        encoding: A text.
        top: How many of the likeliest classes to keep.

    Returns:
        The lens, with one position: the answer.

    Raises:
        InputError: ``top`` is no number of classes.
        UnsupportedModelError: The classes are no alternatives to each other, or the model's layers cannot
            be read through its own head.
    """
    started = time.perf_counter()
    _check_top(top)
    if model.output_activation != "softmax":
        kind = problem_of(model.config).replace("_", "-")
        raise UnsupportedModelError(
            f"The logit lens reads one distribution over the classes, and {model.name} is a {kind} model.",
            hint="Use compute_saliency or compute_attention.",
        )
    readings = read_layers(model, encoding, positions=None, followed=[-1], top=top)
    labels = dict(enumerate(labels_of(model.config)))
    return _lens(model, encoding, [WHOLE_TEXT], [-1], readings, labels, started)


def lens_for_report(model: Model, encoding: Encoding) -> LogitLens | None:
    """Return the lens of a continuation's first steps, nothing where a model cannot be read so."""
    start = encoding.prompt_length
    assert start is not None
    steps = range(start - 1, min(len(encoding.tokens[0]) - 1, start - 1 + MOST_REPORTED))
    try:
        return lens_of_tokens(model, encoding, steps)
    except (UnsupportedModelError, NumericalError):  # the rest of the report stands without it
        return None


def _lens(
    model: Model,
    encoding: Encoding,
    positions: Sequence[int],
    following: Sequence[int],
    readings: Any,
    labels: dict[int, str],
    started: float,
) -> LogitLens:
    final_ranks, next_ranks = readings.tracked_ranks.numpy()
    final_probabilities, next_probabilities = readings.tracked_probabilities.numpy()
    return LogitLens(
        tokens=encoding.tokens[0],
        positions=np.array(positions),
        top_ids=readings.top_ids.numpy(),
        top_probabilities=readings.top_probabilities.numpy(),
        entropies=readings.entropies.numpy(),
        divergences=readings.divergences.numpy(),
        final_ranks=final_ranks,
        final_probabilities=final_probabilities,
        next_ids=np.array(following),
        next_ranks=next_ranks,
        next_probabilities=next_probabilities,
        ids=np.array(list(labels), dtype=int),
        labels=tuple(labels.values()),
        provenance=replace(model.loaded.provenance, seconds=time.perf_counter() - started),
    )


def _is_one(positions: object) -> bool:
    return not isinstance(positions, Sequence | np.ndarray) or isinstance(positions, str)


def _checked_position(position: Any, count: int) -> int:
    is_whole = hasattr(position, "__index__") and not isinstance(position, bool)
    if not is_whole or not -count <= index(position) < count:
        raise InputError(
            f"There is no position {position!r}: the text has {count} tokens.",
            hint=f"Pass an index from 0 to {count - 1}, or from -{count} to -1 counting from the end.",
        )
    return index(position) % count


def _check_top(top: Any) -> None:
    is_whole = hasattr(top, "__index__") and not isinstance(top, bool)
    if not is_whole or index(top) < 1:
        raise InputError(f"top must be a whole number of at least 1. Got {top!r}.", hint="Pass top=5.")
