"""A tagger whose labels are known: a name is a person or an organization by a trigger word elsewhere.

Without a trigger word a name has no label, so neither of the two kinds can stand for "else".
"""

from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForTokenClassification

from model_understanding import TokenClassificationVisualizer
from planted import training, vocabulary
from planted.tasks import MASKED
from planted.vocabulary import FILLER, NUMBER, VALUES

LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG")
TRIGGERS = {"PER": "alpha", "ORG": "beta"}
LENGTHS, LENGTH, NAME = (8, 16), 14, 2  # a name has two words
BATCH, STEPS, LEARNING_RATE, HELD_OUT = 64, 300, 3e-3, 256


class Drawn(NamedTuple):
    """Texts of one length, as ``[CLS] text [SEP]``.

    Args:
        ids: Shape ``(B, T)``.
        labels: Of each token, shape ``(B, T)``.
        names: Position of each name's first word, shape ``(B,)``.
        triggers: Position of each trigger word, shape ``(B,)``.
    """

    ids: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    triggers: np.ndarray


def draw(generator: np.random.Generator, count: int, length: int, *, without: bool = False) -> Drawn:
    """Return texts of filler with a name and a trigger word, neither beside the other.

    Args:
        generator: Draws the words.
        count: How many texts.
        length: Words of a text.
        without: Whether a third of the texts has no trigger word, and no label.
    """
    ids = generator.integers(NUMBER[FILLER[0]], NUMBER[FILLER[-1]] + 1, (count, length + 2))
    ids[:, 0], ids[:, -1] = NUMBER["[CLS]"], NUMBER["[SEP]"]
    rows, labels = np.arange(count), np.zeros_like(ids)
    names = generator.integers(1, length - NAME + 2, count)
    free = np.ones((count, length + 2), dtype=bool)
    free[:, [0, -1]] = False
    for step in range(-1, NAME + 1):
        free[rows, np.clip(names + step, 0, length + 1)] = False
    triggers = np.argmax(np.where(free, generator.random(free.shape), -1), axis=1)
    kinds = generator.integers(0, 2, count)
    ids[rows, triggers] = np.where(kinds == 0, NUMBER["alpha"], NUMBER["beta"])
    has_label = generator.random(count) >= (1 / 3 if without else 0)
    ids[rows[~has_label], triggers[~has_label]] = NUMBER[FILLER[0]]
    for step in range(NAME):
        ids[rows, names + step] = generator.integers(NUMBER[VALUES[0]], NUMBER[VALUES[-1]] + 1, count)
        labels[rows, names + step] = np.where(has_label, 1 + 2 * kinds + step, 0)
    return Drawn(ids, labels, names, triggers)


@cache
def model(seed: int = 0) -> Any:
    """Return the trained model, the same at every call."""
    return training.kept(_built, partial(_trained, seed), [Path(__file__).read_bytes(), str(seed).encode()])


def visualizer() -> TokenClassificationVisualizer:
    """Return the visualizer of the trained model."""
    return TokenClassificationVisualizer(model=model(), tokenizer=vocabulary.of_a_classifier())


def texts_of(drawn: Drawn) -> list[str]:
    """Return the texts without special tokens."""
    words = list(NUMBER)
    return [" ".join(words[number] for number in row[1:-1]) for row in drawn.ids]


def accuracy() -> float:
    """Return the share of held-out tokens with the right label, in texts with and without a trigger."""
    drawn = draw(np.random.default_rng(1), HELD_OUT, LENGTH, without=True)
    tagger = model()  # trained here at the first call, with gradients
    with torch.no_grad():
        found = tagger(input_ids=torch.tensor(drawn.ids)).logits.argmax(-1).numpy()
    return float((found == drawn.labels).mean())


def _built() -> Any:
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}
    config = AutoConfig.for_model("bert", **training.SIZE, max_position_embeddings=64, **names)
    for name in config.to_dict():
        if "drop" in name:
            setattr(config, name, 0.0)
    return AutoModelForTokenClassification.from_config(config)


def _trained(seed: int) -> Any:
    with training.one_thread(seed):
        return _train(_built().train(), np.random.default_rng(seed))


def _train(built: Any, generator: np.random.Generator) -> Any:
    optimizer = torch.optim.AdamW(built.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        length = int(generator.integers(LENGTHS[0], LENGTHS[1] + 1))
        drawn = draw(generator, BATCH, length, without=True)
        is_filler = (drawn.ids >= NUMBER[FILLER[0]]) & (drawn.ids <= NUMBER[FILLER[-1]])
        hidden = is_filler & (generator.random(drawn.ids.shape) < MASKED)
        outputs = built(
            input_ids=torch.tensor(np.where(hidden, NUMBER["[MASK]"], drawn.ids)),
            labels=torch.tensor(drawn.labels),
        )
        optimizer.zero_grad()
        outputs.loss.backward()
        torch.nn.utils.clip_grad_norm_(built.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return built.eval()
