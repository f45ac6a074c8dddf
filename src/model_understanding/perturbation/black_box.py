"""A classifier or a generator known only by its answers to texts: what stands in for a model's runner.

Variants of a text are made by editing the text itself where its tokens stand; nothing is decoded, and
with nothing removed the function is asked about the very text.
"""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from model_understanding.errors import InputError, UnsupportedModelError
from model_understanding.registry import METHODS
from model_understanding.results import Target
from model_understanding.text.encoding import Encoding
from model_understanding.text.tokenization import check_text, tokenize
from model_understanding.tokens import Tokens

BLACK_BOX = "black-box"
DELETE = "delete"
PredictFunction = Callable[[list[str]], Any]
_PARTS_OF_A_MODEL = frozenset(
    ("gradients", "embed", "capture", "logits", "generate", "model", "config", "device", "loaded")
)


class BlackBox:
    """Asks a function about texts: each distinct text once, in batches, its answers checked.

    A perturbation method takes it in place of a ``Runner``. Answers are kept as long as the object lives.

    Args:
        predict_fn: From a list of B texts to an array of shape ``(B, C)``, a number for each class, or
            ``(B,)``, one number for each text. What it raises passes through.
        tokenizer: A transformers tokenizer whose tokens are removed; the text's words where left out.
        replacement: What stands in the text for each removed token, or ``"delete"``.
        batch_size: Most texts in one call.

    Raises:
        InputError: A parameter cannot be used.

    >>> box = BlackBox(lambda texts: [float(len(text)) for text in texts], replacement="…")
    >>> box.answers(["Good film.", "Good …."]).tolist()
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
                hint="Pass a function from a list of texts to an array with one row for each text.",
            )
        if tokenizer is not None and not (callable(tokenizer) and hasattr(tokenizer, "all_special_ids")):
            raise InputError(
                f"The tokenizer must be one of transformers. Got {_described(tokenizer)}.",
                hint="Leave it out: the words of the text are removed then.",
            )
        if not isinstance(replacement, str):
            raise InputError(
                f"The replacement must be a string. Got {_described(replacement)}.",
                hint=f"Pass for example '[MASK]', or {DELETE!r} to leave removed tokens out.",
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(
                f"batch_size={batch_size!r} is not a whole number of at least 1.",
                hint="Leave it out for the default.",
            )
        self.predict_fn = predict_fn
        self.tokenizer = tokenizer
        self.replacement = replacement or DELETE
        self.batch_size = batch_size
        self.calls = 0
        self._answers: dict[str, Float[np.ndarray, " classes"]] = {}

    def __getattr__(self, name: str) -> NoReturn:
        if name in _PARTS_OF_A_MODEL:
            raise UnsupportedModelError(
                f"A predict_fn gives values only; {name!r} is of a model.", hint=perturbation_hint()
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def is_language_model(self) -> bool:
        """Whether a continuation follows the text: never, the function alone knows what it answers."""
        return False

    def encode(self, text: str) -> Encoding:
        """Return a text with the tokens that can be removed from it.

        Args:
            text: The text.

        Returns:
            An encoding; ids are −1 where no tokenizer gave them.

        Raises:
            InputError: The text is empty, is not text, or has no token.
        """
        if not isinstance(text, str):
            raise InputError(
                f"A predict_fn is asked about single texts. Got {_described(text)}.",
                hint="Pass a string; join a pair or a chat to one, as the function expects it.",
            )
        tokens = words_of(text) if self.tokenizer is None else _tokens_of(self.tokenizer, text)
        return Encoding((tokens,), {"input_ids": torch.from_numpy(tokens.ids.copy())[None]})

    def answers(self, texts: Sequence[str]) -> Float[np.ndarray, "texts classes"]:
        """Return what the function says about each text; one number a text is a single class.

        Args:
            texts: The texts.

        Returns:
            Values ``(M, C)``.

        Raises:
            InputError: The function returned something else than a finite number for each text, or for
                each text and class.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._answers]
        for start in range(0, len(new), self.batch_size):
            batch = new[start : start + self.batch_size]
            self.calls += 1
            rows = self._checked(self.predict_fn(list(batch)), len(batch))
            self._answers.update(zip(batch, rows, strict=True))
        return np.stack([self._answers[text] for text in texts])

    def replacement_named(self, replacement: str) -> str:
        """Return the text that stands for a removed token, or ``"delete"``.

        Args:
            replacement: A method's replacement: ``default``, or ``mask`` where tokens are not deleted.

        Returns:
            The black box's own replacement.

        Raises:
            InputError: The method's replacement is one of embeddings or of the attention mask.
        """
        if replacement == "default" or (replacement == "mask" and self.replacement != DELETE):
            return self.replacement
        raise InputError(
            f"replacement={replacement!r} does not fit a predict_fn, whose texts get {self.replacement!r}.",
            hint="Leave the method's replacement out, and choose that of the black box.",
        )

    def _checked(self, returned: Any, count: int) -> Float[np.ndarray, "texts classes"]:
        given = f"predict_fn was given {count} text{'s' if count > 1 else ''} and returned"
        hint = f"Return an array of shape ({count},) or ({count}, classes), one row for each text."
        if isinstance(returned, torch.Tensor):
            returned = returned.detach().cpu()
            returned = returned.double() if returned.is_floating_point() else returned
        try:
            array = np.asarray(returned)
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"{given} {_described(returned)} of no one shape.", hint=hint) from error
        if array.dtype.kind not in "fiub":
            raise InputError(f"{given} {_described(returned)}, which is not of numbers.", hint=hint)
        if array.ndim not in (1, 2) or len(array) != count or array.size == 0:
            raise InputError(f"{given} an array of shape {array.shape}.", hint=hint)
        rows = array.astype(np.float64).reshape(count, -1)
        if not np.isfinite(rows).all():
            place = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise InputError(
                f"{given} a number that is not finite, in row {place}: {rows[place].tolist()}.",
                hint="Return finite numbers: of probabilities that can be 0, not the logarithm.",
            )
        known = next(iter(self._answers.values()), rows[0])
        if len(known) != rows.shape[1]:
            raise InputError(
                f"{given} {rows.shape[1]} numbers for each; before, it was {len(known)}.",
                hint="Return as many classes in every call.",
            )
        return rows


class BlackBoxAblations:
    """One text, what is asked of it, and how its tokens are removed from the text itself.

    A mask string takes the place of a token, and blanks at the token's ends stay. Deleting a token also
    takes one of the two blanks that would be left side by side, or at an end of the text.

    Args:
        box: The black box.
        encoding: One text, as ``BlackBox.encode`` gives it.
        targets: Its N targets; each reads a class, or the difference of two.
        replacement: The method's replacement.

    Raises:
        InputError: The replacement means nothing here, or the targets are a function of a model's outputs.

    >>> box = BlackBox(lambda texts: [float(len(text)) for text in texts], replacement="delete")
    >>> only = Target(task=BLACK_BOX, indices=(0,), quantity="custom", name="length")
    >>> BlackBoxAblations(box, box.encode("a good film"), [only]).variant(np.array([False, True, False]))
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
                "A function of the model's outputs cannot be the target of a predict_fn.",
                hint="Let predict_fn return the number itself.",
            )
        self.box = box
        self.tokens = encoding.tokens[0]
        self.targets = list(targets)
        self.replacement = box.replacement_named(replacement)
        self.removable: Bool[np.ndarray, " tokens"] = ~self.tokens.special
        self.context_length = len(self.tokens)

    @property
    def reach(self) -> Int[np.ndarray, " targets"]:
        """How many of the first tokens each target can depend on: all of them."""
        return np.full(len(self.targets), len(self.tokens))

    def values(self, removed: Bool[np.ndarray, "variants tokens"]) -> Float[np.ndarray, "variants targets"]:
        """Return the value of each target on each variant.

        Args:
            removed: Which tokens each variant lacks.

        Returns:
            Values ``(M, N)``.

        Raises:
            InputError: A special token would be removed, or the function's answer cannot be used.
        """
        if removed[:, ~self.removable].any():
            raise InputError(
                "Special and template tokens cannot be removed.", hint="Remove tokens of the text."
            )
        answers = self.box.answers([self.variant(row) for row in removed])
        found = answers[:, [target.indices[0] for target in self.targets]]
        for number, target in enumerate(self.targets):
            if target.against:
                found[:, number] -= answers[:, target.against[0]]
        return found

    def variant(self, removed: Bool[np.ndarray, " tokens"]) -> str:
        """Return the text without some tokens.

        Args:
            removed: Which tokens it lacks.

        Returns:
            The text; the very text where nothing is removed.
        """
        text = self.tokens.texts[0]
        written, reached, after_deleted = "", 0, False
        for start, end in self.tokens.offsets[removed].tolist():
            if start == end:
                continue  # a token that no text stands for
            written += _joining(written, text[reached:start], after_deleted)
            written += "" if self.replacement == DELETE else _in_place_of(text[start:end], self.replacement)
            reached, after_deleted = end, self.replacement == DELETE
        if reached == len(text) and after_deleted and written.endswith(" "):
            return written[:-1]
        return written + _joining(written, text[reached:], after_deleted)


def words_of(text: str) -> Tokens:
    """Return the words of a text as its tokens: Unicode's words, nothing but blanks left out.

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
    kept = [number for number, word in enumerate(words.surfaces()) if not word.isspace()]
    if not kept:
        raise InputError(
            f"The text {text[:40]!r} has no word of its own.", hint="Pass a text with at least one word."
        )
    return words.select(kept)


def takes_black_box(method: object) -> bool:
    """Return whether a method, or its class, only removes tokens: it has a ``replacement`` then."""
    return hasattr(method, "replacement")


def perturbation_hint() -> str:
    """Return the methods that need nothing but values, as a hint."""
    names = [name for name in METHODS.names() if takes_black_box(METHODS.load(name))]
    return f"Use a perturbation method: {', '.join(names)}."


def _tokens_of(tokenizer: Any, text: str) -> Tokens:
    """Return a tokenizer's tokens, those that share a character joined: no text holds half of one."""
    tokens, _ = tokenize(tokenizer, text, special_tokens=False)
    return tokens.fold(tokens.groups("character"))


def _in_place_of(removed: str, replacement: str) -> str:
    """Return a replacement with the blanks that stand at the ends of what it replaces."""
    core = removed.strip()
    if not core:
        return replacement
    before = len(removed) - len(removed.lstrip())
    return removed[:before] + replacement + removed[before + len(core) :]


def _joining(written: str, gap: str, after_deleted: bool) -> str:
    """Return what stands between two removed tokens, without the blank that a deleted one leaves over."""
    doubled = after_deleted and gap.startswith(" ") and (not written or written[-1].isspace())
    return gap[1:] if doubled else gap


def _described(value: object) -> str:
    article = "an" if type(value).__name__[0] in "aeiou" else "a"
    return "None" if value is None else f"{article} {type(value).__name__}"
