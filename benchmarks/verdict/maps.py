"""Right and wrong maps, and the models and texts that they explain.

Right maps: the planted words (and the last word of a prompt, which asks the question), the value of a needle,
leave-one-out maps, and Shapley values (of many samples, or exact ones for short prompts of a language model).
Wrong maps: standard normal scores, and right maps whose scores were permuted among the tokens; a permutation
that gives the right map again is drawn anew.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "tests")]
sys.path.append(str(REPOSITORY / "benchmarks" / "faithfulness"))

from samples import NEEDLE_STEPS, PROMPT_STEPS, Sample, samples_of  # noqa: E402

from model_understanding import GenerativeModelVisualizer  # noqa: E402
from model_understanding.attribution.shapley_sampling import ShapleySampling  # noqa: E402
from model_understanding.evaluation.ranked_text import candidates_of  # noqa: E402
from model_understanding.results import Attribution  # noqa: E402
from planted.scoring import planted  # noqa: E402
from planted.tasks import TASKS  # noqa: E402

CALIBRATION, TEST = "calibration", "test"
SEEDS = {CALIBRATION: (0, 1, 2, 3, 4), TEST: (5, 6, 7, 8, 9)}
SHORT = 8  # words, as in the shortest texts that the classifiers were trained on
PLANTED_TEXTS = {"needle": 2}
"""Number of texts of a planted model and length; 6 if not given here."""
OTHER_ARCHITECTURES = (
    ("distilbert", "shortcut"),
    ("distilbert", "negation"),
    ("electra", "shortcut"),
    ("electra", "negation"),
    ("albert", "shortcut"),
    ("gpt2", "marker copy"),
    ("gpt_neox", "marker copy"),
    ("qwen2", "marker copy"),
)
"""Architectures of the test part only, with the task of each; the other models are BERT and Llama."""
OTHER_SEEDS = (5, 6)
SENTENCES = {CALIBRATION: (0, 44), TEST: (44, 88)}
NEEDLES = {CALIBRATION: (0, 4), TEST: (4, 8)}
SHAPLEY_SAMPLES = 512
EXACT_TOKENS = (
    9  # tokens of a prompt whose Shapley values are exact (2⁹ variants); sampled ones are too noisy
)
PROMPTS = {
    CALIBRATION: (
        "The capital of France is Paris, the capital of Italy is Rome, and the capital of Spain is",
        "Once upon a time, in a land far away, there lived a young",
        "To make a cup of tea, first boil the water, then add the tea",
        "The doctor told the patient that she should take the medicine twice a",
        "She opened the old book, and on the first page she found a letter written by her",
        "A triangle has three sides, a square has four sides, and a pentagon has",
        "Roses are red, violets are",
        "The opposite of hot is called",
        "The first month of the year is",
        "The sun rises in the east and",
        "He was born in Paris and speaks",
        "One, two, three, four,",
    ),
    TEST: (
        "The bakery opens at six in the morning and closes at four in the",
        "My grandmother was born in Germany, so her first language was",
        "Peter is taller than Mary, and Mary is taller than John, so the tallest of them is",
        "They missed the last bus, so they had to walk all the way",
        "In chess the most powerful piece is the queen, but the game is lost without the",
        "The judge asked the witness to tell the truth, the whole truth, and nothing but the",
        "Bread is made from flour and",
        "The largest planet is called the",
        "Cats chase mice and dogs chase",
        "The color of the sky is",
        "The teacher wrote a word on the",
        "Monday, Tuesday, Wednesday,",
    ),
}
"""Prompts for a small language model, long ones and some of at most ``EXACT_TOKENS``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One text, and maps of it.

    Args:
        part: ``calibration`` or ``test``.
        model: The model, in words.
        text: Index of the text.
        visualizer: The model's visualizer.
        maps: Names and maps; ``permuted`` and ``random`` are the wrong ones.
    """

    part: str
    model: str
    text: int
    visualizer: Any
    maps: tuple[tuple[str, Attribution], ...]


def planted_texts(part: str, known: set[tuple[str, str, int]]) -> Iterator[Judged]:
    """Yield texts of planted models; a model that has not learned its task is omitted with a message."""
    for seed in SEEDS[part]:
        for name, task in TASKS.items():
            for length in (task.length,) if task.classes is None else (task.length, SHORT):
                yield from _planted_texts(part, known, name, seed, length)
    for architecture, name in OTHER_ARCHITECTURES if part == TEST else ():
        for seed in OTHER_SEEDS:
            yield from _planted_texts(part, known, name, seed, TASKS[name].length, architecture)


def _planted_texts(
    part: str,
    known: set[tuple[str, str, int]],
    name: str,
    seed: int,
    length: int,
    architecture: str | None = None,
) -> Iterator[Judged]:
    count = PLANTED_TEXTS.get(name, 6)
    kind = f"{architecture}: {name}" if architecture else name
    model_name = f"{kind} of {length} words, seed {seed}"
    if all((part, model_name, number) in known for number in range(count)):
        return
    model = planted(name, count, seed, length, architecture)
    if model.accuracy != 1.0:
        print(f"omitted: {model_name} has an accuracy of {model.accuracy:.3f}", flush=True)
        return
    options = {} if model.task.classes is not None else {"target": "next"}
    for number, (text, truth) in enumerate(zip(model.texts, model.truth, strict=True)):
        if (part, model_name, number) in known:
            continue
        removed = model.visualizer.compute_saliency(text, method="leave_one_out", **options)
        last = [len(removed.tokens) - 1] if model.task.classes is None else []
        right = {"truth": _marked(removed, [*truth, *last]), "leave_one_out": removed}
        yield _judged(part, model_name, number, model.visualizer, right)


def real_texts(part: str, known: set[tuple[str, str, int]]) -> Iterator[Judged]:
    """Yield sentences for the demo classifier; prompts and needles for a small language model."""
    made = {
        "demo:sentiment": _sentences(part),
        "demo:smollm2 prompts": _prompts(part),
        "demo:smollm2 needles": _needles(part),
    }
    for model, texts in made.items():
        for number, (visualizer, right) in enumerate(texts):
            if (part, model, number) not in known:
                yield _judged(part, model, number, visualizer, right())


RightMaps = Callable[[], dict[str, Attribution]]
"""Computed when called, so that texts that are measured already cost nothing."""


def _sentences(part: str) -> Iterator[tuple[Any, RightMaps]]:
    for sample in islice(samples_of("sentences", SENTENCES[part][1]), *SENTENCES[part]):
        yield sample.visualizer, partial(_removed_and_shapley, sample.visualizer, sample.text)


def _prompts(part: str) -> Iterator[tuple[Any, RightMaps]]:
    visualizer = GenerativeModelVisualizer("demo:smollm2")
    question = {"target": "continuation", "max_new_tokens": PROMPT_STEPS}
    for text in PROMPTS[part]:
        short = len(visualizer.tokenizer(text).input_ids) <= EXACT_TOKENS
        explained = _removed_and_shapley if short else _removed
        yield visualizer, partial(explained, visualizer, text, **question)


def _needles(part: str) -> Iterator[tuple[Any, RightMaps]]:
    question = {"target": "continuation", "max_new_tokens": NEEDLE_STEPS}
    for sample in islice(samples_of("needles", NEEDLES[part][1]), *NEEDLES[part]):
        yield sample.visualizer, partial(_with_truth, sample, **question)


def _removed(visualizer: Any, text: str, **question: Any) -> dict[str, Attribution]:
    return {"leave_one_out": visualizer.compute_saliency(text, method="leave_one_out", **question)}


def _removed_and_shapley(visualizer: Any, text: str, **question: Any) -> dict[str, Attribution]:
    many = ShapleySampling(samples=SHAPLEY_SAMPLES)
    shapley = visualizer.compute_saliency(text, method=many, **question)
    return {**_removed(visualizer, text, **question), "shapley_sampling": shapley}


def _with_truth(sample: Sample, **question: Any) -> dict[str, Attribution]:
    found = _removed(sample.visualizer, sample.text, **question)
    return {"truth": _marked(found["leave_one_out"], sample.gold), **found}


def _marked(attribution: Attribution, positions: Sequence[int]) -> Attribution:
    """Return the map with score 1 at these positions and 0 elsewhere."""
    scores = np.zeros_like(attribution.scores)
    scores[0, list(positions)] = 1.0
    return replace(attribution, scores=scores, method="truth")


def _judged(part: str, model: str, number: int, visualizer: Any, right: dict[str, Attribution]) -> Judged:
    """Add as many permuted and as many random maps to right maps."""
    generator = np.random.default_rng([number, zlib.crc32(f"{part}, {model}".encode())])
    wrong = []
    for attribution in right.values():
        candidates = candidates_of(attribution, visualizer.runner.is_language_model)
        wrong.append(("permuted", _permuted(attribution, candidates, generator)))
        scores = np.zeros_like(attribution.scores)
        scores[0, candidates] = generator.normal(size=len(candidates))
        wrong.append(("random", replace(attribution, scores=scores, signed=True)))
    return Judged(part=part, model=model, text=number, visualizer=visualizer, maps=(*right.items(), *wrong))


def _permuted(
    attribution: Attribution, candidates: np.ndarray, generator: np.random.Generator
) -> Attribution:
    own = attribution.scores[0, candidates]
    permuted = generator.permutation(own)
    while np.array_equal(permuted, own) and own.min() < own.max():
        permuted = generator.permutation(own)
    scores = attribution.scores.copy()
    scores[0, candidates] = permuted
    return replace(attribution, scores=scores)
