"""MaskedLMVisualizer: explains masked language models."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, overload

import numpy as np
from jaxtyping import Float

from model_understanding.attribution.isolation import Errors, attempted, in_place, isolated, readable, skips
from model_understanding.attribution.run import groups_of_equal_length
from model_understanding.checks import one_of
from model_understanding.lens.read import lens_at_positions
from model_understanding.model.batching import Batches
from model_understanding.model.guard import explanation, guarded
from model_understanding.model.metering import count_forward
from model_understanding.results import Failure, LogitLens, MaskFilling, PseudoLikelihood, Target
from model_understanding.results.pseudo_likelihood import MASKINGS, Masking
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.language_model import RUNNER_UP
from model_understanding.targets.masked_lm import MaskTarget, filling_of, mask_targets
from model_understanding.targets.names import MASKED_LM
from model_understanding.text.detokenization import token_text
from model_understanding.text.encoding import Encoding
from model_understanding.text.masks import mask_positions, mask_token_of, masked_text, with_own_masks
from model_understanding.text.words import Words, words_or_text
from model_understanding.visualizers.answering import AnsweringVisualizer, quantity_by_default
from model_understanding.visualizers.pseudo_likelihood import pseudo_likelihoods
from model_understanding.visualizers.texts import texts_of, tokenized

Text = str | Words | tuple[str | Words, str | Words]


@quantity_by_default("log_prob")
class MaskedLMVisualizer(AnsweringVisualizer[Text, MaskTarget, MaskFilling]):
    """Explain a masked language model: which tokens made it fill in a word, and where it attends.

    An input is a text or a (text, pair) tuple with at least one mask: the tokenizer's own mask token, or
    ``[MASK]`` or ``<mask>``, which are read as it. ``mask`` masks a word of a text. The answer is a
    ``MaskFilling``.

    A target is a token by its text or id, for all masks; a word of as many tokens as there are neighboring
    masks; a list with an item for each mask (``None``: its likeliest token), or several for a single mask; or
    ``{mask: item}`` for some of several masks, counted from 0. By default it is the likeliest token of each
    mask, a target each. ``against`` takes the same, or ``"runner-up"`` for the likeliest other token. Its
    default quantity is ``log_prob``. Masks are never removed.

    Args:
        name_or_model: A hub id, a folder, a model or a ``transformers`` pipeline.
        model: A loaded model, instead of the first argument.
        tokenizer: Its tokenizer; needed with a loaded model.
        device: Where to run; a GPU if there is one, when left out.
        dtype: Data type to load the weights in.
        revision: Commit, branch or tag on the hub.
        token: Access token for the hub.
        trust_remote_code: Whether to run code that comes with the checkpoint.
        allow_pickle: Whether to load weights from pickles, which can run code.
        device_map: Spread the weights over devices (``"auto"``, or modules and their devices); gradient
            methods need all of them on accelerators, or the whole model on one device.

    Raises:
        InputError: The tokenizer has no mask token.
        LoadingError: The model cannot be loaded.
        UnsafeModelError: Loading it would run code that was not allowed.
    """

    task = MASKED_LM

    def mask(self, text: str, word: str) -> str:
        """Return a text with one of its words masked: by as many mask tokens as the word has tokens there.

        Args:
            text: The text.
            word: A word or several of them, exactly as in the text, where they must occur once.

        Returns:
            The text, for the methods that explain masks.

        Raises:
            InputError: The text has no such word, or more than one of them.
        """
        return masked_text(self.tokenizer, text, word)

    @overload
    def pseudo_log_likelihood(  # pyright: ignore[reportOverlappingOverload]  # a string is an iterable
        self, text: Text, *, masking: Masking = "token", errors: Errors = "raise"
    ) -> PseudoLikelihood: ...
    @overload
    def pseudo_log_likelihood(
        self, text: Iterable[Text], *, masking: Masking = "token", errors: Literal["raise"] = "raise"
    ) -> list[PseudoLikelihood]: ...
    @overload
    def pseudo_log_likelihood(
        self, text: Iterable[Text], *, masking: Masking = "token", errors: Errors
    ) -> list[PseudoLikelihood | Failure]: ...
    @explanation()
    def pseudo_log_likelihood(
        self, text: Text | Iterable[Text], *, masking: Masking = "token", errors: Errors = "raise"
    ) -> PseudoLikelihood | list[PseudoLikelihood] | list[PseudoLikelihood | Failure]:
        r"""Return how likely each token of a text is, given all others: ``Σ_t log p(token_t | the others)``.

        Each token is masked once (Salazar et al. 2020), all of them in as few batches as fit; texts of one
        length share batches. ``compare`` puts the results of two texts side by side.

        Args:
            text: A text or a (text, pair) tuple, or many of them, as ``compute_saliency`` takes them. Masks
                in them stay masks and are not scored.
            masking: ``token`` masks one token at a time; ``word-l2r`` also masks the tokens of the same word
                that follow it, so that a rare word's end does not give away its start (Kauf and Ivanova
                2023).
            errors: What to do with a text that fails, of many: as ``compute_saliency`` takes it.

        Returns:
            The log-probability of each token, their sum and the pseudo-perplexity; a list for many texts.

        Raises:
            InputError: The text is empty or longer than the model allows, or there is no such masking.
        """
        skips(errors)
        one_of(masking, "masking", MASKINGS)
        texts, several = texts_of(text, pairs=True)
        errors = errors if several else "raise"
        encodings = [
            attempted(partial(self._read, each), errors, index, len(texts))
            for index, each in enumerate(texts)
        ]
        read = readable(encodings)

        def measure(group: Sequence[int]) -> dict[int, PseudoLikelihood]:
            found = pseudo_likelihoods(self.runner, [read[index] for index in group], masking)
            return dict(zip(group, found, strict=True))

        likelihoods: dict[int, Any] = {}
        for group in groups_of_equal_length(read):
            likelihoods |= isolated(measure, group, errors)
        results: list[Any] = in_place(encodings, [likelihoods[index] for index in range(len(read))])
        return results if several else results[0]

    def _check_model(self) -> None:
        mask_token_of(self.tokenizer)

    def _read(self, text: Any) -> Encoding:
        """Return a text with or without masks as the model reads it."""
        text, cautions = with_own_masks(self.tokenizer, _with_words(text))
        return self.runner.model.encode(*tokenized(self.tokenizer, text), cautions=cautions)

    def _encode(self, text: Any) -> Encoding:
        encoding = self._read(text)
        mask_positions(self.tokenizer, encoding.tokens[0])
        return encoding

    def _answers(self, encodings: Sequence[Encoding]) -> Sequence[MaskFilling]:
        positions = [mask_positions(self.tokenizer, encoding.tokens[0]) for encoding in encodings]
        return [
            filling_of(self.tokenizer, encoding.tokens[0], masks, rows, cautions=encoding.cautions)
            for encoding, masks, rows in zip(
                encodings, positions, self._logits_at(encodings, positions), strict=True
            )
        ]

    def _logits_at(
        self, encodings: Sequence[Encoding], positions: Sequence[Sequence[int]]
    ) -> list[Float[np.ndarray, "masks vocabulary"]]:
        """Return the logits of texts of one length at some positions; no others are kept."""
        model, length = self.runner.model, encodings[0].ids.shape[1]
        batch = model.batch(encodings)
        logits: list[np.ndarray] = []
        batches = Batches(len(encodings), length, model.memory, logits=model.logit_positions(length))
        with guarded(model.module, gradients=False):
            for start, end in batches:
                with batches.halving():
                    part = batch.rows(start, end)
                    rows = model.logits_of(model.run(part), part, 0)
                    count_forward(part.ids.numel())
                    read = [row[list(masks)] for row, masks in zip(rows, positions[start:end], strict=True)]
                    logits += [row.float().cpu().numpy() for row in read]
        return logits

    def _needs_answer(self, target: Any, against: Any) -> bool:
        named = [target, *_items(target)]
        return any(item is None for item in named) or RUNNER_UP in [
            item for item in (against, *_items(against)) if isinstance(item, str)
        ]

    def _check_target(self, target: Any, against: Any, quantity: Quantity) -> None:
        one_of(quantity, "quantity", QUANTITIES)

    def _targets_of(
        self,
        encoding: Encoding,
        answer: MaskFilling | None,
        target: Any,
        against: Any,
        quantity: Quantity,
    ) -> Sequence[Target]:
        tokens = encoding.tokens[0]
        return mask_targets(
            self.tokenizer,
            self.runner.model.class_count(len(tokens)),
            tokens,
            mask_positions(self.tokenizer, tokens),
            None if answer is None else answer.top_ids.tolist(),
            target,
            against,
            quantity,
        )

    def _lens(self, encoding: Encoding, top: int) -> LogitLens:
        positions = mask_positions(self.tokenizer, encoding.tokens[0])
        label: Callable[[int], str] = partial(token_text, self.tokenizer)
        return lens_at_positions(self.runner.model, encoding, positions, label, top)


def _items(named: Any) -> list[Any]:
    """Return the items of a list or dict of them, those of an inner list too."""
    if isinstance(named, Mapping):
        return [item for value in named.values() for item in (value, *_items(value))]
    return list(named) if isinstance(named, Sequence) and not isinstance(named, str) else []


def _with_words(text: Any) -> Any:
    """Return a text, with lists of words as ``Words``."""
    if isinstance(text, tuple) and not isinstance(text, Words):
        return tuple(map(words_or_text, text))
    return words_or_text(text)
