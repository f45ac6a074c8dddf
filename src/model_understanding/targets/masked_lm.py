"""Targets of a masked language model: the token at each mask, whose logits are at the mask's own position."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from model_understanding.checks import index_in, is_whole, one_of
from model_understanding.errors import InputError
from model_understanding.results import MaskFilling, Target
from model_understanding.results.target import QUANTITIES, Quantity
from model_understanding.targets.language_model import RUNNER_UP
from model_understanding.targets.names import MASKED_LM
from model_understanding.targets.vocabulary import VocabularyItem
from model_understanding.text.detokenization import token_text
from model_understanding.text.masks import ids_in_place, mask_token_of, neighboring_runs
from model_understanding.tokens import Tokens, visible_text

TOP_TOKENS = 10
_MOST_NAMED = 8  # tokens of a word that a message lists

MaskItem = VocabularyItem | None
MaskTarget = (
    MaskItem | Sequence[MaskItem] | Mapping[int, MaskItem | Sequence[VocabularyItem]] | Callable[[Any], Any]
)
"""What is explained at the masks: see ``mask_targets``."""


def filling_of(
    tokenizer: Any,
    tokens: Tokens,
    positions: Sequence[int],
    logits: Float[np.ndarray, "masks vocabulary"],
    top: int = TOP_TOKENS,
    cautions: Sequence[str] = (),
) -> MaskFilling:
    """Return the likeliest tokens at masks from their logits.

    Args:
        tokenizer: The tokenizer, for labels.
        tokens: The model's input.
        positions: Positions of the masks.
        logits: The logits at each of them.
        top: How many of the likeliest tokens to keep.
        cautions: Warnings about how the text was read.
    """
    precise = logits.astype(np.float64)
    count = min(top, precise.shape[1])
    order = np.argsort(-precise, axis=1, kind="stable")[:, :count]
    shifted = precise - precise.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return MaskFilling(
        tokens=tokens,
        positions=np.array(positions),
        top_ids=order,
        top_logits=np.take_along_axis(precise, order, axis=1),
        top_probabilities=np.exp(np.take_along_axis(logs, order, axis=1)),
        top_labels=tuple(tuple(token_text(tokenizer, int(token)) for token in row) for row in order),
        cautions=tuple(cautions),
    )


def mask_targets(
    tokenizer: Any,
    vocabulary: int,
    tokens: Tokens,
    positions: Sequence[int],
    likeliest: Sequence[Sequence[int]] | None,
    target: Any,
    against: Any,
    quantity: Quantity,
) -> tuple[Target, ...]:
    """Return the tokens at the masks of a text as targets, one for each mask unless fewer are named.

    Args:
        tokenizer: The tokenizer.
        vocabulary: Size of the model's vocabulary.
        tokens: The text.
        positions: Positions of its masks.
        likeliest: The ids of the likeliest tokens at each mask, two or more; ``None`` if neither target nor
            contrast depends on them.
        target: ``None`` for the likeliest token at each mask; a token by text or id for all masks, or a word
            of as many tokens as there are neighboring masks; a list with an item for each mask (``None`` for
            the likeliest), or several for a single mask; or ``{mask: item}`` for some of several masks,
            counted from 0.
        against: Another token, or ``runner-up`` for the likeliest other one; likewise for one or all masks.
        quantity: ``log_prob``, ``logit`` or ``prob``.

    Returns:
        The targets, in the order of the masks.

    Raises:
        InputError: There is no such mask or token, or a word has more or fewer tokens than masks.
    """
    one_of(quantity, "quantity", QUANTITIES)
    spelling = _Spelling(tokenizer, vocabulary, tokens, positions, likeliest)
    chosen = spelling.items(target, "target", several=True)
    contrasts = dict(spelling.items(against, "against")) if against is not None else {}
    targets = [spelling.target(mask, item, contrasts.get(mask), quantity) for mask, item in chosen]
    if not targets:
        raise InputError(
            f"target={target!r} names no token.", hint="Pass a token, or leave target out for the likeliest."
        )
    unused = set(contrasts) - {mask for mask, _ in chosen}
    if unused and isinstance(against, Mapping):
        raise InputError(
            f"against names mask {min(unused)}, which is not explained.",
            hint="Name the same masks in target and against.",
        )
    return tuple(targets)


class _Spelling:
    """The tokens that a caller names at the masks of one text.

    Args:
        tokenizer: The tokenizer.
        vocabulary: Size of the model's vocabulary.
        tokens: The text.
        positions: Positions of its masks.
        likeliest: The ids of the likeliest tokens at each mask, if they are known.
    """

    def __init__(
        self,
        tokenizer: Any,
        vocabulary: int,
        tokens: Tokens,
        positions: Sequence[int],
        likeliest: Sequence[Sequence[int]] | None,
    ) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._tokens = tokens
        self._positions = positions
        self._likeliest = likeliest
        self._masks = range(len(positions))

    def items(self, named: Any, what: str, *, several: bool = False) -> list[tuple[int, Any]]:
        """Return each named mask with its item: an id, ``None`` for the likeliest, or ``runner-up``.

        Args:
            named: What the caller passed.
            what: The name of the argument.
            several: Whether one mask can have several items.
        """
        count = len(self._masks)
        if named is None or is_whole(named) or (isinstance(named, str) and named == RUNNER_UP):
            return [(mask, self._id(mask, named)) for mask in self._masks]
        if isinstance(named, str):
            return self._word(self._masks, named)
        if isinstance(named, Mapping):
            pairs = [(index_in(mask, count, "mask", "the text"), item) for mask, item in named.items()]
            found: list[tuple[int, Any]] = []
            for mask, item in sorted(pairs, key=lambda pair: pair[0]):
                is_list = isinstance(item, Sequence) and not isinstance(item, str)
                found += [(mask, self._id(mask, one)) for one in (item if is_list and several else [item])]
            return found
        if not isinstance(named, Sequence):
            raise InputError(
                f"{what} must be a token by text or id, a list or a dict. Got {named!r:.60}.",
                hint=f"Pass for example {what}='Paris', or {what}={{0: 'Paris'}} for the first mask.",
            )
        if several and count == 1:
            return [(0, self._id(0, item)) for item in named]
        if len(named) != count:
            raise InputError(
                f"{what} has {len(named)} items for {count} mask{'' if count == 1 else 's'}.",
                hint="Pass an item for each mask (None: the likeliest token), or {mask: item}.",
            )
        return [(mask, self._id(mask, item)) for mask, item in zip(self._masks, named, strict=True)]

    def target(self, mask: int, item: int | None, contrast: Any, quantity: Quantity) -> Target:
        """Return the token at a mask as a target.

        Args:
            mask: The mask, counted from 0.
            item: The id of the token; ``None`` for the likeliest.
            contrast: The id of the token that it is contrasted with, ``runner-up``, or ``None``.
            quantity: The quantity.
        """
        likeliest = [] if self._likeliest is None else list(self._likeliest[mask])
        token = likeliest[0] if item is None else item
        if contrast == RUNNER_UP:
            contrast = next((other for other in likeliest if other != token), None)
        label = token_text(self._tokenizer, token)
        if contrast == token:
            raise InputError(
                f"The target and its contrast are both {label!r}.", hint="Pass a different token as against."
            )
        against = () if contrast is None else (int(contrast),)
        return Target(
            task=MASKED_LM,
            positions=(int(self._positions[mask]),),
            indices=(token,),
            labels=(label,),
            against=against,
            against_labels=tuple(token_text(self._tokenizer, other) for other in against),
            quantity=quantity,
        )

    def _id(self, mask: int, item: Any) -> Any:
        """Return the id of an item at one mask; ``None`` and ``runner-up`` as they are."""
        if item is None or (isinstance(item, str) and item == RUNNER_UP):
            return item
        if isinstance(item, str):
            ((_, token),) = self._word([mask], item)
            return token
        if not is_whole(item):
            raise InputError(
                f"A token must be a text or an id. Got {item!r:.60}.",
                hint="Pass for example 'Paris' or 3000.",
            )
        if not 0 <= int(item) < self._vocabulary:
            raise InputError(
                f"There is no token {item}: the vocabulary has {self._vocabulary} tokens.",
                hint=f"Pass an id from 0 to {self._vocabulary - 1}.",
            )
        return int(item)

    def _word(self, masks: Sequence[int], word: str) -> list[tuple[int, int]]:
        """Return a word's id at each of some masks; its tokens at neighboring masks, if it has as many."""
        positions = [int(self._positions[mask]) for mask in masks]
        if len(masks) > 1 and len(neighboring_runs(positions)) == 1:
            ids = self._ids(positions, word)
            if len(ids) == len(masks):
                return [(mask, self._known(word, token)) for mask, token in zip(masks, ids, strict=True)]
        found: list[tuple[int, int]] = []
        for mask, position in zip(masks, positions, strict=True):
            ids = self._ids([position], word)
            if len(ids) != 1:
                raise self._not_one_token(word, ids, len(masks))
            found.append((mask, self._known(word, ids[0])))
        return found

    def _ids(self, positions: Sequence[int], word: str) -> list[int]:
        if not word:
            raise InputError("The target token is empty.", hint="Pass a token's text, or its id.")
        return ids_in_place(self._tokenizer, self._tokens, positions, word)

    def _known(self, word: str, token: int) -> int:
        if token == self._tokenizer.unk_token_id and word.strip() != self._tokenizer.unk_token:
            raise InputError(
                f"{word!r} is not in this tokenizer's vocabulary.",
                hint="Pass a text that is in the vocabulary, or an id.",
            )
        return int(self._id(0, token))

    def _not_one_token(self, word: str, ids: Sequence[int], masks: int) -> InputError:
        mask = mask_token_of(self._tokenizer)
        if not ids:
            return InputError(f"{word!r} has no token of its own here.", hint="Pass another text, or an id.")
        labels = [visible_text(token_text(self._tokenizer, token)) for token in ids[:_MOST_NAMED]]
        pieces = ", ".join(map(repr, labels)) + (" …" if len(ids) > _MOST_NAMED else "")
        first = f"{{0: {ids[0]}}}" if masks > 1 else f"{ids[0]}"
        return InputError(
            f"{word!r} is {len(ids)} tokens here ({pieces}), and a mask stands for one.",
            hint=f"Write {len(ids)} masks in its place ({mask * len(ids)}), or explain its first token "
            f"alone: {first}.",
        )
