"""Maps that are right, maps that are wrong, and the texts and models they are of.

Right are the planted words (and a prompt's last word, without which nothing is asked), leave-one-out maps,
and Shapley values of many samples. Wrong are standard normal scores and right maps whose scores were dealt
out again among the tokens; one that is again the right map is dealt once more.
"""

import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "tests")]
sys.path.append(str(REPOSITORY / "benchmarks" / "faithfulness"))

from samples import PROMPT_STEPS, PROMPTS, samples_of  # noqa: E402

from model_understanding import GenerativeModelVisualizer, ModelVisualizer  # noqa: E402
from model_understanding.attribution.shapley_sampling import ShapleySampling  # noqa: E402
from model_understanding.results import Attribution  # noqa: E402
from model_understanding.runner.ranked_text import candidates_of  # noqa: E402
from planted.scoring import planted  # noqa: E402
from planted.tasks import TASKS  # noqa: E402

CALIBRATION, TEST = "calibration", "test"
SEEDS = {CALIBRATION: (0, 1, 2, 3, 4), TEST: (5, 6, 7, 8, 9)}
SHORT = 8  # words: as many as the shortest texts that the classifiers were trained on have
PLANTED_TEXTS = {"needle": 2}
"""Texts of a planted model and length; 6 where not said."""
SENTENCES = {CALIBRATION: (0, 44), TEST: (44, 88)}
SHAPLEY_SAMPLES = 512
TEST_PROMPTS = (
    "The bakery opens at six in the morning and closes at four in the",
    "My grandmother was born in Germany, so her first language was",
    "A week has seven days, a year has twelve months, and an hour has sixty",
    "The fisherman threw his net into the sea and waited for the",
    "Peter is taller than Mary, and Mary is taller than John, so the tallest of them is",
    "They missed the last bus, so they had to walk all the way",
    "The opposite of hot is cold, and the opposite of black is",
    "After the concert the audience stood up and began to clap their",
    "In chess the most powerful piece is the queen, but the game is lost without the",
    "The judge asked the witness to tell the truth, the whole truth, and nothing but the",
)
"""Calibration has those of the benchmark of faithfulness."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One text, and maps of it.

    Args:
        part: ``calibration`` or ``test``.
        model: Which model, in words.
        text: The text's number.
        visualizer: The model's.
        maps: Name and map of each; ``shuffled`` and ``random`` are the wrong ones.
    """

    part: str
    model: str
    text: int
    visualizer: Any
    maps: tuple[tuple[str, Attribution], ...]


def planted_texts(part: str, known: set[tuple[str, str, int]]) -> Iterator[Judged]:
    """Yield texts of planted models; of a model that has not learned its task none, and it is said."""
    for seed in SEEDS[part]:
        for name, task in TASKS.items():
            for length in (task.length,) if task.classes is None else (task.length, SHORT):
                yield from _planted_texts(part, known, name, seed, length)


def _planted_texts(
    part: str, known: set[tuple[str, str, int]], name: str, seed: int, length: int
) -> Iterator[Judged]:
    count, model_name = PLANTED_TEXTS.get(name, 6), f"{name} of {length} words, seed {seed}"
    if all((part, model_name, number) in known for number in range(count)):
        return
    model = planted(name, count, seed, length)
    if model.accuracy != 1.0:
        print(f"left out: {model_name} has an accuracy of {model.accuracy:.3f}", flush=True)
        return
    options = {} if model.task.classes is not None else {"target": "next"}
    for number, (text, truth) in enumerate(zip(model.texts, model.truth, strict=True)):
        if (part, model_name, number) in known:
            continue
        removed = model.visualizer.compute_saliency(text, method="leave_one_out", **options)
        scores = np.zeros_like(removed.scores)
        scores[0, truth] = 1.0
        if model.task.classes is None:
            scores[0, -1] = 1.0
        right = {"truth": replace(removed, scores=scores, method="truth"), "leave_one_out": removed}
        yield _judged(part, model_name, number, model.visualizer, right)


def real_texts(part: str, known: set[tuple[str, str, int]]) -> Iterator[Judged]:
    """Yield sentences for the demo classifier, and prompts for a small language model."""
    start, end = SENTENCES[part]
    sentences = [sample.text for sample in samples_of("sentences", end)][start:]
    prompts = PROMPTS if part == CALIBRATION else TEST_PROMPTS
    generated = {"target": "continuation", "max_new_tokens": PROMPT_STEPS}
    many = ShapleySampling(samples=SHAPLEY_SAMPLES)
    for model, kind, texts, options in (
        ("demo:sentiment", ModelVisualizer, sentences, {}),
        ("demo:smollm2", GenerativeModelVisualizer, prompts, generated),
    ):
        if all((part, model, number) in known for number in range(len(texts))):
            continue
        visualizer = kind(model)
        for number, text in enumerate(texts):
            if (part, model, number) in known:
                continue
            right = {
                name: visualizer.compute_saliency(text, method=method, **options)
                for name, method in (("leave_one_out", "leave_one_out"), ("shapley_sampling", many))
            }
            yield _judged(part, model, number, visualizer, right)


def _judged(part: str, model: str, number: int, visualizer: Any, right: dict[str, Attribution]) -> Judged:
    """Add to right maps as many shuffled and as many random ones."""
    generator = np.random.default_rng([number, zlib.crc32(f"{part}, {model}".encode())])
    wrong = []
    for attribution in right.values():
        candidates = candidates_of(attribution, visualizer.runner.is_language_model)
        wrong.append(("shuffled", _dealt_again(attribution, candidates, generator)))
        scores = np.zeros_like(attribution.scores)
        scores[0, candidates] = generator.normal(size=len(candidates))
        wrong.append(("random", replace(attribution, scores=scores, signed=True)))
    return Judged(part=part, model=model, text=number, visualizer=visualizer, maps=(*right.items(), *wrong))


def _dealt_again(
    attribution: Attribution, candidates: np.ndarray, generator: np.random.Generator
) -> Attribution:
    own = attribution.scores[0, candidates]
    dealt = generator.permutation(own)
    while np.array_equal(dealt, own) and own.min() < own.max():
        dealt = generator.permutation(own)
    scores = attribution.scores.copy()
    scores[0, candidates] = dealt
    return replace(attribution, scores=scores)
