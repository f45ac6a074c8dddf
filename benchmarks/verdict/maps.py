"""Maps that are right, maps that are wrong, and the texts and models they are of.

Right are the planted words (and a prompt's last word, without which nothing is asked), leave-one-out maps,
and Shapley values of many samples. Wrong are standard normal scores and right maps whose scores were dealt
out again among the tokens; one that is again the right map is dealt once more.
"""

import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "tests")]
sys.path.append(str(REPOSITORY / "benchmarks" / "faithfulness"))

from samples import PROMPT_STEPS, samples_of  # noqa: E402

from model_understanding.attribution.shapley_sampling import ShapleySampling  # noqa: E402
from model_understanding.results import Attribution  # noqa: E402
from model_understanding.runner.ranked_text import candidates_of  # noqa: E402
from planted.scoring import planted  # noqa: E402
from planted.tasks import TASKS  # noqa: E402

CALIBRATION, TEST = "calibration", "test"
SEEDS = {CALIBRATION: (0, 1), TEST: (2, 3, 4)}
PLANTED_TEXTS = {"needle": 2}
"""Texts of a planted model; 6 where not said."""
SENTENCES = {CALIBRATION: (0, 20), TEST: (20, 44)}
PROMPTS = {CALIBRATION: (0, 0), TEST: (0, 8)}
SHAPLEY_SAMPLES = {"classifier": 256, "language model": 128}


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
        for name in TASKS:
            count, model_name = PLANTED_TEXTS.get(name, 6), f"{name}, seed {seed}"
            if all((part, model_name, number) in known for number in range(count)):
                continue
            model = planted(name, count, seed)
            if model.accuracy != 1.0:
                print(f"left out: {model_name} has an accuracy of {model.accuracy:.3f}", flush=True)
                continue
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
    kinds = (("sentences", "demo:sentiment", SENTENCES), ("prompts", "demo:smollm2", PROMPTS))
    for kind, model, ranges in kinds:
        start, end = ranges[part]
        if all((part, model, number) in known for number in range(start, end)):
            continue
        options: dict[str, Any] = {}
        if kind == "prompts":
            options = {"target": "continuation", "max_new_tokens": PROMPT_STEPS}
        many = ShapleySampling(samples=SHAPLEY_SAMPLES["language model" if options else "classifier"])
        for number, sample in enumerate(islice(samples_of(kind, end), start, end), start):
            if (part, model, number) in known:
                continue
            right = {
                name: sample.visualizer.compute_saliency(sample.text, method=method, **options)
                for name, method in (("leave_one_out", "leave_one_out"), ("shapley_sampling", many))
            }
            yield _judged(part, model, number, sample.visualizer, right)


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
