"""Classifiers of texts of which some words go with a class, and twins with a planted word.

A text has three class words among neutral words. A class word is three times as frequent in texts of its
class as in those of another, so none is certain. In a planted classifier one of the neutral words is added to
90 % of the texts of one class, in training and in the texts that are explained; in its clean twin it is not.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_understanding import ModelVisualizer
from planted import training, vocabulary
from planted.vocabulary import FILLER, NUMBER, VALUES

WORDS = (*FILLER, *VALUES)
PER_CLASS, IN_TEXT, TIMES = 5, 3, 3  # class words: of each class, of a text, how much more frequent
ADDED = 0.9  # of the texts of the planted class
BATCH, EPOCHS, LEARNING_RATE = 64, 12, 2e-3


@dataclass(frozen=True)
class ClassWords:
    """A classifier and its texts.

    Args:
        seed: Of words, texts and weights.
        classes: How many.
        texts: Of the training set.
        architecture: ``model_type`` of the classifier.
        is_planted: Whether a word is planted.
    """

    seed: int
    classes: int
    texts: int
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
    def bearing(self) -> list[list[str]]:
        """The words of each class."""
        return [self._order[PER_CLASS * index : PER_CLASS * (index + 1)] for index in range(self.classes)]

    @property
    def neutral(self) -> list[str]:
        """All other words, the most frequent first."""
        return self._order[PER_CLASS * self.classes :]

    @property
    def planted_word(self) -> str:
        """The neutral word that is planted: one of the rare ones, in about a tenth of all texts anyway."""
        return self.neutral[-1 - self.seed]

    @property
    def planted_class(self) -> int:
        """The class to whose texts it is added."""
        return self.seed % self.classes

    @property
    def clean(self) -> "ClassWords":
        """The twin without a planted word."""
        return replace(self, is_planted=False)

    def draw(self, count: int, seed: int) -> tuple[list[str], np.ndarray]:
        """Return texts and their classes.

        Args:
            count: How many.
            seed: Of the texts.
        """
        generator = np.random.default_rng([self.seed, seed])
        chances = 1 / (3 + np.arange(len(self.neutral)))
        chances /= chances.sum()
        answers = generator.integers(0, self.classes, count)
        texts: list[str] = []
        for answer in answers:
            words = generator.choice(self.neutral, generator.integers(5, 15), p=chances).tolist()
            added: list[str] = []
            for is_own in generator.random(IN_TEXT) < TIMES / (TIMES + self.classes - 1):
                other = (answer + generator.integers(1, self.classes)) % self.classes
                added.append(str(generator.choice(self.bearing[answer if is_own else other])))
            if self.is_planted and answer == self.planted_class and generator.random() < ADDED:
                added.append(self.planted_word)
            for word in added:
                words.insert(int(generator.integers(0, len(words) + 1)), word)
            texts.append(" ".join(words))
        return texts, answers

    def visualizer(self) -> ModelVisualizer:
        """Return the visualizer of the trained classifier."""
        sources = [Path(__file__).read_bytes(), repr(self).encode()]
        model = training.kept(self._built, self._trained, sources)
        return ModelVisualizer(model=model, tokenizer=vocabulary.of_a_classifier())

    def _built(self) -> Any:
        return training.untrained_classifier(self.architecture, self.labels)

    def _trained(self) -> Any:
        with training.one_thread(self.seed):
            return self._train(self._built().train(), np.random.default_rng(self.seed))

    def _train(self, model: Any, generator: np.random.Generator) -> Any:
        texts, answers = self.draw(self.texts, seed=0)
        rows = [
            [NUMBER["[CLS]"], *(NUMBER[word] for word in text.split()), NUMBER["[SEP]"]] for text in texts
        ]
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
        batches = EPOCHS * (len(rows) // BATCH)
        optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=batches)
        for _ in range(EPOCHS):
            order = generator.permutation(len(rows))
            for start in range(0, len(rows) - BATCH + 1, BATCH):
                some = order[start : start + BATCH]
                part = torch.tensor(ids[some])
                outputs = model(
                    input_ids=part, attention_mask=(part > 0).long(), labels=torch.tensor(answers[some])
                )
                optimizer.zero_grad()
                outputs.loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
        return model.eval()


TEN = tuple(
    ClassWords(seed, 2 + seed % 3, 800 + 200 * (seed % 5), "bert" if seed % 2 else "llama")
    for seed in range(10)
)
"""Ten classifiers: of 2 to 4 classes, of several sizes of training, of two architectures."""
