"""Explain a function from texts to numbers, which takes the place of a model's runner.

Variants of a text are made by editing the text at the offsets of its tokens, without decoding. With nothing
removed, the function is called with the original text.
"""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from model_understanding.checks import whole_number
from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.registry import METHODS
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import check_text, tokenize
from model_understanding.tokens import Tokens

BLACK_BOX = "black-box"
DELETE = "delete"
PredictFunction = Callable[[list[str]], Any]
_RUNNER_ATTRIBUTES = frozenset(
    ("gradients", "embed", "capture", "logits", "generate", "model", "config", "device", "loaded")
)


class BlackBox:
    """Calls a function with texts in batches, once per distinct text, and checks what it returns.

    Perturbation methods take it in place of a ``Runner``. Results are cached for the lifetime of the object.

    Args:
        predict_fn: Function from a list of B texts to an array of shape ``(B, C)``, with a number per class,
            or ``(B,)``, with one number per text. Its exceptions are not caught.
        tokenizer: A transformers tokenizer whose tokens are removed; default: words are removed.
        replacement: Text that replaces each removed token, or ``"delete"``.
        batch_size: Maximum number of texts per call.

    Raises:
        InputError: A parameter has the wrong type or value.

    >>> box = BlackBox(lambda texts: [float(len(text)) for text in texts], replacement="…")
    >>> box.predictions(["Good film.", "Good …."]).tolist()
    [[10.0], [7.0]]
    """

    def __init__(
        self,
        predict_fn: PredictFunction,
        *,
        tokenizer: Any = None,
        replacement: str = "[MASK]",
        batch_size: int = 32,
    ) -> None:
        if isinstance(predict_fn, type) or not callable(predict_fn):
            raise InputError(
                f"predict_fn must be a function. Got {_described(predict_fn)}.",
                hint="Pass a function from a list of texts to an array with one row per text.",
            )
        if tokenizer is not None and not (callable(tokenizer) and hasattr(tokenizer, "all_special_ids")):
            raise InputError(
                f"tokenizer must be a transformers tokenizer. Got {_described(tokenizer)}.",
                hint="Leave it out to remove words instead of tokens.",
            )
        if not isinstance(replacement, str):
            raise InputError(
                f"replacement must be a string. Got {_described(replacement)}.",
                hint=f"Pass, for example, '[MASK]', or {DELETE!r} to delete removed tokens.",
            )
        self.batch_size = whole_number(batch_size, "batch_size", example=32)
        self.predict_fn = predict_fn
        self.tokenizer = tokenizer
        self.replacement = replacement or DELETE
        self.calls = 0
        self._predictions: dict[str, Float[np.ndarray, " classes"]] = {}

    def __getattr__(self, name: str) -> NoReturn:
        if name in _RUNNER_ATTRIBUTES:
            raise UnsupportedModelError(
                f"A predict_fn gives values only; it has no {name!r}.", hint=perturbation_hint()
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def is_language_model(self) -> bool:
        """Always false: a function has no continuation of the text."""
        return False

    def encode(self, text: str) -> Encoding:
        """Return a text and the tokens that can be removed from it.

        Args:
            text: The text.

        Returns:
            An encoding; ids are −1 if there is no tokenizer.

        Raises:
            InputError: The text is empty, not a string, or has no token.
        """
        if not isinstance(text, str):
            raise InputError(
                f"A text for a predict_fn must be a string. Got {_described(text)}.",
                hint="Pass a string; join a pair or a chat into one, in the form that the function expects.",
            )
        tokens = words_of(text) if self.tokenizer is None else _tokens_of(self.tokenizer, text)
        return Encoding((tokens,), {"input_ids": torch.from_numpy(tokens.ids.copy())[None]})

    def predictions(self, texts: Sequence[str]) -> Float[np.ndarray, "texts classes"]:
        """Return the function's result for each text; one number per text counts as one class.

        Args:
            texts: The texts.

        Returns:
            Values ``(M, C)``.

        Raises:
            InputError: The function did not return a finite number per text, or per text and class.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._predictions]
        for start in range(0, len(new), self.batch_size):
            batch = new[start : start + self.batch_size]
            self.calls += 1
            rows = self._checked(self.predict_fn(list(batch)), len(batch))
            self._predictions.update(zip(batch, rows, strict=True))
        return np.stack([self._predictions[text] for text in texts])

    def replacement_named(self, replacement: str) -> str:
        """Return the text that replaces removed tokens, or ``"delete"``.

        Args:
            replacement: The method's replacement: ``default``, or ``mask`` if tokens are not deleted.

        Returns:
            The black box's replacement.

        Raises:
            InputError: The method's replacement needs embeddings or an attention mask.
        """
        if replacement == "default" or (replacement == "mask" and self.replacement != DELETE):
            return self.replacement
        raise InputError(
            f"replacement={replacement!r} is not available for a predict_fn, which gets "
            f"{self.replacement!r} for removed tokens.",
            hint="Leave out the method's replacement, and set that of BlackBoxVisualizer instead.",
        )

    def _checked(self, returned: Any, count: int) -> Float[np.ndarray, "texts classes"]:
        call = f"predict_fn was called with {count} text{'s' if count > 1 else ''} and returned"
        hint = f"Return an array of shape ({count},) or ({count}, classes), one row per text."
        if isinstance(returned, torch.Tensor):
            returned = returned.detach().cpu()
            returned = returned.double() if returned.is_floating_point() else returned
        try:
            array = np.asarray(returned)
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"{call} {_described(returned)} of irregular shape.", hint=hint) from error
        if array.dtype.kind not in "fiub":
            raise InputError(f"{call} {_described(returned)}, which does not contain numbers.", hint=hint)
        if array.ndim not in (1, 2) or len(array) != count or array.size == 0:
            raise InputError(f"{call} an array of shape {array.shape}.", hint=hint)
        rows = array.astype(np.float64).reshape(count, -1)
        if not np.isfinite(rows).all():
            row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise InputError(
                f"{call} a number that is not finite, in row {row}: {rows[row].tolist()}.",
                hint="Return finite numbers; do not take logarithms of probabilities that can be 0.",
            )
        earlier = next(iter(self._predictions.values()), rows[0])
        if len(earlier) != rows.shape[1]:
            raise InputError(
                f"{call} rows of length {rows.shape[1]}; in an earlier call the length was {len(earlier)}.",
                hint="Return the same number of classes in every call.",
            )
        return rows


class BlackBoxTokenRemoval:
    """Evaluates targets of a black box for one text with some of its tokens removed.

    A replacement text takes the place of a token, except for spaces at the token's ends. Deleting a token
    also deletes one of two spaces that would become adjacent, or one at an end of the text.

    Args:
        box: The black box.
        encoding: One text, as ``BlackBox.encode`` returns it.
        targets: Its N targets; each reads a class, or the difference of two.
        replacement: The method's replacement.

    Raises:
        InputError: The replacement is not available, or the target is a function of a model's outputs.

    >>> box = BlackBox(lambda texts: [float(len(text)) for text in texts], replacement="delete")
    >>> only = Target(task=BLACK_BOX, indices=(0,), quantity="custom", name="length")
    >>> removal = BlackBoxTokenRemoval(box, box.encode("a good film"), [only])
    >>> removal.variant(np.array([False, True, False]))
    'a film'
    """

    def __init__(
        self,
        box: BlackBox,
        encoding: Encoding,
        targets: Sequence[Target] | Callable[[Any], Any],
        replacement: str = "default",
    ) -> None:
        if callable(targets):
            raise InputError(
                "The target of a predict_fn cannot be a function of a model's outputs.",
                hint="Let predict_fn return the target's value.",
            )
        self.box = box
        self.tokens = encoding.tokens[0]
        self.targets = list(targets)
        self.replacement = box.replacement_named(replacement)
        self.removable: Bool[np.ndarray, " tokens"] = ~self.tokens.special
        self.context_length = len(self.tokens)

    @property
    def visible_length(self) -> Int[np.ndarray, " targets"]:
        """Number of leading tokens that each target can depend on: all of them."""
        return np.full(len(self.targets), len(self.tokens))

    def values(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants targets"]:
        """Return the value of each target for each variant.

        Args:
            removed: The tokens that are removed in each variant.

        Returns:
            Values ``(M, N)``.

        Raises:
            InputError: A special token would be removed, or the function's result is not valid.
        """
        if removed[:, ~self.removable].any():
            raise InputError(
                "Special and template tokens cannot be removed.", hint="Remove other tokens of the text."
            )
        predictions = self.box.predictions([self.variant(row) for row in removed])
        values = predictions[:, [target.indices[0] for target in self.targets]]
        for index, target in enumerate(self.targets):
            if target.against:
                values[:, index] -= predictions[:, target.against[0]]
        return values

    def variant(self, removed: Bool[np.ndarray, " tokens"]) -> str:
        """Return the text without some tokens.

        Args:
            removed: The tokens that are removed.

        Returns:
            The variant; the original text if nothing is removed.
        """
        text = self.tokens.texts[0]
        deletes = self.replacement == DELETE
        variant, position, after_deletion = "", 0, False
        for start, end in self.tokens.offsets[removed].tolist():
            if start == end:
                continue  # a token without text
            variant += _text_between(variant, text[position:start], after_deletion)
            variant += "" if deletes else _with_outer_spaces(text[start:end], self.replacement)
            position, after_deletion = end, deletes
        if position == len(text) and after_deletion and variant.endswith(" "):
            return variant[:-1]
        return variant + _text_between(variant, text[position:], after_deletion)


def words_of(text: str) -> Tokens:
    """Return the words of a text as tokens, by Unicode's word boundaries and without spaces.

    Args:
        text: The text.

    Returns:
        Tokens with ids −1.

    Raises:
        InputError: The text is empty, contains an unpaired surrogate, or is only whitespace.

    >>> words_of("Don't call it 👨‍👩‍👧!").surfaces()
    ("Don't", 'call', 'it', '👨\u200d👩\u200d👧', '!')
    """
    check_text(text)
    length = len(text)
    characters = Tokens.from_spans(
        texts=(text,),
        pieces=tuple(text),
        ids=np.full(length, -1),
        segments=np.zeros(length, dtype=int),
        offsets=np.arange(length)[:, None] + np.array([0, 1]),
        special=np.zeros(length, dtype=bool),
    )
    visible = characters.fold(characters.groups("character"))
    words = visible.fold(visible.groups("word"))
    positions = [index for index, word in enumerate(words.surfaces()) if not word.isspace()]
    if not positions:
        raise InputError(
            f"The text {text[:40]!r} contains no words.", hint="Pass a text with at least one word."
        )
    return words.select(positions)


def takes_black_box(method: object) -> bool:
    """Return whether a method, or its class, only removes tokens, as those with a ``replacement`` do."""
    return hasattr(method, "replacement")


def perturbation_hint() -> str:
    """Return a hint that lists the methods that need only a target's values."""
    names = [name for name in METHODS.names() if takes_black_box(METHODS.load(name))]
    return f"Use a perturbation method: {', '.join(names)}."


def _tokens_of(tokenizer: Any, text: str) -> Tokens:
    """Return a tokenizer's tokens, joined where several share one character."""
    tokens, _ = tokenize(tokenizer, text, special_tokens=False)
    return tokens.fold(tokens.groups("character"))


def _with_outer_spaces(removed: str, replacement: str) -> str:
    """Return a replacement with the spaces at the ends of the removed text."""
    core = removed.strip()
    if not core:
        return replacement
    before = len(removed) - len(removed.lstrip())
    return removed[:before] + replacement + removed[before + len(core) :]


def _text_between(variant: str, gap: str, after_deletion: bool) -> str:
    """Return the text between two removed tokens, without the extra space that a deletion leaves."""
    is_double = after_deletion and gap.startswith(" ") and (not variant or variant[-1].isspace())
    return gap[1:] if is_double else gap


def _described(value: object) -> str:
    article = "an" if type(value).__name__[0] in "aeiou" else "a"
    return "None" if value is None else f"{article} {type(value).__name__}"
