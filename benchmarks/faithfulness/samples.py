"""The texts on which methods are compared, and the target of each.

Sentences come from the same package as the demo classifier's corpus, and were held out when it was trained.
Prompts and needles are defined here; SmolLM2 continues them greedily. Passages are long prompts, and facts
are needles in passages.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from passages import PASSAGES

from model_understanding import GenerativeModelVisualizer, ModelVisualizer
from model_understanding.results import Target
from model_understanding.targets.classification import resolve_targets
from model_understanding.text.encoding import Encoding
from model_understanding.visualizers.target_spec import TargetSpec

REPOSITORY = Path(__file__).parents[2]
WORK = REPOSITORY / "build" / "faithfulness"
LONG_SETS = ("passages", "facts")
SETS = ("sentences", "prompts", "needles", *LONG_SETS)
FRACTIONS = {
    "sentences": (0.05, 0.1, 0.2, 0.35, 0.5),
    "prompts": (0.05, 0.2, 0.5),
    "needles": (0.05, 0.2, 0.5),
    "passages": (0.05, 0.2, 0.5),
    "facts": (0.05, 0.2, 0.5),
}
REPLACEMENTS = {
    "sentences": ("mask", "mean", "attention"),
    "prompts": ("pad", "mean"),
    "needles": ("pad", "mean"),
    "passages": ("pad", "mean"),
    "facts": ("pad", "mean"),
}
FEWEST_TOKENS = 6  # tokens of a sentence: of fewer, 5 % to 50 % are one to three tokens
PROMPT_STEPS, NEEDLE_STEPS = 8, 3
PASSAGE_TOKENS = 256 - PROMPT_STEPS  # maximum length of a passage
FACT_TOKENS = 226  # length of a passage with a fact: about 256 with fact, question and answer
SENTENCE_END = re.compile(r"[a-z]{3}\. ")
PROMPTS = (
    "The capital of France is Paris, the capital of Italy is Rome, and the capital of Spain is",
    "Once upon a time, in a land far away, there lived a young",
    "To make a cup of tea, first boil the water, then add the tea",
    "The doctor told the patient that she should take the medicine twice a",
    "In the morning the sun rises in the east, and in the evening it sets in the",
    "She opened the old book, and on the first page she found a letter written by her",
    "A triangle has three sides, a square has four sides, and a pentagon has",
    "When the teacher entered the classroom, all the students stood up and said",
    "He forgot his umbrella this morning, so when it started to rain he got",
    "The recipe says to mix the flour, the eggs and the sugar in a large",
    "Although the film was long and the seats were hard, nobody in the audience wanted to",
    "Anna gave the keys to Peter, and when he had parked the car, Peter gave the keys back to",
    "The old clock in the tower had stopped, and so nobody in the village knew what",
    "If you heat ice it becomes water, and if you heat water it becomes",
)
FILLING = (
    "The weather in the valley had been dry for weeks.",
    "Several farmers met at the market to talk about prices.",
    "A new bridge was being built across the river.",
    "Children played football behind the old school.",
    "The library opened an hour later than usual.",
    "Someone had painted the fence in a bright colour.",
    "The train from the coast arrived with some delay.",
)
FACTS = (
    ("code word for the garden", "magnolia"),
    ("password of the vault", "thunder"),
    ("name of the captain's ship", "Aurora"),
    ("colour of the secret door", "purple"),
    ("key to the north tower", "silver"),
    ("name of the baker's horse", "Juniper"),
    ("number of the locker", "seventeen"),
    ("city of the meeting", "Lisbon"),
    ("favourite fruit of the queen", "papaya"),
    ("day of the festival", "Thursday"),
    ("instrument of the mayor", "violin"),
    ("month of the harvest", "October"),
    ("drink of the sailors", "cider"),
    ("tree in the courtyard", "chestnut"),
    ("metal of the crown", "copper"),
    ("animal on the flag", "falcon"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One text and its target.

    Args:
        kind: The set that it belongs to.
        number: Its index in the set.
        text: The text.
        visualizer: The model.
        encoding: The text as the model reads it, including a continuation.
        target: The target.
        gold: Positions of the needle's value, for needles and facts.
    """

    kind: str
    number: int
    text: str
    visualizer: Any
    encoding: Encoding
    target: Target
    gold: tuple[int, ...] = ()


def samples_of(kind: str, count: int) -> Iterator[Sample]:
    """Yield the first samples of a set.

    Args:
        kind: One of ``SETS``.
        count: Number of samples; needles and facts count only if the model answers with their value.
    """
    made = {
        "sentences": _sentences,
        "prompts": partial(_prompts, "prompts", PROMPTS),
        "needles": partial(_needles, "needles", _in_filling),
        "passages": partial(_prompts, "passages", PASSAGES, tokens=PASSAGE_TOKENS),
        "facts": partial(_needles, "facts", _in_passage),
    }
    for _, sample in zip(range(count), made[kind](), strict=False):
        yield sample


def _sentences() -> Iterator[Sample]:
    sys.path.insert(0, str(REPOSITORY / "scripts" / "demo_model_building"))
    from corpus import read_corpus
    from sources import rated_sentences_folder

    visualizer = ModelVisualizer("demo:sentiment")
    config = visualizer.runner.model.config
    number = 0
    for rated in read_corpus(rated_sentences_folder(WORK)).held_out:
        encoding = visualizer._encode(rated.text)
        if (~encoding.tokens[0].special).sum() < FEWEST_TOKENS:
            continue
        target = resolve_targets(config, visualizer.predict(rated.text).index, None, "logit")[0]
        yield Sample(
            kind="sentences",
            number=number,
            text=rated.text,
            visualizer=visualizer,
            encoding=encoding,
            target=target,
        )
        number += 1


@cache
def _language_model() -> GenerativeModelVisualizer:
    return GenerativeModelVisualizer("demo:smollm2")


def _continued(kind: str, number: int, text: str, steps: int) -> Sample | None:
    visualizer = _language_model()
    encoding = visualizer._continued(text, None, steps)
    if len(encoding.tokens[0]) == encoding.prompt_length:
        return None
    (target,) = TargetSpec(target="continuation").targets(visualizer.runner.model, encoding)
    return Sample(
        kind=kind, number=number, text=text, visualizer=visualizer, encoding=encoding, target=target
    )


def _prompts(kind: str, texts: Sequence[str], tokens: int | None = None) -> Iterator[Sample]:
    for number, text in enumerate(texts):
        sample = _continued(kind, number, text if tokens is None else _first(text, tokens), PROMPT_STEPS)
        if sample is not None:
            yield sample


def _first(text: str, tokens: int) -> str:
    """Return the beginning of a text, cut after some tokens."""
    offsets = _language_model().tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return text[: offsets[:tokens][-1][1]]


def _in_filling(number: int, fact: str) -> str:
    """Return a fact among unrelated sentences."""
    order = np.random.default_rng(number).permutation(len(FILLING))[:4]
    before = number % 4  # sentences before the fact
    sentences = [FILLING[place] for place in order]
    return " ".join([*sentences[:before], fact, *sentences[before:]])


def _in_passage(number: int, fact: str) -> str:
    """Return a passage with a fact after one of its sentences."""
    text = _first(PASSAGES[number % len(PASSAGES)], FACT_TOKENS)
    ends = [found.end() for found in SENTENCE_END.finditer(text)]
    end = ends[number % len(ends)]
    return f"{text[:end]}{fact} {text[end:].rstrip(' ,;—')}."


def _needles(kind: str, hidden: Callable[[int, str], str]) -> Iterator[Sample]:
    for number, (thing, value) in enumerate(FACTS):
        fact = f"The {thing} is {value}."
        text = f"{hidden(number, fact)} The {thing} is"
        sample = _continued(kind, number, text, NEEDLE_STEPS)
        if sample is None or not _said(sample).lower().startswith(value.lower()):
            continue
        start = text.index(fact) + fact.index(value)
        tokens = sample.encoding.tokens[0]
        gold = (tokens.segments == 0) & (tokens.offsets[:, 0] < start + len(value))
        gold &= tokens.offsets[:, 1] > start
        yield Sample(**{**_fields(sample), "gold": tuple(np.flatnonzero(gold).tolist())})


def _said(sample: Sample) -> str:
    ids = sample.encoding.ids[0, sample.encoding.prompt_length :].tolist()
    return sample.visualizer.tokenizer.decode(ids).strip()


def _fields(sample: Sample) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in Sample.__dataclass_fields__}
