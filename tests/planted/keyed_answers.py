"""A question answering model whose answer is known: the word after the key that the question names."""

from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForQuestionAnswering

from model_understanding import QuestionAnsweringVisualizer
from planted import training, vocabulary
from planted.tasks import MASKED
from planted.vocabulary import FILLER, NUMBER, VALUES

KEYS = VALUES  # words that stand for keys here; what follows one of them may be any word
LENGTHS, LENGTH, IN_CONTEXT = (10, 18), 16, 3
BATCH, STEPS, LEARNING_RATE, HELD_OUT = 64, 300, 3e-3, 256


class Drawn(NamedTuple):
    """Questions and contexts of one length, as ``[CLS] key [SEP] context [SEP]``.

    Args:
        ids: Shape ``(B, T)``.
        answers: Position of the answer, one token, shape ``(B,)``.
        keys: Positions of the key in the question and in the context, shape ``(B, 2)``.
    """

    ids: np.ndarray
    answers: np.ndarray
    keys: np.ndarray


def draw(generator: np.random.Generator, count: int, length: int) -> Drawn:
    """Return contexts of filler with a few keys, none next to another, and the question for one of them."""
    context = generator.integers(NUMBER[FILLER[0]], NUMBER[FILLER[-1]] + 1, (count, length))
    # every second place, so that a word stands between two keys
    places = 2 * np.argsort(generator.random((count, length // 2)), axis=1)[:, :IN_CONTEXT]
    places = places + generator.integers(0, 2, (count, 1)) * (places.max(axis=1, keepdims=True) < length - 2)
    keys = np.argsort(generator.random((count, len(KEYS))), axis=1)[:, :IN_CONTEXT] + NUMBER[KEYS[0]]
    np.put_along_axis(context, places, keys, axis=1)
    cls, sep = (np.full((count, 1), NUMBER[word]) for word in ("[CLS]", "[SEP]"))
    ids = np.concatenate([cls, keys[:, :1], sep, context, sep], axis=1)
    in_context = places[:, 0] + 3
    return Drawn(ids, in_context + 1, np.stack([np.ones(count, dtype=int), in_context], axis=1))


@cache
def model(seed: int = 0) -> Any:
    """Return the trained model, the same at every call."""
    return training.kept(_built, partial(_trained, seed), [Path(__file__).read_bytes(), str(seed).encode()])


def visualizer() -> QuestionAnsweringVisualizer:
    """Return the visualizer of the trained model."""
    return QuestionAnsweringVisualizer(model=model(), tokenizer=vocabulary.of_a_classifier())


def pairs_of(drawn: Drawn) -> list[tuple[str, str]]:
    """Return questions and contexts as texts."""
    words = list(NUMBER)
    return [(words[row[1]], " ".join(words[number] for number in row[3:-1])) for row in drawn.ids]


def accuracy() -> float:
    """Return the share of held-out questions whose start and end are both right."""
    drawn = draw(np.random.default_rng(1), HELD_OUT, LENGTH)
    answering = model()  # trained here at the first call, with gradients
    with torch.no_grad():
        outputs = answering(input_ids=torch.tensor(drawn.ids))
    right = [
        logits.argmax(-1).numpy() == drawn.answers for logits in (outputs.start_logits, outputs.end_logits)
    ]
    return float(np.mean(right[0] & right[1]))


def _built() -> Any:
    config = AutoConfig.for_model("bert", **training.SIZE, max_position_embeddings=64)
    for name in config.to_dict():
        if "drop" in name:
            setattr(config, name, 0.0)
    return AutoModelForQuestionAnswering.from_config(config)


def _trained(seed: int) -> Any:
    with training.one_thread(seed):
        return _train(_built().train(), np.random.default_rng(seed))


def _train(built: Any, generator: np.random.Generator) -> Any:
    optimizer = torch.optim.AdamW(built.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        drawn = draw(generator, BATCH, int(generator.integers(LENGTHS[0], LENGTHS[1] + 1)))
        is_filler = (drawn.ids >= NUMBER[FILLER[0]]) & (drawn.ids <= NUMBER[FILLER[-1]])
        hidden = is_filler & (generator.random(drawn.ids.shape) < MASKED)
        answers = torch.tensor(drawn.answers)
        outputs = built(
            input_ids=torch.tensor(np.where(hidden, NUMBER["[MASK]"], drawn.ids)),
            start_positions=answers,
            end_positions=answers,
        )
        optimizer.zero_grad()
        outputs.loss.backward()
        torch.nn.utils.clip_grad_norm_(built.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return built.eval()
