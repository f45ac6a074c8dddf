"""Compute a ``LogitLens``: what each layer would answer through the model's own final layers."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model_understanding.checks import index_in, whole_number
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.lens.logit_lens import LayerPass, LensReadings, read_layers, run_layers
from model_understanding.model.model import Model
from model_understanding.model.prefixes import prefixes_agree
from model_understanding.results import LogitLens
from model_understanding.results.logit_lens import WHOLE_TEXT
from model_understanding.targets.classification import labels_of, problem_of
from model_understanding.text.detokenization import token_text
from model_understanding.text.encoding import Encoding

MOST_STEPS_IN_REPORT = 64  # of a continuation, whose layers a report reads
TOP = 5


def lens_of_tokens(
    model: Model,
    encoding: Encoding,
    positions: int | Sequence[int] | None,
    top: int = TOP,
    ran: LayerPass | None = None,
) -> LogitLens:
    """Return which next token each layer of a language model would predict.

    Args:
        model: The model of a language model.
        encoding: A prompt, or a prompt and its continuation.
        positions: Where to read, counted from the end where negative. Left out: the positions at which a
            continuation's tokens were predicted, or all of a prompt alone.
        top: How many of the likeliest tokens to keep.
        ran: A forward pass that kept the layers' states at these positions; one runs where left out.

    Returns:
        The lens.

    Raises:
        InputError: There is no such position, or ``top`` is not a whole number of at least 1.
        UnsupportedModelError: The model's layers cannot be read through its own final layers.
    """
    started = time.perf_counter()
    whole_number(top, "top")
    tokens = encoding.tokens[0]
    count, start = len(tokens), encoding.prompt_length or 0
    if positions is None:
        first = encoding.source_length or 0  # what an encoder reads predicts nothing
        read = list(range(first, count)) if start in (0, count) else list(range(start - 1, count - 1))
    else:
        given = positions if isinstance(positions, Sequence | np.ndarray) else [positions]
        given = [given] if isinstance(given, str) else given
        read = [index_in(position, count, "position", "the text") for position in given]
    source = encoding.source_length or 0
    if any(position < source for position in read):
        raise InputError(
            f"Position {min(read)} is in the source, of which an encoder–decoder predicts no token.",
            hint=f"Leave positions out, or pass those of the output, from {source} on.",
        )
    if not read:
        raise InputError("positions=[] names no position.", hint="Leave positions out, or pass positions=-1.")
    following = [int(tokens.ids[position + 1]) if position + 1 < count else -1 for position in read]
    readings = _read(model, encoding, read, following, top, ran)
    ids = {*readings.top_ids.ravel().tolist(), *following} - {-1}
    labels = {token: token_text(model.output_tokenizer, token) for token in sorted(ids)}
    return _lens(model, encoding, read, following, readings, labels, started)


def lens_of_classes(model: Model, encoding: Encoding, top: int = TOP) -> LogitLens:
    """Return what each layer of a classifier would answer.

    Args:
        model: The model of a classifier.
        encoding: A text.
        top: How many of the likeliest classes to keep.

    Returns:
        The lens, with one position: the answer.

    Raises:
        InputError: ``top`` is not a whole number of at least 1.
        UnsupportedModelError: The classes do not exclude each other, or the model's layers cannot be read
            through its own final layers.
    """
    started = time.perf_counter()
    whole_number(top, "top")
    if model.output_activation != "softmax":
        kind = problem_of(model.config).replace("_", "-")
        raise UnsupportedModelError(
            f"The logit lens needs one distribution over the classes, and {model.name} is a {kind} model.",
            hint="Use compute_saliency or compute_attention (the commands explain and attention).",
        )
    readings = read_layers(model, encoding, positions=None, tracked=[-1], top=top)
    labels = dict(enumerate(labels_of(model.config)))
    return _lens(model, encoding, [WHOLE_TEXT], [-1], readings, labels, started)


def lens_at_positions(
    model: Model,
    encoding: Encoding,
    positions: Sequence[int],
    label: Callable[[int], str],
    top: int = TOP,
) -> LogitLens:
    """Return what each layer would answer at positions that have logits of their own.

    Args:
        model: The model, which answers at each position about that position: a masked language model.
        encoding: A text.
        positions: Where to read.
        label: Names a class or token by its index.
        top: How many of the likeliest classes or tokens to keep.

    Returns:
        The lens.

    Raises:
        InputError: ``top`` is not a whole number of at least 1.
        UnsupportedModelError: The model's layers cannot be read through its own final layers.
    """
    started = time.perf_counter()
    whole_number(top, "top")
    none = [-1] * len(positions)
    readings = read_layers(model, encoding, positions=positions, tracked=none, top=top)
    labels = {index: label(index) for index in sorted(set(readings.top_ids.ravel().tolist()))}
    return _lens(model, encoding, positions, none, readings, labels, started)


class StepsPass:
    """The forward pass that a report's lens and the record of its continuation share.

    Args:
        model: The model.
        encoding: Prompt and continuation.
    """

    def __init__(self, model: Model, encoding: Encoding) -> None:
        start, count = encoding.prompt_length, len(encoding.tokens[0])
        assert start is not None
        self._model, self._encoding = model, encoding
        self._steps = range(start - 1, min(count - 1, start - 1 + MOST_STEPS_IN_REPORT))
        self._ran: LayerPass | None = None
        self._refused: Exception | None = None

    def logits(self) -> Float[Tensor, "steps vocabulary"] | None:
        """Return the logits that predict the continuation's tokens; ``None`` if other passes give them."""
        model, encoding, steps = self._model, self._encoding, self._steps
        is_whole = len(steps) > 0 and steps.stop == len(encoding.tokens[0]) - 1
        if not is_whole or not prefixes_agree(model, encoding, steps.start + 1, steps.stop):
            return None
        try:
            self._ran = run_layers(model, encoding, steps)
        except Exception as error:  # a report stands without its lens, not without its answer
            self._refused = error
            return None
        return self._ran.answer[0, -len(steps) :]

    def lens(self) -> LogitLens:
        """Return the lens of the continuation's first steps.

        Raises:
            UnsupportedModelError: The model's layers cannot be read through its own final layers.
        """
        if self._refused is not None:
            raise self._refused
        return lens_of_tokens(self._model, self._encoding, self._steps, ran=self._ran)


def _read(
    model: Model,
    encoding: Encoding,
    positions: Sequence[int],
    tracked: Sequence[int],
    top: int,
    ran: LayerPass | None,
) -> LensReadings:
    """Read positions in one forward pass, or each in a pass over its own prefix where these differ."""
    if ran is not None or prefixes_agree(model, encoding, min(positions) + 1, max(positions) + 1):
        return read_layers(model, encoding, positions=positions, tracked=tracked, top=top, ran=ran)
    readings = [
        read_layers(model, encoding, positions=[position], tracked=[following], top=top)
        for position, following in zip(positions, tracked, strict=True)
    ]
    joined = {
        name: torch.cat([getattr(reading, name) for reading in readings], dim=2 if "tracked" in name else 1)
        for name in LensReadings._fields
    }
    return LensReadings(**joined)


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
        provenance=model.provenance(encoding, time.perf_counter() - started),
    )
