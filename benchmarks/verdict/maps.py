"""Right and wrong maps, and the models and texts that they explain.

Right maps: the planted words (and the last word of a prompt, which asks the question), the value of a needle,
leave-one-out maps, and Shapley values (of many samples, or exact ones for short prompts of a language model).
Wrong maps: standard normal scores, one token alone, and right maps whose scores were permuted among the
tokens; right maps of another class and of another text; rollout and input × gradient. Of a planted model each
is filed by what it names among as many top tokens as there are planted words: none of them, a part, or all.
A wrong map that names all is no wrong map, and is listed apart.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

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
SEEDS = {CALIBRATION: (0, 1, 2), TEST: (12, 13, 14, 15)}
NEGATION_SEEDS = {CALIBRATION: (0, 1, 2, 3), TEST: tuple(range(12, 24))}
"""More models of the task whose words interact, which differ most from each other."""
LENGTHS = (6, 8, 14)
"""Words of the texts of planted classifiers, which were trained on 8 to 16."""
EITHER = "either word"
"""Texts of the shortcut's model in which its word stands twice, so that either alone changes nothing."""
PLANTED_TEXTS = {"needle": 2}
"""Number of texts of a planted model and length; 3 if not given here."""
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
OTHER_SEEDS = (4, 5)
SENTENCES = {CALIBRATION: (0, 24), TEST: (44, 74)}
NEEDLES = {CALIBRATION: (0, 4), TEST: (4, 8)}
SHAPLEY_SAMPLES, PLANTED_SHAPLEY_SAMPLES = 512, 1024
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
        maps: The maps.
    """

    part: str
    model: str
    text: int
    visualizer: Any
    maps: tuple["NamedMap", ...]


class NamedMap(NamedTuple):
    """A map.

    Args:
        name: What it is, as in the table.
        names: ``right`` for a right map; else which planted words it names: ``none``, ``part`` or ``all``,
            or ``unknown`` where nobody planted any.
        attribution: The scores.
    """

    name: str
    names: str
    attribution: Attribution


def planted_texts(part: str, known: set[tuple[str, str, int]]) -> Iterator[Judged]:
    """Yield texts of planted models; a model that has not learned its task is omitted with a message."""
    for name, task in TASKS.items():
        for seed in (NEGATION_SEEDS if name == "negation" else SEEDS)[part]:
            for length in (task.length,) if task.classes is None else LENGTHS:
                yield from _planted_texts(part, known, name, seed, length)
                if name == "shortcut":
                    yield from _planted_texts(part, known, name, seed, length, doubled=True)
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
    *,
    doubled: bool = False,
) -> Iterator[Judged]:
    count = PLANTED_TEXTS.get(name, 3)
    kind = f"{architecture}: {name}" if architecture else EITHER if doubled else name
    model_name = f"{kind} of {length} words, seed {seed}"
    if all((part, model_name, number) in known for number in range(count)):
        return
    model = planted(name, count, seed, length, architecture)
    if model.accuracy != 1.0:
        print(f"omitted: {model_name} has an accuracy of {model.accuracy:.3f}", flush=True)
        return
    texts, truths = _doubled(model, seed) if doubled else (model.texts, model.truth)
    options: dict[str, Any] = {} if model.task.classes is not None else {"target": "next"}
    removed = model.visualizer.compute_saliency(list(texts), method="leave_one_out", **options)
    shapley_values = ShapleySampling(samples=PLANTED_SHAPLEY_SAMPLES)
    for number, (text, truth, answer) in enumerate(zip(texts, truths, model.answers, strict=True)):
        if (part, model_name, number) in known or removed[number].targets[0].indices != (answer,):
            continue
        last = [len(removed[number].tokens) - 1] if model.task.classes is None else []
        right = {"truth": _marked(removed[number], [*truth, *last])}
        if not doubled:  # without either word nothing changes, so that this is a map of noise
            right["leave_one_out"] = removed[number]
        if model.task.classes is not None:
            right["shapley_sampling"] = model.visualizer.compute_saliency(text, method=shapley_values)
        others = [("another text", removed[(number + 1) % count])]
        others += _other_classes(model, text, int(answer)) if model.task.classes is not None else []
        yield _judged(part, model_name, number, model.visualizer, text, right, others, truth, **options)


def _doubled(model: Any, seed: int) -> tuple[list[str], np.ndarray]:
    """Return the model's texts with the signal in one more place, and the places of both."""
    generator = np.random.default_rng([seed, model.task.length])
    texts, truths = [], []
    for text, (place,) in zip(model.texts, model.truth, strict=True):
        words = text.split()
        second = int(generator.choice([word for word in range(len(words)) if word != place - 1]))
        words[second] = words[place - 1]
        texts.append(" ".join(words))
        truths.append(sorted((place, second + 1)))
    return texts, np.array(truths)


def _other_classes(model: Any, text: str, answer: int) -> list[tuple[str, Attribution]]:
    return [
        ("another class", model.visualizer.compute_saliency(text, method="leave_one_out", target=other))
        for other in range(model.task.classes)
        if other != answer
    ]


def real_texts(part: str, known: set[tuple[str, str, int]]) -> Iterator[Judged]:
    """Yield sentences for the demo classifier; prompts and needles for a small language model."""
    made = {
        "demo:sentiment": _sentences(part),
        "demo:smollm2 prompts": _prompts(part),
        "demo:smollm2 needles": _needles(part),
    }
    for model, texts in made.items():
        for number, (visualizer, text, question, right) in enumerate(texts):
            if (part, model, number) not in known:
                yield _judged(part, model, number, visualizer, text, right(), [], (), **question)


RightMaps = Callable[[], dict[str, Attribution]]
"""Computed when called, so that texts that are measured already cost nothing."""


RealText = tuple[Any, str, dict[str, Any], RightMaps]
"""A visualizer, a text, the options of its target, and its right maps."""


def _sentences(part: str) -> Iterator[RealText]:
    for sample in islice(samples_of("sentences", SENTENCES[part][1]), *SENTENCES[part]):
        right = partial(_removed_and_shapley, sample.visualizer, sample.text)
        yield sample.visualizer, sample.text, {}, right


def _prompts(part: str) -> Iterator[RealText]:
    visualizer = GenerativeModelVisualizer("demo:smollm2")
    question = {"target": "continuation", "max_new_tokens": PROMPT_STEPS}
    for text in PROMPTS[part]:
        short = len(visualizer.tokenizer(text).input_ids) <= EXACT_TOKENS
        explained = _removed_and_shapley if short else _removed
        yield visualizer, text, question, partial(explained, visualizer, text, **question)


def _needles(part: str) -> Iterator[RealText]:
    question = {"target": "continuation", "max_new_tokens": NEEDLE_STEPS}
    for sample in islice(samples_of("needles", NEEDLES[part][1]), *NEEDLES[part]):
        yield sample.visualizer, sample.text, question, partial(_with_truth, sample, **question)


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


def _judged(
    part: str,
    model: str,
    number: int,
    visualizer: Any,
    text: str,
    right: dict[str, Attribution],
    others: Sequence[tuple[str, Attribution]],
    truth: Sequence[int],
    **question: Any,
) -> Judged:
    """Add wrong maps to right ones.

    Args:
        part: ``calibration`` or ``test``.
        model: The model, in words.
        number: Index of the text.
        visualizer: The model's visualizer.
        text: The text.
        right: The right maps.
        others: Maps of something else.
        truth: Positions of the planted words; none where nobody planted any.
        question: Options of the target.
    """
    generator = np.random.default_rng([number, zlib.crc32(f"{part}, {model}".encode())])
    first = next(iter(right.values()))
    candidates = candidates_of(first, visualizer.runner.is_language_model)

    def with_scores(scores: np.ndarray) -> Attribution:
        whole = np.zeros_like(first.scores)
        whole[0, candidates] = scores
        return replace(first, scores=whole, signed=True)

    wrong = [("permuted", _permuted(one, candidates, generator)) for one in right.values()]
    wrong += [("random", with_scores(generator.normal(size=len(candidates)))) for _ in right]
    places = generator.choice(len(candidates), size=2 * len(right), replace=False)
    wrong += [("one token", with_scores(np.arange(len(candidates)) == place)) for place in places]
    wrong += [(name, with_scores(other.scores[0, candidates])) for name, other in others]
    wrong += [
        (method, visualizer.compute_saliency(text, method=method, **question))
        for method in ("attention_rollout", "input_x_gradient")
    ]
    planted_words = np.isin(candidates, truth)
    named = [NamedMap(name, _names(one, candidates, planted_words), one) for name, one in wrong]
    maps = (*(NamedMap(name, "right", one) for name, one in right.items()), *named)
    return Judged(part=part, model=model, text=number, visualizer=visualizer, maps=maps)


def _names(attribution: Attribution, candidates: np.ndarray, planted_words: np.ndarray) -> str:
    """Return which planted words stand among as many top tokens of a map."""
    count = int(planted_words.sum())
    if not count:
        return "unknown"
    scores = attribution.scores[0, candidates]
    top = np.argsort(-(scores if attribution.signed else np.abs(scores)), kind="stable")[:count]
    found = int((planted_words[top] & (scores[top] != 0)).sum())
    return "none" if not found else "all" if found == count else "part"


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
