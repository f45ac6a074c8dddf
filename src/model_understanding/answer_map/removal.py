"""Values of an answer without some of the tokens before it: hidden, or deleted.

To hide tokens, the rows that follow the sources run again on the cached keys and values of all that is before
them, and these tokens are masked. Every position stays what it was. That a model does this is measured once:
with other tokens in the hidden places, a forward pass over the whole text under the same mask must give the
same logits. Where a model has no such cache or mask, the tokens are deleted and the rest runs in full.
"""

import logging
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model_understanding.model.batching import Batches
from model_understanding.model.finite import require_finite
from model_understanding.model.guard import guarded
from model_understanding.model.memory import is_fused, return_freed_memory
from model_understanding.model.metering import count_forward
from model_understanding.model.model import Model, measured_once
from model_understanding.model.precision import precise
from model_understanding.model.settings import largest
from model_understanding.perturbation.cached_positions import (
    empty_cache,
    is_complete,
    may_have_cache,
    run_after,
    shared_prefix,
)
from model_understanding.results.answer_map import Removal
from model_understanding.text.encoding import Encoding

_PROBE = (4, 7, 12)  # of the probe, the first hidden token, the first one after them, and the length
_TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-8}  # of the largest logit
_HALF_TOLERANCE = 2e-2
_ROUNDINGS = 20  # in a tolerance
# Nats by which the answer's log-probabilities may differ between one pass and one in two parts.
_ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-6}
_HALF_ROUNDING = 0.5
# Per feature of its state, a position's products with weights take as long as so many pairs in attention.
_PAIRS_PER_FEATURE = 6
_KEYS_PER_POSITION = 4  # so many cached positions of a row take as much memory as one that is run, or less
_FAILURES = (TypeError, ValueError, AttributeError, LookupError, RuntimeError, NotImplementedError)
_log = logging.getLogger("model_understanding")

Variants = Bool[np.ndarray, "variants tokens"]
AnswerValues = Float[np.ndarray, "variants answer"]


class Removals(ABC):
    """Values of the answer's tokens without others, of one text.

    ``value = log p(token)``, or, for a token with a contrast, ``log p(token) − log p(contrast)`` after the
    same tokens.

    Args:
        model: The language model.
        encoding: The prompt and the answer.
        against: For each token of the answer the id of its contrast, −1 for none; ``None`` for no contrasts.
    """

    removal: ClassVar[Removal]

    def __init__(
        self, model: Model, encoding: Encoding, against: Int[Tensor, " answer"] | None = None
    ) -> None:
        assert encoding.prompt_length is not None
        self.model = model
        self.ids = encoding.ids[:, :-1]  # nothing is read from the row of the last token
        self.answer = encoding.ids[0, encoding.prompt_length :]
        self.against = against
        self.prompt_length = encoding.prompt_length
        self.encoding = encoding
        self.log_probs: Float[np.ndarray, " answer"] = np.zeros(len(self.answer))
        self.values = self.log_probs

    @abstractmethod
    def without(self, removed: Variants) -> AnswerValues:
        """Return the value of each token of the answer for each variant.

        Args:
            removed: The removed tokens; an answer's tokens that are removed themselves keep their values.
        """

    @abstractmethod
    def cost(self, removed: Variants) -> int:
        """Return the number of positions that ``without`` runs.

        Args:
            removed: The removed tokens of each variant.
        """

    def read(
        self,
        outputs: Any,
        ids: Tensor,
        steps: Int[Tensor, " read"],
        lines: int,
        *,
        contrasted: bool = True,
    ) -> Float[Tensor, "variants read"]:
        """Return the values of some of the answer's tokens, each read from one of the last lines of logits.

        Args:
            outputs: What the model returned.
            ids: What ran, for messages.
            steps: The tokens, counted in the answer.
            lines: The number of lines of logits, the first of which predicts the first of the tokens.
            contrasted: Whether values are relative to contrasts.
        """
        logits = precise(self.model.logits_in(outputs)[:, -lines:])
        require_finite(logits, "logits", lambda: self.model.broken_layer({"input_ids": ids}))
        logits = logits[:, : len(steps)]
        values = _at(logits, self.answer[steps])
        total = logits.logsumexp(-1)
        if self.against is not None and contrasted:
            others = self.against[steps]
            total = torch.where(others < 0, total, _at(logits, others.clamp(min=0)))
        return values - total


def _at(logits: Float[Tensor, "rows read vocabulary"], ids: Int[Tensor, " read"]) -> Tensor:
    return logits.gather(2, ids[None, :, None].expand(len(logits), -1, 1))[..., 0]


class HiddenTokens(Removals):
    """Hides tokens from all that follows the sources.

    Args:
        model: The language model.
        encoding: The prompt and the answer.
        start: The first position that runs again: the one after the last source, at the latest the one that
            the answer's first token is predicted from.
        against: The contrasts.
    """

    removal = "hidden"

    def __init__(
        self,
        model: Model,
        encoding: Encoding,
        start: int,
        against: Int[Tensor, " answer"] | None = None,
    ) -> None:
        super().__init__(model, encoding, against)
        self.start = start
        self._cache: Any = None

    def prepare(self) -> bool:
        """Run the text once, and return whether its parts can run again on the cached keys and values."""
        if not may_have_cache(self.model) or not hides_on_cache(self.model):
            return False
        length = self.ids.shape[1]
        with guarded(self.model.module, gradients=False):
            try:
                outputs = run_after(self.model, self.ids, 0, self.prompt_length - 1, empty_cache())
            except _FAILURES as error:
                _log.info("%s has no usable cache: %s", self.model.name, error)
                return False
            count_forward(length)
            if not is_complete(outputs.past_key_values, length):
                return False
            steps, count = torch.arange(len(self.answer), device=self.ids.device), len(self.answer)
            expected = _array(self.read(outputs, self.ids, steps, count)[0])
            if self.against is not None:
                self.log_probs = _array(self.read(outputs, self.ids, steps, count, contrasted=False)[0])
            self._cache = outputs.past_key_values
            del outputs
        return_freed_memory()  # what a long pass freed has gaps that later ones do not fit in
        self.values = expected
        again = self.without(np.zeros((1, length + 1), dtype=bool))[0]
        difference = float(np.abs(again - expected).max())
        self.values = again  # the others differ from it by what is hidden alone
        if self.against is None:
            self.log_probs = again
        if difference > _ROUNDING.get(self.model.dtype, _HALF_ROUNDING):
            _log.info("The cache of %s changes the answer by %g nats.", self.model.name, difference)
            self._cache = None
            return False
        return True

    @property
    def cache(self) -> Any:
        """Keys and values of all positions of the text."""
        return self._cache

    def without(self, removed: Variants) -> AnswerValues:
        """Hide tokens; rows run from the first position after the sources, or from a later hidden one."""
        removed = removed[:, : self.ids.shape[1]]
        values = np.tile(self.values, (len(removed), 1))
        starts = self._starts(removed)
        with guarded(self.model.module, gradients=False):
            for start in np.unique(starts):
                rows = np.flatnonzero(starts == start)
                values[rows] = self._from(int(start), removed[rows])
        is_removed = removed[:, self.prompt_length :]
        return np.where(np.pad(is_removed, ((0, 0), (0, 1))), self.values, values)

    def cost(self, removed: Variants) -> int:
        """Return the number of positions that run again."""
        return int((self.ids.shape[1] - self._starts(removed[:, : self.ids.shape[1]])).sum())

    def _starts(self, removed: Variants) -> Int[np.ndarray, " variants"]:
        first = np.where(removed.any(axis=1), removed.argmax(axis=1), 0)
        return np.maximum(first, self.start)

    def _from(self, start: int, removed: Variants) -> AnswerValues:
        length = self.ids.shape[1]
        lowest = max(start, self.prompt_length - 1)
        steps = self.steps_after(lowest)
        parts, shared = [], shared_prefix(self._cache, start)  # at least the first source is before
        batches = self.batches(len(removed), start)
        for begin, end in batches:
            with batches.halving():
                visible = torch.from_numpy(~removed[begin:end]).to(self.ids.device)
                ids = self.ids[:, start:].expand(end - begin, -1)
                outputs = run_after(self.model, ids, start, lowest, shared, visible)
                parts.append(_array(self.read(outputs, self.ids, steps, length - lowest)))
                count_forward(ids.numel())
        values = np.tile(self.values, (len(removed), 1))
        values[:, lowest + 1 - self.prompt_length :] = np.concatenate(parts)
        return values

    def steps_after(self, lowest: int) -> Int[Tensor, " steps"]:
        """Return the answer's tokens, counted in it, that logits from a position on predict."""
        first = lowest + 1 - self.prompt_length
        return torch.arange(first, len(self.answer), device=self.ids.device)

    def batches(self, rows: int, start: int, *, gradients: bool = False) -> Batches:
        """Return batches of rows that run from a position on, each with its own copy of a layer's cache."""
        length = self.ids.shape[1]
        each = max(length - start, length // _KEYS_PER_POSITION)
        logits = length - max(start, self.prompt_length - 1)
        return Batches(rows, each, self.model.memory, logits=logits, gradients=gradients)


class DeletedTokens(Removals):
    """Deletes tokens; what follows moves up.

    Args:
        model: The language model.
        encoding: The prompt and the answer.
        hidden: The same text with cached keys and values, if there are any: what is before the first deleted
            token does not run again where that saves time, and where it does not depend on the text's length.
    """

    removal = "deleted"

    def __init__(
        self,
        model: Model,
        encoding: Encoding,
        hidden: HiddenTokens | None = None,
        against: Int[Tensor, " answer"] | None = None,
    ) -> None:
        super().__init__(model, encoding, against)
        self._cache = None if hidden is None or model.rotaries else hidden.cache
        if hidden is None:
            nothing = np.zeros(encoding.ids.shape[1], dtype=bool)
            self.values = self.without(nothing[None])[0]
            self.log_probs = self.values
            if against is not None:
                with guarded(model.module, gradients=False):
                    self.log_probs = self._deleted(nothing, contrasted=False)
        else:
            self.values, self.log_probs = hidden.values, hidden.log_probs

    def without(self, removed: Variants) -> AnswerValues:
        """Delete tokens; variants of one length are not joined, since few have the same one."""
        with guarded(self.model.module, gradients=False):
            return np.stack([self._deleted(row) for row in removed])

    def cost(self, removed: Variants) -> int:
        """Return the number of positions that are left and run."""
        length = self.ids.shape[1]
        return sum(int((~row[self._start(row) : length]).sum()) for row in removed)

    def _start(self, removed: Bool[np.ndarray, " tokens"]) -> int:
        if self._cache is None or not removed.any():
            return 0
        start = int(removed.argmax())
        start -= start >= self.prompt_length  # the row that what follows is read from
        left = int((~removed[start : self.ids.shape[1]]).sum())
        return start if self._is_cheaper(start, left) else 0

    def _is_cheaper(self, start: int, left: int) -> bool:
        """Return whether positions run faster after cached ones than together with them.

        A pass over a whole text is causal, and fused attention skips half of all pairs. After cached
        positions it has a mask: none is skipped, and numbers for all are in memory in each layer.
        """
        features = largest(self.model.config.get_text_config(), "hidden_size")
        if not features or not is_fused(self.model.module):
            return True
        each, whole = _PAIRS_PER_FEATURE * features, start + left
        return left * (each + whole) < whole * (each + whole / 2)

    def _deleted(
        self, removed: Bool[np.ndarray, " tokens"], *, contrasted: bool = True
    ) -> Float[np.ndarray, " answer"]:
        length, start = self.ids.shape[1], self._start(removed)
        left = np.arange(max(start + 1, self.prompt_length), length + 1)
        left = left[~removed[left]]
        values = self.values.copy()
        if not len(left):
            return values
        kept = start + np.flatnonzero(~removed[start:length])
        lowest = int(np.searchsorted(kept, left[0])) - 1  # the last position that is left before the first
        index = torch.from_numpy(kept).to(self.ids.device)
        if not start:
            inputs = {name: given[:, index] for name, given in self.encoding.inputs.items()}
            ids = inputs["input_ids"]
            outputs = self.model.run(Encoding(self.encoding.tokens, inputs), lowest)
        else:
            ids = self.ids[:, index]
            outputs = run_after(self.model, ids, start, start + lowest, shared_prefix(self._cache, start))
        count_forward(ids.numel())
        steps = torch.from_numpy(left - self.prompt_length).to(self.answer.device)
        read = self.read(outputs, ids, steps, len(kept) - lowest, contrasted=contrasted)
        values[left - self.prompt_length] = _array(read[0])
        return values


def _array(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


@measured_once
def hides_on_cache(model: Model) -> bool:
    """Return whether masking cached positions hides them, measured on a short text.

    The hidden tokens are the last ones before those that run again, so no position between them has seen
    them. A forward pass over the whole text, with other tokens in their places and the same mask, must then
    give the same logits; a model that ignores the mask gives others. A pass without the hidden tokens must
    give others: where it does not, positions are counted without what is masked (ALiBi in BLOOM, Falcon).

    Args:
        model: A language model.
    """
    hidden_from, start, length = _PROBE
    if model.longest_input is not None and model.longest_input < length:
        return False
    vocabulary = model.common_ids
    ids = (torch.arange(length, device=model.device)[None] * 7 % max(vocabulary - 1, 1) + 1).clamp(
        max=vocabulary - 1
    )
    other = ids.clone()
    other[:, hidden_from:start] = ids.flip(1)[:, hidden_from:start] // 2
    visible = torch.ones(2, length, dtype=torch.bool, device=model.device)
    visible[1, hidden_from:start] = False
    with guarded(model.module, gradients=False):
        try:
            whole = run_after(model, ids, 0, start, empty_cache())
            if not is_complete(whole.past_key_values, length):
                return False
            cache = shared_prefix(whole.past_key_values, start)
            expected = [whole, run_after(model, other, 0, start, None, visible[1:])]
            left = run_after(model, ids[:, visible[1]], 0, hidden_from, None)
            outputs = run_after(model, ids[:, start:].expand(2, -1), start, start, cache, visible)
        except _FAILURES as error:
            _log.info("%s cannot hide cached positions: %s", model.name, error)
            return False
        rows = [precise(model.logits_in(each)[:, start - length :]) for each in (outputs, *expected, left)]
    found, expected_logits, moved = rows[0], torch.cat(rows[1:-1]), rows[-1]
    difference = float((found - expected_logits).abs().max())
    tolerance = _TOLERANCES.get(model.dtype, _HALF_TOLERANCE) * float(expected_logits.abs().max())
    if not difference <= tolerance:
        _log.info("Masked positions of %s are not hidden (%g).", model.name, difference)
        return False
    if float((expected_logits[1:] - moved).abs().max()) <= 2 * difference + tolerance / _ROUNDINGS:
        _log.info("Masked positions of %s do not count, and those after them move up.", model.name)
        return False
    return True


def removals_of(
    model: Model, encoding: Encoding, start: int, against: Int[Tensor, " answer"] | None = None
) -> tuple[Removals, DeletedTokens]:
    """Return how tokens of a text are removed, and how they are deleted for a confirmation.

    Args:
        model: The language model.
        encoding: The prompt and the answer.
        start: The first position after the sources.
        against: The contrasts of the answer's tokens.
    """
    hidden = HiddenTokens(model, encoding, start, against)
    if hidden.prepare():
        return hidden, DeletedTokens(model, encoding, hidden, against)
    deleted = DeletedTokens(model, encoding, None, against)
    return deleted, deleted
