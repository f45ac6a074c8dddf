"""Classifiers that learned two groups of errors, and twins whose errors are random.

A text has three class words, each of its own class in nine of ten cases, among neutral words. In training,
the texts of one class that have a cue word are labeled as another class, and so are the texts of one class
that have both words of a pair; each of these words alone, or in texts of other classes, changes nothing. The
labels of the texts that are explained are right but for some at random. The twin is trained on right labels,
and as many of the labels of its explained texts are wrong, at random.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from model_understanding import ModelVisualizer
from planted import training, vocabulary
from planted.vocabulary import FILLER, NUMBER, VALUES

WORDS = (*FILLER, *VALUES)
PER_CLASS, IN_TEXT, OWN = 5, 3, 0.9  # class words
CUE, EACH, BOTH = 0.15, 0.1, 0.15  # shares of texts with the cue, with one word of the pair alone, with both
RANDOM = 0.03  # share of labels that are wrong at random
TRAINED, EXPLAINED = 2000, 600  # texts
BATCH, EPOCHS, LEARNING_RATE = 64, 12, 2e-3


class Planted(NamedTuple):
    """A group of errors.

    Args:
        words: All of them are in its texts.
        label: The right class.
        answer: What the model learned to answer.
    """

    words: tuple[str, ...]
    label: int
    answer: int


class Texts(NamedTuple):
    """Texts to learn from or to explain.

    Args:
        texts: The texts.
        right: Their right classes.
        groups: Of which planted group each is; −1 for none.
        labels: The labels that a data set would have.
    """

    texts: list[str]
    right: np.ndarray
    groups: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class MislabeledTexts:
    """A classifier and its texts.

    Args:
        seed: Of words, texts and weights.
        classes: How many.
        architecture: ``model_type`` of the classifier.
        is_planted: Whether there are planted groups; otherwise errors are random.
    """

    seed: int
    classes: int = 2
    architecture: str = "bert"
    is_planted: bool = True

    @cached_property
    def _order(self) -> list[str]:
        return [WORDS[index] for index in np.random.default_rng(self.seed).permutation(len(WORDS))]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(f"class{index}" for index in range(self.classes))

    @property
    def planted(self) -> tuple[Planted, Planted]:
        """The groups: texts with a cue, and texts with a pair of words."""
        first, second = self.seed % self.classes, (self.seed + 1 + self.seed // 2) % self.classes
        cue, one, other = self._order[-3:]
        return (
            Planted((cue,), first, (first + 1) % self.classes),
            Planted((one, other), second, (second + 1) % self.classes),
        )

    @property
    def twin(self) -> "MislabeledTexts":
        """The same with errors that are random."""
        return replace(self, is_planted=False)

    def draw(self, count: int, seed: int, *, is_training: bool = False) -> Texts:
        """Return texts.

        Args:
            count: How many.
            seed: Of the texts.
            is_training: Whether the labels are those that the model learns.
        """
        generator = np.random.default_rng([self.seed, seed])
        neutral = self._order[PER_CLASS * self.classes : -3]
        chances = 1 / (3 + np.arange(len(neutral)))
        chances /= chances.sum()
        right, texts = generator.integers(0, self.classes, count), []
        for answer in right:
            words = generator.choice(neutral, generator.integers(5, 15), p=chances).tolist()
            for word in [*self._class_words(generator, answer), *self._planted_words(generator)]:
                words.insert(int(generator.integers(0, len(words) + 1)), word)
            texts.append(" ".join(words))
        groups = np.array([self._group(text, answer) for text, answer in zip(texts, right, strict=True)])
        labels = right.copy()
        if is_training:
            if self.is_planted:
                labels = np.where(groups < 0, right, np.array([each.answer for each in self.planted])[groups])
        else:
            share = RANDOM if self.is_planted else RANDOM + float((groups >= 0).mean())
            wrong = generator.random(count) < share
            labels[wrong] = (right[wrong] + generator.integers(1, self.classes, wrong.sum())) % self.classes
        return Texts(texts, right, groups, labels)

    def _class_words(self, generator: np.random.Generator, answer: int) -> list[str]:
        classes = [
            answer if is_own else (answer + generator.integers(1, self.classes)) % self.classes
            for is_own in generator.random(IN_TEXT) < OWN
        ]
        return [self._order[PER_CLASS * index + generator.integers(0, PER_CLASS)] for index in classes]

    def _planted_words(self, generator: np.random.Generator) -> list[str]:
        cue, one, other = self._order[-3:]
        chance = generator.random()
        added = [cue] if generator.random() < CUE else []
        if chance < 2 * EACH:
            return [*added, one if chance < EACH else other]
        return [*added, one, other] if chance < 2 * EACH + BOTH else added

    def _group(self, text: str, answer: int) -> int:
        words = set(text.split())
        return next(
            (
                i
                for i, each in enumerate(self.planted)
                if each.label == answer and words.issuperset(each.words)
            ),
            -1,
        )

    def visualizer(self) -> ModelVisualizer:
        """Return the visualizer of the trained classifier."""
        model = training.kept(self._built, self._trained, [Path(__file__).read_bytes(), repr(self).encode()])
        return ModelVisualizer(model=model, tokenizer=vocabulary.of_a_classifier())

    def _built(self) -> Any:
        return training.untrained_classifier(self.architecture, self.labels)

    def _trained(self) -> Any:
        with training.one_thread(self.seed):
            return self._train(self._built().train(), np.random.default_rng(self.seed))

    def _train(self, model: Any, generator: np.random.Generator) -> Any:
        drawn = self.draw(TRAINED, seed=0, is_training=True)
        rows = [[NUMBER[word] for word in ("[CLS]", *text.split(), "[SEP]")] for text in drawn.texts]
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
        optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
        steps = EPOCHS * (len(rows) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
        for _ in range(EPOCHS):
            order = generator.permutation(len(rows))
            for start in range(0, len(rows) - BATCH + 1, BATCH):
                some = order[start : start + BATCH]
                part, labels = torch.tensor(ids[some]), torch.tensor(drawn.labels[some])
                optimizer.zero_grad()
                model(input_ids=part, attention_mask=(part > 0).long(), labels=labels).loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        return model.eval()


TEN = tuple(MislabeledTexts(seed, 2 + seed % 3, "llama" if seed % 4 == 3 else "bert") for seed in range(10))
"""Ten classifiers: of 2 to 4 classes, of two architectures."""
