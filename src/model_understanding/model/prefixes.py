"""Measure whether one forward pass over a text gives what passes over its prefixes give.

In most causal models the logits at a position are the same however many tokens follow. In some they are not:
rotary frequencies may follow the text's length (longrope, dynamic NTK), attention may select a number of
positions out of all (sparse attention), experts may take a number of tokens that grows with the text.
"""

import logging
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model_understanding.loading.wrappers import input_embeddings
from model_understanding.model.causality import is_causal
from model_understanding.model.guard import guarded
from model_understanding.model.model import Model, measured_once
from model_understanding.text.encoding import Encoding
from model_understanding.tokens import Tokens

_PROBED = (5, 14, 24)  # lengths of the prefixes of the text that every model is measured on once
# Settings of a configuration that are no lengths of texts, by parts of their names.
_OTHER_SETTINGS = (
    *("hidden", "embd", "embed_", "inner", "intermediate", "ffn", "d_model", "d_ff", "dim", "width", "rank"),
    *("head", "layer", "expert", "vocab", "_id", "label", "conv", "task_specific"),
)
# Relative difference of logits that is rounding error: much larger in half precision.
_TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-8}
_HALF_TOLERANCE = 2e-2
_NOISE = 4  # in half precision: how many times the difference that another batch size makes
_CAUTION = (
    "In this model the states of earlier tokens depend on how long the text is. {} from one forward pass "
    "over the whole text, not from a pass over the tokens up to each position."
)
_log = logging.getLogger("model_understanding")


def prefixes_agree(model: Model, encoding: Encoding, shortest: int, longest: int) -> bool:
    """Return whether a forward pass over ``longest`` tokens serves every prefix from ``shortest`` on.

    That the model is causal is necessary, not sufficient. Every model is measured once on a short text;
    texts that are longer than a setting of the configuration, which may be a limit that the model follows,
    are measured themselves, once for each pair of lengths.

    Args:
        model: A language model.
        encoding: The text; of a batch the first one is measured.
        shortest: Tokens of the shortest prefix whose logits are read.
        longest: Tokens of the longest.

    Returns:
        Whether the logits agree.
    """
    if not is_causal(model):
        return False
    if shortest >= longest:
        return True
    if not _probe_agrees(model):
        return False
    if bisect_left(_limits(model), longest) == 0:
        return True
    measured, key = model.actual.measured, (prefixes_agree, encoding.source_length, shortest, longest)
    if key not in measured:
        text = encoding.rows(0, 1)
        measured[key] = _agree(model.actual, text, (shortest, longest))
    return measured[key]


def read_in_one_pass(
    model: Model, encoding: Encoding, what: str, positions: Sequence[int] | None = None
) -> Encoding:
    """Return a text that warns where one pass over it differs from what the model computed at a position.

    Args:
        model: The model.
        encoding: The text.
        what: What is read, for the warning: ``"The attention shown comes"``.
        positions: The positions that are read in one forward pass over the whole text; all by default.

    Returns:
        The text, with a warning if the model's passes over prefixes of these lengths do not agree with it.
    """
    tokens = encoding.ids.shape[1]
    shortest = 1 + (encoding.source_length or 0)
    if positions is not None:
        shortest = max(shortest, 1 + min(position % tokens for position in positions))
    if (
        not model.is_language_model
        or not is_causal(model)
        or prefixes_agree(model, encoding, shortest, tokens)
    ):
        return encoding
    return replace(encoding, cautions=(*encoding.cautions, _CAUTION.format(what)))


@measured_once
def _probe_agrees(model: Model) -> bool:
    """Return whether the prefixes of a short text agree: half of it differs, half repeats one token."""
    limit = model.longest_input or _PROBED[-1]
    lengths = [length for length in _PROBED if length <= limit]
    if len(lengths) < 2:
        return True
    rows = getattr(input_embeddings(model.module), "num_embeddings", None)
    vocabulary = rows or model.config.get_text_config().vocab_size
    if model.reads_two_sequences:
        vocabulary = model.common_ids
    ids = torch.arange(lengths[-1], device=model.device).clamp(max=lengths[-1] // 2)[None]
    ids = (ids * 7 % max(vocabulary - 1, 1) + 1).clamp(max=vocabulary - 1)
    tokens = Tokens.from_pieces([str(i) for i in range(lengths[-1])])
    text = Encoding(
        (tokens,),
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        source_length=_PROBED[0] - 1 if model.reads_two_sequences else None,
    )
    return _agree(model, text, lengths)


@measured_once
def _limits(model: Model) -> list[int]:
    """Return the whole numbers of the configuration that may limit a length, in order."""
    return sorted(set(_numbers(model.config.get_text_config().to_dict())))


def _numbers(settings: Any, name: str = "") -> Iterator[int]:
    if isinstance(settings, dict):
        for key, value in settings.items():
            if not any(part in str(key) for part in _OTHER_SETTINGS):
                yield from _numbers(value, str(key))
    elif isinstance(settings, int) and not isinstance(settings, bool) and settings >= _PROBED[-1]:
        yield settings


def _agree(model: Model, text: Encoding, lengths: Sequence[int]) -> bool:
    """Return whether the logits after each prefix of a text are those of the longest one."""
    *shorter, longest = lengths
    with guarded(model.module, gradients=False):
        with _Selections() as selections:
            whole = _logits(model, text.prefix(longest), min(shorter) - 1)
        for length in shorter:
            prefix = text.prefix(length)
            with _Selections() as of_prefix:
                (alone,) = _logits(model, prefix, length - 1)
            if _select_positions(selections.sizes, of_prefix.sizes):
                _log.info("%s selects among the positions of a text.", model.name)
                return False
            if not _is_same(model, prefix, alone, whole[length - min(shorter)]):
                _log.info("The logits of %s depend on the text's length.", model.name)
                return False
    return True


def _logits(model: Model, text: Encoding, keep_from: int) -> Float[Tensor, "positions vocabulary"]:
    return model.logits_of(model.forward(text, keep_from), text, keep_from)[0]


def _is_same(model: Model, prefix: Encoding, alone: Tensor, within: Tensor) -> bool:
    """Return whether two rows of logits differ by rounding at most."""
    difference, size = _largest(alone - within), _largest(alone)
    if difference <= _TOLERANCES.get(alone.dtype, _HALF_TOLERANCE) * size:
        return True
    if alone.dtype in _TOLERANCES:
        return False
    # Half precision may send a token to another expert; another batch size does so as well.
    last = prefix.ids.shape[1] - 1
    noise = _largest(_logits(model, prefix.repeated(2), last)[0] - alone)
    return difference <= _NOISE * noise


def _largest(values: Tensor) -> float:
    return float(values.float().abs().max())


class _Selections(TorchFunctionMode):
    """Records how many entries each ``topk`` selects out of how many."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, int]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a torch function, and note what a ``topk`` selects."""
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") == "topk":
            options = dict(zip(("input", "k", "dim"), args, strict=False)) | (kwargs or {})
            self.sizes.append((int(options["k"]), options["input"].shape[options.get("dim", -1)]))
        return result


def _select_positions(longer: Sequence[tuple[int, int]], shorter: Sequence[tuple[int, int]]) -> bool:
    """Return whether a longer text leaves out some of what grows with it, by the sizes of two passes.

    Which of several equal scores are selected depends on how many there are, so agreement elsewhere would
    not prove agreement here. Routing to experts selects out of a number that does not grow.
    """
    if len(longer) != len(shorter):
        return any(selected < size for selected, size in longer)
    return any(
        selected < size and size != other
        for (selected, size), (_, other) in zip(longer, shorter, strict=True)
    )
