"""Words whose effect is certain, but nothing."""

from dataclasses import replace

import numpy as np

from model_understanding.dataset.summary.effects import FirstLook, SecondLook
from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.results.dataset_summary import WordEffect
from model_understanding.show.views.dataset_findings import goes_with_answer


def test_a_word_of_certain_but_no_size_is_not_listed():
    generator = np.random.default_rng(0)
    rows = [
        StoredRow(
            row=row,
            id=str(row),
            text=f"soup film {row}",
            prediction="good",
            answer="good",
            explained="good",
            words=("soup", "film"),
            word_offsets=np.array([[0, 4], [5, 9]], np.int32),
            word_segments=np.zeros(2, np.int8),
            word_scores=np.array([1 + 0.1 * generator.normal(), 1e-6 + 1e-8 * generator.normal()]),
        )
        for row in range(40)
    ]
    first = FirstLook(signed=True)
    for row in rows:
        first.add(row)
    second = SecondLook(first)
    for row in rows:
        second.add(row)
    words, phrases = second.listed("good")
    assert [word.word for word in words] == ["soup"]
    assert not phrases


def test_a_text_that_is_there_many_times_is_one_observation():
    first = FirstLook(signed=True)
    texts = [f"soup film {index}" for index in range(10)] + ["rare words"] * 20
    rows = [_row(place, text, 1 + 0.01 * (place % 7)) for place, text in enumerate(texts)]
    for row in rows:
        first.add(row)
    second = SecondLook(first)
    for row in rows:
        second.add(row)
    words, _ = second.listed("good")
    found = {word.word: word for word in words}
    assert first.repeats.rows == 19
    assert set(found) == {"soup", "film"}
    assert found["soup"].texts == found["soup"].rows == 10
    assert set(found["soup"].tied) >= {"soup", "film"}


def _row(place: int, text: str, score: float) -> StoredRow:
    words = tuple(text.split()[:2])
    start = len(words[0]) + 1
    return StoredRow(
        row=place,
        id=str(place),
        text=text,
        prediction="good",
        answer="good",
        explained="good",
        words=words,
        word_offsets=np.array([[0, start - 1], [start, start + len(words[1])]], np.int32),
        word_segments=np.zeros(2, np.int8),
        word_scores=np.array([score, score]),
    )


def test_words_of_scores_without_a_sign_are_named_for_an_answer_they_go_with():
    frequent = WordEffect(
        word="film",
        label="good",
        effect=2.0,
        interval=(1.8, 2.2),
        spread=0.1,
        count=40,
        rows=40,
        share=0.8,
        answer_share=0.5,
    )
    assert not goes_with_answer(frequent, 0.5)
    assert goes_with_answer(replace(frequent, answer_share=0.95), 0.5)
