"""Answer maps as the compute half would return them, and those at the ends of what there may be."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sample_results import HOSTILE, MANY_SCRIPTS, provenance

from model_understanding.results import AnswerMap, Statement
from model_understanding.results.answer_map import (
    AnswerSource,
    Origin,
    SourceEffect,
    SourceSentence,
    StatedValue,
)
from model_understanding.tokens import Tokens

_PIECES = re.compile(r"\s*\S+|\s+$")
TOWN = {
    "museum.txt": ["The museum is in the town hall.", "It was opened in 1931.", "Entry is free on Sundays."],
    "river.txt": ["The Tarn is the river of the town.", "It is 381 kilometers long."],
    "market.txt": ["The market is on Wednesdays."],
}
SAID: list[tuple[str, Origin, int, int]] = [
    ("The museum was opened in 1931,", "sources", 0, 1),
    ("and the river is 381 kilometers long.", "sources", 1, 1),
    ("Both are in Germany.", "nothing", -1, -1),
]


def placed(texts: Sequence[str]) -> Tokens:
    """Return the words of two texts as tokens, each with the blanks before it."""
    spans = [
        (segment, match.start(), match.end())
        for segment, text in enumerate(texts)
        for match in _PIECES.finditer(text)
    ]
    return Tokens.from_spans(
        texts=texts,
        pieces=[texts[segment][start:end] for segment, start, end in spans],
        ids=np.arange(len(spans)),
        segments=[segment for segment, *_ in spans],
        offsets=[(start, end) for _, start, end in spans],
        special=[False] * len(spans),
    )


def answer_map(
    documents: dict[str, list[str]] = TOWN,
    said: Sequence[tuple[str, Origin, int, int]] = SAID,
    *,
    between: str = " ",
    seed: int = 0,
    **fields: Any,
) -> AnswerMap:
    """Return the answer map of statements, each with its origin, its source and the sentence of it.

    Args:
        documents: The sentences of each source by its name.
        said: The statements.
        between: What stands between sentences, and between statements.
        seed: Of small effects everywhere else.
        **fields: Other fields.
    """
    prompt = "\n\n".join(between.join(sentences) for sentences in documents.values())
    answer = between.join(text for text, *_ in said)
    tokens = placed((f"{prompt}\n\nQuestion: what?", answer))
    length = int((tokens.segments == 0).sum())
    random = np.random.default_rng(seed)
    sources, place = [], 0
    for name, texts in documents.items():
        sentences = []
        for text in texts:
            start = prompt.index(text, place)
            place = start + len(text)
            inside = (tokens.offsets[:length, 1] > start) & (tokens.offsets[:length, 1] <= place)
            sentences.append(SourceSentence(text=text, positions=np.flatnonzero(inside)))
        sources.append(AnswerSource(name=name, sentences=tuple(sentences)))
    count = len(tokens) - length
    rows = np.cumsum([0, *(len(source.sentences) for source in sources)])
    effects = random.normal(0, 0.05, (len(sources), count))
    by_sentence = random.normal(0, 0.05, (rows[-1], count))
    without = random.normal(0, 0.05, count)
    ends = tokens.offsets[length:, 1]
    statements, begin = [], 0
    for number, (text, origin, source, sentence) in enumerate(said):
        end = begin + len(text)
        first, last = int((ends <= begin).sum()), int((ends <= end).sum())
        begin = end + len(between)
        value = StatedValue(
            text=text.split()[-1].rstrip(".,"), first=last - 1, last=last, effect=0.2, control=0.1,
            source=max(source, 0), without_sources=0.1, without_all=0.1, origin=origin,
        )  # fmt: skip
        attributed: tuple[SourceEffect, ...] = ()
        if source >= 0:
            effects[source, first:last] += 1.0
            by_sentence[rows[source] + sentence, first:last] += 0.9
            without[first:last] += 1.0
            effects[source, last - 1] += 4.0
            by_sentence[rows[source] + sentence, last - 1] += 4.0
            without[last - 1] += 4.0
            attributed = (
                SourceEffect(
                    source=source,
                    effect=float(effects[source, first:last].sum()),
                    sentence=sentence,
                    sentence_effect=float(by_sentence[rows[source] + sentence, first:last].sum()),
                    deleted=3.25,
                ),
            )
            value = replace(value, effect=float(effects[source, last - 1]))
        statements.append(
            Statement(
                text=text,
                first=first,
                last=last,
                log_prob=-1.5,
                origin=origin,
                sources=attributed,
                values=() if origin == "question" else (value,),
                without_sources=float(without[first:last].sum()),
                earlier=number - 1 if number else None,
                earlier_effect=0.5,
                without_all=6.0,
            )
        )
    given: dict[str, Any] = {
        "tokens": tokens,
        "prompt_length": length,
        "sources": tuple(sources),
        "statements": tuple(statements),
        "log_probs": -np.ones(count),
        "effects": effects,
        "without_sources": without,
        "sentence_effects": by_sentence,
        "is_sentence_removed": np.ones(rows[-1], dtype=bool),
        "removal": "hidden",
        "layout": "built-in prompt",
        "question": "When was the museum opened, and how long is the river?",
        "provenance": replace(provenance(), cautions=()),
        **fields,
    }
    return AnswerMap(**given)


def large() -> AnswerMap:
    """Return the map of 100 sources with 400 sentences, of which those of five sources were removed."""
    documents = {
        f"report {index}.md": [f"Report {index} says {place} of the matter." for place in range(4)]
        for index in range(95)
    }
    documents |= {
        f"long {index}.md": [f"Chapter {index} has the line {place} on it." for place in range(40)]
        for index in range(5)
    }
    said: list[tuple[str, Origin, int, int]] = [
        (f"Chapter {index} has the line {20 + index}.", "sources", 95 + index % 5, 20 + index)
        for index in range(12)
    ]
    said[5] = ("Nobody wrote this down.", "nothing", -1, -1)
    count = 95 * 4 + 5 * 40
    return answer_map(documents, said, is_sentence_removed=np.arange(count) >= 95 * 4)


def screened() -> AnswerMap:
    """Return a map of which two sentences only have an estimate, and one has not even that."""
    count = sum(map(len, TOWN.values()))
    estimates = np.linspace(0.0, 1.7, len(SAID) * count).reshape(len(SAID), count)
    return answer_map(
        is_sentence_removed=np.array([False, True, False, True, True, False]),
        is_sentence_screened=np.array([True, False, True, False, False, False]),
        screened_effects=estimates,
    )


def in_groups() -> AnswerMap:
    """Return a map of which the last source was only removed in a group."""
    documents = {**TOWN, "garden.md": ["The garden has roses.", "Cats like it."]}
    plain = answer_map(documents)
    is_last = np.arange(len(documents)) == len(TOWN)
    shares = np.zeros((len(SAID), len(documents)))
    shares[:, is_last] = np.linspace(-0.1, 0.4, len(SAID))[:, None]
    return replace(
        plain,
        effects=np.where(is_last[:, None], 0.0, plain.effects),
        is_sentence_removed=np.arange(len(plain.is_sentence_removed)) < len(plain.is_sentence_removed) - 2,
        is_source_screened=is_last,
        screened_source_effects=shares,
    )


def all_origins() -> AnswerMap:
    """Return a map with a statement of each origin."""
    said: list[tuple[str, Origin, int, int]] = [
        *SAID,
        ("It was opened long ago.", "answer", -1, -1),
        ("The river is a river.", "question", -1, -1),
        ("Many like it.", "unclear", -1, -1),
    ]
    return answer_map(TOWN, said, provenance=replace(provenance(), cautions=("Statement 2 has no control.",)))


HEBREW = {"נהר.txt": ["הנהר ארוך מאוד.", "אורכו 381 קילומטרים."], "שוק.txt": ["השוק פתוח ביום רביעי."]}
CHINESE = {"河流.txt": ["这条河很长。", "它长 381 公里。"], "市场.txt": ["市场在星期三开放。"]}
CODE = {"main.py": ["def area(width, height):", "return width * height", "print(area(3, 4))"]}

ANSWER_MAPS: dict[str, Callable[[], AnswerMap]] = {
    "town": answer_map,
    "all origins": all_origins,
    "nothing": lambda: answer_map(TOWN, [("Nobody knows.", "nothing", -1, -1)], missing=("lost.txt",)),
    "large": large,
    "screened": screened,
    "in groups": in_groups,
    "right to left": lambda: answer_map(
        HEBREW,
        [("אורך הנהר 381 קילומטרים,", "sources", 0, 1), ("והוא בצרפת.", "nothing", -1, -1)],
        question="",
    ),
    "no spaces": lambda: answer_map(
        CHINESE, [("这条河长 381 公里。", "sources", 0, 1), ("它在法国。", "nothing", -1, -1)]
    ),
    "code": lambda: answer_map(
        CODE, [("def area(w, h):", "sources", 0, 0), ("    return w * h", "sources", 0, 1)], between="\n"
    ),
    "many scripts": lambda: answer_map(
        {"a": [MANY_SCRIPTS]}, [(MANY_SCRIPTS, "sources", 0, 0)], removal="deleted"
    ),
    "no statement": lambda: answer_map(TOWN, SAID, statements=()),
    "hostile": lambda: answer_map(
        {f"{text}": [f"{text} is here."] for text in HOSTILE},
        [(f"{text} it says.", "sources" if index == 0 else "nothing", 0 if index == 0 else -1, 0)
         for index, text in enumerate(HOSTILE)],
        question=HOSTILE[0],
        layout=HOSTILE[1],
        missing=HOSTILE,
        provenance=replace(provenance(), model=HOSTILE[1], cautions=HOSTILE),
    ),
}  # fmt: skip
