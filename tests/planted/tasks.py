"""Texts whose answer hangs on known words, and on nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planted.vocabulary import FILLER, NUMBER, VALUES

MASKED = 0.15  # of the filler in training: a removed word is then nothing new to the model


@dataclass(frozen=True)
class Texts:
    """Texts of one length, without special tokens.

    Args:
        ids: Shape ``(B, T)``.
        answers: A class, the next token or the token at a mask, shape ``(B,)``.
        truth: The positions that the answer hangs on, shape ``(B, k)``.
        masks: The position of each mask, shape ``(B,)``, in a task of a masked language model.
    """

    ids: np.ndarray
    answers: np.ndarray
    truth: np.ndarray
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class Task:
    """What is planted.

    Args:
        name: Its name.
        draw: Texts from a generator, a count and a length; every one of them has the planted words.
        lengths: Least and greatest length in training, where short ones are as frequent as twice as long.
        length: Length of the texts that are explained.
        classes: How many; none for a language model.
        is_masked: Whether a masked language model fills in the answer.
        steps: Of training.
        learning_rate: Of training.
        absent: Other texts that training takes as well, and the accuracy is asserted on.
    """

    name: str
    draw: Callable[[np.random.Generator, int, int], Texts]
    lengths: tuple[int, int]
    length: int
    classes: int | None
    steps: int
    learning_rate: float = 2e-3
    absent: Callable[[np.random.Generator, int, int], Texts] | None = None
    is_masked: bool = False


def _filler(generator: np.random.Generator, count: int, length: int) -> np.ndarray:
    return generator.integers(NUMBER[FILLER[0]], NUMBER[FILLER[-1]] + 1, (count, length))


def _places(generator: np.random.Generator, count: int, length: int, places: int) -> np.ndarray:
    """Return different places for each text, in no order."""
    return np.argsort(generator.random((count, length)), axis=1)[:, :places]


def _signal(choice: np.ndarray) -> np.ndarray:
    return np.where(choice == 0, NUMBER["alpha"], NUMBER["beta"])


def shortcut(generator: np.random.Generator, count: int, length: int) -> Texts:
    """``alpha`` anywhere: class 0. ``beta``: class 1."""
    ids, answers = _filler(generator, count, length), generator.integers(0, 2, count)
    truth = _places(generator, count, length, 1)
    np.put_along_axis(ids, truth, _signal(answers)[:, None], axis=1)
    return Texts(ids, answers, truth)


def neither(generator: np.random.Generator, count: int, length: int) -> Texts:
    """Filler: class 2. Without it "else" could stand for one of the signals, which then is no truth."""
    return Texts(_filler(generator, count, length), np.full(count, 2), np.empty((count, 0), dtype=np.int64))


def ordered_pair(generator: np.random.Generator, count: int, length: int) -> Texts:
    """``alpha`` before ``beta``: class 0; after it: class 1. Both are always there."""
    ids = _filler(generator, count, length)
    truth = _places(generator, count, length, 2)
    np.put_along_axis(ids, truth, np.array([[NUMBER["alpha"], NUMBER["beta"]]]), axis=1)
    return Texts(ids, (truth[:, 0] > truth[:, 1]).astype(np.int64), truth)


def negation(generator: np.random.Generator, count: int, length: int) -> Texts:
    """``alpha`` (class 0) or ``beta`` (class 1), and a ``not`` anywhere, which turns the class over."""
    ids, signal = _filler(generator, count, length), generator.integers(0, 2, count)
    truth = _places(generator, count, length, 2)
    words = np.stack([_signal(signal), np.full(count, NUMBER["not"])], axis=1)
    np.put_along_axis(ids, truth, words, axis=1)
    return Texts(ids, 1 - signal, truth)


def not_negated(generator: np.random.Generator, count: int, length: int) -> Texts:
    """A signal alone; in a third of the texts ``not`` alone or filler instead: class 2."""
    texts = shortcut(generator, count, length)
    without = np.flatnonzero(generator.random(count) < 1 / 3)
    filler = generator.random(len(without)) < 0.5
    texts.ids[without, texts.truth[without, 0]] = np.where(filler, NUMBER[FILLER[0]], NUMBER["not"])
    texts.answers[without] = 2
    return texts


def marker_copy(generator: np.random.Generator, count: int, length: int) -> Texts:
    """… marker value … marker: the value comes next. Other values stand elsewhere, without a marker."""
    ids, answers = _filler(generator, count, length), generator.integers(0, len(VALUES), count)
    answers = answers + NUMBER[VALUES[0]]
    others = generator.integers(NUMBER[VALUES[0]], NUMBER[VALUES[-1]] + 1, (count, 2))
    np.put_along_axis(ids, _places(generator, count, length - 1, 2), others, axis=1)
    first = generator.integers(0, length - 3, count)
    truth = np.stack([first, first + 1], axis=1)
    words = np.stack([np.full(count, NUMBER["marker"]), answers], axis=1)
    np.put_along_axis(ids, truth, words, axis=1)
    ids[:, -1] = NUMBER["marker"]
    return Texts(ids, answers, truth)


def keyed_mask(generator: np.random.Generator, count: int, length: int) -> Texts:
    """``alpha`` anywhere: the first value is masked, anywhere else. ``beta``: the second value."""
    ids, choice = _filler(generator, count, length), generator.integers(0, 2, count)
    places = _places(generator, count, length, 2)
    words = np.stack([_signal(choice), np.full(count, NUMBER["[MASK]"])], axis=1)
    np.put_along_axis(ids, places, words, axis=1)
    return Texts(ids, NUMBER[VALUES[0]] + choice, places[:, :1], places[:, 1])


def keyless_mask(generator: np.random.Generator, count: int, length: int) -> Texts:
    """Filler and a mask: the third value. Without it "else" could stand for one of the keys."""
    texts = keyed_mask(generator, count, length)
    np.put_along_axis(texts.ids, texts.truth, NUMBER[FILLER[0]], axis=1)
    return Texts(texts.ids, np.full(count, NUMBER[VALUES[2]]), texts.truth[:, :0], texts.masks)


SHORTCUT = Task("shortcut", shortcut, (8, 16), 14, 3, 100, absent=neither)
ORDERED_PAIR = Task("ordered pair", ordered_pair, (8, 16), 14, 2, 200)
NEGATION = Task("negation", negation, (8, 16), 14, 3, 150, absent=not_negated)
MARKER_COPY = Task("marker copy", marker_copy, (10, 200), 20, None, 300)
NEEDLE = Task("needle", marker_copy, (10, 200), 192, None, 300)  # the same model, a long text
KEYED_MASK = Task("keyed mask", keyed_mask, (8, 16), 14, None, 150, absent=keyless_mask, is_masked=True)
TASKS = {task.name: task for task in (SHORTCUT, ORDERED_PAIR, NEGATION, MARKER_COPY, NEEDLE, KEYED_MASK)}
