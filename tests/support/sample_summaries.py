"""Summaries of data sets as runs give them, and those at the ends of what there may be."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from model_understanding.results.dataset_summary import (
    AnswerSummary,
    CausalEffect,
    ChangedRow,
    Confusion,
    DatasetComparison,
    DatasetSummary,
    Distribution,
    ErrorSlice,
    OverusedWord,
    RowExample,
    Shortcut,
    TrustSample,
    WordChange,
    WordEffect,
)

MANIFEST: dict[str, Any] = {
    "model": "demo:sentiment",
    "task": "sequence-classification",
    "input": "reviews.csv",
    "method": "saliency",
    "labels": ["negative", "positive"],
    "evaluate": False,
    "versions": {"torch": "2.8.0"},
}
POSITIVE = ["wonderful", "great", "lovely", "superb", "moving", "bright", "honest", "warm", "clever", "funny"]
NEGATIVE = ["dull", "awful", "boring", "weak", "clumsy", "cold", "tired", "bland", "noisy", "endless"]
TEXTS = (
    "A {0} film with a {1} ending; the acting is {2} throughout.",
    "I found the plot {0}, the music {1} and the cast {2}.",
    "Not {0} at all: the story is {1}, and the jokes are {2}.",
)


def example(
    row: int,
    text: str,
    scores: Sequence[float] | None = None,
    *,
    label: str | None = "positive",
    prediction: str | None = "positive",
    pair: str | None = None,
    **fields: Any,
) -> RowExample:
    """Return a row whose words are those between blanks, of the text and of its pair."""
    spans, words, segments = [], [], []
    for segment, of_text in enumerate(filter(None, (text, pair))):
        place = 0
        for word in of_text.split():
            place = of_text.index(word, place)
            spans.append((place, place + len(word)))
            words.append(word)
            segments.append(segment)
            place += len(word)
    values = np.sin(1 + np.arange(len(words))) if scores is None else scores
    given = {"id": str(row), "probability": 0.9} | fields
    return RowExample(
        row=row,
        text=text,
        pair=pair,
        label=label,
        prediction=prediction,
        words=tuple(words),
        word_offsets=tuple(spans),
        word_segments=tuple(segments),
        word_scores=tuple(float(value) for value in values),
        **given,
    )


def effect(
    word: str, label: str | None, size: float, examples: Sequence[int] = (), **fields: Any
) -> WordEffect:
    """Return a word with an effect, and an interval of a tenth of it."""
    width = 0.1 * abs(size) + 0.01
    given: dict[str, Any] = {
        "interval": (size - width, size + width),
        "spread": 0.3 * abs(size),
        "count": 40,
        "rows": 36,
        "share": 0.12,
        "label_precision": 0.9,
        "answer_share": None if label is None else 0.8,
    }
    return WordEffect(word=word, label=label, effect=size, examples=tuple(examples), **(given | fields))


def causal(flips: int, control_flips: int, adjusted: float, trials: int = 200) -> CausalEffect:
    """Return a causal test with as many control texts."""
    difference = (flips - control_flips) / trials
    return CausalEffect(
        trials=trials,
        flips=flips,
        control_trials=trials,
        control_flips=control_flips,
        difference=difference,
        interval=(difference - 0.06, difference + 0.06),
        shift=3 * difference,
        p_value=adjusted / 2,
        adjusted=adjusted,
    )


def reviews(rows: int = 60) -> dict[int, RowExample]:
    """Return reviews that are positive and negative in turn; every seventh answer is wrong."""
    found = {}
    for row in range(rows):
        is_positive = row % 2 == 0
        own, other = (POSITIVE, NEGATIVE) if is_positive else (NEGATIVE, POSITIVE)
        chosen = [own[(row + step) % 10] for step in (0, 3, 7)]
        text = TEXTS[row % 3].format(*chosen)
        sign = 1.0 if is_positive else -1.0
        bare = [word.strip(".,:;") for word in text.split()]
        prediction = ("positive" if is_positive else "negative") if row % 7 else "positive"
        toward = 1.0 if prediction == "positive" else -1.0
        scores = [
            toward * sign * (0.4 + 0.05 * ((row + place) % 9)) if word in own else 0.03 * ((place % 5) - 2)
            for place, word in enumerate(bare)
        ]
        assert not set(bare) & set(other)
        found[row] = example(
            row,
            text,
            scores,
            label="positive" if is_positive else "negative",
            prediction=prediction,
            probability=0.6 + 0.035 * (row % 11),
            verdict=("supported", "weak", "not supported")[row % 3] if row < 9 else None,
        )
    return found


def classified(**fields: Any) -> DatasetSummary:
    """Return the summary of a classifier with a confirmed shortcut, two slices of errors and a sample."""
    rows = reviews()
    answers = []
    for label, words in (("positive", POSITIVE), ("negative", NEGATIVE)):
        found = []
        for place, word in enumerate((*words, "film", "plot", "the")):
            having = [r for r, of in rows.items() if word in of.text and of.prediction == label]
            size = 0.82 * 0.83**place if place < 10 else 0.02 * (11 - place)
            given = {"count": 61 - 3 * place, "rows": 58 - 3 * place, "share": (58 - 3 * place) / 300}
            found.append(effect(word, label, size, having[:5], label_precision=0.97 - 0.03 * place, **given))
        phrase = effect(f"Not {words[0]}", label, -0.31, [r for r in rows if "Not" in rows[r].text][:3])
        answers.append(
            AnswerSummary(label=label, rows=300, labeled=290, words=tuple(found), phrases=(phrase,))
        )
    shortcuts = (
        Shortcut(
            word=answers[0].words[1],
            inserted=causal(124, 8, 1e-9),
            swapped=causal(88, 11, 1e-5),
            controls=("table", "window", "monday"),
            confirmed=True,
            misled=(9, 7),
            changes=tuple(
                ChangedRow(
                    row=row,
                    text=f"great {rows[row].text}",
                    start=0,
                    end=5,
                    answer="positive",
                    probability=0.8 - 0.05 * row,
                )
                for row in (1, 3, 5)
            ),
        ),
        Shortcut(word=answers[1].words[0], inserted=causal(12, 9, 0.41), controls=("door", "yellow")),
    )
    slices = (
        ErrorSlice(
            words=("Not", "story"),
            label="negative",
            prediction="positive",
            errors=21,
            size=24,
            precision=0.875,
            rows=(7, 21, 35, 49),
        ),
        ErrorSlice(
            words=("cast",),
            label="negative",
            prediction="positive",
            errors=6,
            size=8,
            precision=0.75,
            rows=(7,),
            found_by="presence",
        ),
    )
    given: dict[str, Any] = {
        "manifest": MANIFEST,
        "rows": 602,
        "failed": 2,
        "errors": {"The text is empty.": 2},
        "answers": tuple(answers),
        "distributions": (
            Distribution(
                name="tokens per row",
                edges=tuple(range(4, 44, 4)),
                counts=(3, 40, 120, 190, 130, 70, 30, 12, 5),
            ),
            Distribution(
                name="probability of the answer",
                edges=(0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
                counts=(30, 60, 90, 160, 260),
            ),
            Distribution(
                name="mean absolute word score", edges=(0.0, 0.1, 0.2, 0.3, 0.4), counts=(80, 300, 180, 40)
            ),
        ),
        "confusion": Confusion(
            labels=("negative", "positive"),
            counts=((263, 47), (12, 278)),
            confidence=((0.93, 0.81), (0.71, 0.95)),
        ),
        "wrong": (21, 7, 49, 35),
        "trust": TrustSample(
            rows=120,
            verdicts={"supported": 97, "weak": 14, "not supported": 9},
            supported=97 / 120,
            interval=(0.729, 0.869),
            least=(2, 5, 8),
        ),
        "shortcuts": shortcuts,
        "overused": (
            OverusedWord(
                word="Not",
                label="positive",
                rows=100,
                answered=77,
                labeled=57,
                wrong=23,
                missed=3,
                interval=(0.11, 0.29),
                p_value=1e-5,
                adjusted=0.004,
                examples=(7, 21, 35),
            ),
        ),
        "slices": slices,
        "examples": rows,
        "folder": "explained",
    }
    return DatasetSummary(**(given | fields))


def unsigned() -> DatasetSummary:
    """Return a summary whose scores have no sign."""
    summary = classified(signed=False, manifest=MANIFEST | {"method": "gradient_weighted_attention"})
    rows = {
        row: replace(of, word_scores=tuple(abs(score) for score in of.word_scores))
        for row, of in summary.examples.items()
    }
    answers = tuple(
        replace(of, words=tuple(word for word in of.words if word.effect > 0), phrases=())
        for of in summary.answers
    )
    return replace(summary, examples=rows, answers=answers)


def without_labels() -> DatasetSummary:
    """Return a summary of data without labels, of which nothing was tested."""
    summary = classified(
        confusion=None, overused=None, slices=None, shortcuts=None, trust=None, errors={}, failed=0
    )
    rows = {row: replace(of, label=None) for row, of in summary.examples.items()}
    answers = tuple(
        replace(of, labeled=None, words=tuple(replace(word, label_precision=None) for word in of.words))
        for of in summary.answers
    )
    notes = (
        "The data has no labels, so there is no confusion and no groups of errors.",
        "Shortcuts were not tested: run model-understanding summarize explained --causal.",
    )
    return replace(summary, examples=rows, answers=answers, notes=notes)


def no_errors() -> DatasetSummary:
    """Return a summary of a model that is always right, without shortcuts."""
    confusion = Confusion(
        labels=("negative", "positive"), counts=((310, 0), (0, 290)), confidence=((0.93, None), (None, 0.95))
    )
    return classified(
        confusion=confusion, overused=(), slices=(), shortcuts=(), errors={}, failed=0, rows=600
    )


def continuations() -> DatasetSummary:
    """Return the summary of a language model."""
    rows = {
        row: example(
            row, f"The capital of {place} is", label=None, prediction=f" {city}, a city", probability=None
        )
        for row, (place, city) in enumerate((("France", "Paris"), ("Japan", "Tokyo"), ("Peru", "Lima")))
    }
    words = tuple(
        effect(word, None, 1 / (1 + place), list(rows), label_precision=None)
        for place, word in enumerate(("capital", "of", "is", "the"))
    )
    return DatasetSummary(
        manifest=MANIFEST
        | {"model": "demo:smollm2", "task": "causal-lm", "labels": None, "input": "prompts.txt"},
        rows=3,
        failed=0,
        answers=(AnswerSummary(label=None, rows=3, words=words),),
        distributions=(Distribution(name="tokens per row", edges=(0, 5, 10), counts=(1, 2)),),
        examples=rows,
        folder="explained",
    )


def many_classes(count: int = 300) -> DatasetSummary:
    """Return a summary of very many classes."""
    rows = {
        row: example(
            row,
            f"Please help me with topic {row} today",
            label=f"intent {row}",
            prediction=f"intent {row - row % 2}",
        )
        for row in range(count)
    }
    answers = tuple(
        AnswerSummary(
            label=f"intent {index}",
            rows=400 - index,
            labeled=300,
            words=tuple(
                effect(f"word{index}x{place}", f"intent {index}", 0.9 / (place + 1), [index])
                for place in range(12)
            ),
        )
        for index in range(0, count, 2)
    )
    counts = np.zeros((count, count), dtype=int)
    counts[np.arange(count), np.arange(count)] = 90
    counts[np.arange(1, count, 2), np.arange(0, count, 2)] = np.arange(1, count, 2) % 17 + 1
    confidence = [[0.8 if cell else None for cell in line] for line in counts]
    return DatasetSummary(
        manifest=MANIFEST | {"labels": [f"intent {index}" for index in range(count)]},
        rows=int(counts.sum()),
        failed=0,
        answers=answers,
        confusion=Confusion(
            labels=tuple(f"intent {index}" for index in range(count)),
            counts=tuple(tuple(map(int, line)) for line in counts),
            confidence=tuple(map(tuple, confidence)),
        ),
        examples=rows,
        folder="explained",
    )


def nothing() -> DatasetSummary:
    """Return the summary of a run without rows."""
    return DatasetSummary(manifest=MANIFEST, rows=0, failed=0, notes=("The run has no rows.",))


def all_failed() -> DatasetSummary:
    """Return the summary of a run in which every row failed."""
    errors = {"The text is empty.": 9, "The text has 100,000 tokens; the model reads 512.": 1}
    return DatasetSummary(
        manifest=MANIFEST, rows=10, failed=10, errors=errors, notes=("No row was explained.",)
    )


def one_row() -> DatasetSummary:
    """Return the summary of a single row."""
    rows = {0: example(0, "A wonderful film.", [0.1, 0.8, 0.2])}
    words = tuple(
        effect(
            word,
            "positive",
            size,
            [0],
            count=1,
            rows=1,
            share=1.0,
            spread=0.0,
            interval=(size, size),
            label_precision=1.0,
        )
        for word, size in (("wonderful", 0.8), ("film", 0.2), ("a", 0.1))
    )
    return DatasetSummary(
        manifest=MANIFEST,
        rows=1,
        failed=0,
        answers=(AnswerSummary(label="positive", rows=1, labeled=1, words=words),),
        confusion=Confusion(
            labels=("negative", "positive"), counts=((0, 0), (0, 1)), confidence=((None, None), (None, 0.9))
        ),
        examples=rows,
        folder="explained",
    )


HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def hard_words() -> DatasetSummary:
    """Return a summary of texts in many scripts, with markup, very long words and pairs."""
    texts = (
        "这部 电影 非常 精彩 ， 我 很 喜欢 。",
        "هذا الفيلم رائع جدا وممتع",
        "הסרט הזה נפלא ומרגש",
        "So 👩‍👩‍👧‍👦 good 🎬 !!! ❤️",
        f"Look: {HOSTILE} done",
        f"A {'very' * 200} long word",
        "line one\n\nline two\twith a tab and \u202eturned\u202c text",
    )
    rows = {
        row: example(row, text, label="ok", prediction="ok", id=f"id {row} it's; rm -rf")
        for row, text in enumerate(texts)
    }
    rows[7] = example(7, "Is it good?", pair="Yes, it is good.", label="bad", prediction="ok")
    rows[8] = example(
        8, " ".join(f"word{index % 97}" for index in range(20_000)), label="ok", prediction="ok"
    )
    words = ("精彩", "رائع", "נפלא", "👩‍👩‍👧‍👦", HOSTILE, "very" * 200, "\u202eturned\u202c", "good", "word7")
    found = tuple(effect(word, "ok", 0.9 - 0.1 * place, [place]) for place, word in enumerate(words))
    return DatasetSummary(
        manifest=MANIFEST | {"input": HOSTILE, "labels": ["ok", "bad"]},
        rows=9,
        failed=0,
        answers=(AnswerSummary(label="ok", rows=9, labeled=8, words=found),),
        confusion=Confusion(
            labels=("ok", "bad"), counts=((8, 0), (1, 0)), confidence=((0.9, None), (0.8, None))
        ),
        slices=(
            ErrorSlice(
                words=(HOSTILE, "精彩"),
                label="bad",
                prediction="ok",
                errors=1,
                size=1,
                precision=1.0,
                rows=(7,),
            ),
        ),
        examples=rows,
        notes=(HOSTILE,),
        folder="my folder",
    )


def compared_runs() -> DatasetComparison:
    """Return two runs of which some words changed their role."""
    first = classified()
    second = classified(manifest=MANIFEST | {"model": "runs/second", "method": "saliency"})
    changes = []
    for place, word in enumerate(first.answers[0].words):
        size = 0.6 - 0.13 * place
        after = None if place == 3 else replace(word, effect=word.effect + 0.5 * size)
        changes.append(
            WordChange(
                label="positive",
                before=None if place == 4 else word,
                after=after,
                difference=size,
                interval=(size - 0.15, size + 0.15),
                adjusted=min(1.0, 0.0001 * 6**place),
            )
        )
    changes.sort(key=lambda change: -abs(change.difference))
    changed = {row: of for row, of in first.examples.items() if row in (7, 14, 21)}
    return DatasetComparison(
        first=first,
        second=second,
        same_rows=600,
        changed_answers=31,
        words=tuple(changes),
        examples=changed,
        previous=dict.fromkeys((21, 7, 14), "negative"),
        became_right=12,
        became_wrong=17,
        notes=("The second run has 2 rows that failed.",),
    )


SUMMARIES: dict[str, Callable[[], DatasetSummary]] = {
    "classifier": classified,
    "unsigned": unsigned,
    "without labels": without_labels,
    "no errors": no_errors,
    "language model": continuations,
    "many classes": many_classes,
    "no rows": nothing,
    "all failed": all_failed,
    "one row": one_row,
    "hard words": hard_words,
}
