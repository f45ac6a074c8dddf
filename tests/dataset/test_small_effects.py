"""Words whose effect is certain, but nothing."""

import numpy as np

from model_understanding.dataset.summary.effects import FirstLook, SecondLook
from model_understanding.dataset.summary.reading import StoredRow


def test_a_word_of_certain_but_no_size_is_not_listed():
    generator = np.random.default_rng(0)
    rows = [
        StoredRow(
            row=row,
            id=str(row),
            text="soup film",
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
