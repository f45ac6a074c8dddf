"""Words with which an answer is given more often than is right: counted by hand, planted and clean."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from model_understanding.dataset.summary.overused import OverusedWords
from model_understanding.dataset.summary.reading import StoredRow
from model_understanding.statistics import (
    benjamini_hochberg,
    log_overlap_probability,
    matched_shares_interval,
    mcnemar_p_value,
)

FILLER = [f"filler{number}" for number in range(25)]


def row(number, words, label, prediction, text=None):
    return StoredRow(
        row=number,
        id=str(number),
        text=f"{number} {' '.join(words)}" if text is None else text,
        label=label,
        prediction=prediction,
        words=words,
        word_offsets=np.zeros((len(words), 2), np.int32),
        word_segments=np.zeros(len(words), np.int8),
        word_scores=np.ones(len(words), np.float32),
    )


def drawn(seed, count=1500, classes=2, *, bias=0.0, noise=0.1, planted=True):
    """Return rows with a word of their class; of those with ``not`` half are answered class 0 anyway.

    Args:
        seed: Of the words.
        count: How many rows.
        classes: How many classes.
        bias: Share of all rows that are answered class 0 whatever they are.
        noise: Share of labels that are wrong.
        planted: Whether ``not`` does anything.
    """
    generator, labels, rows = np.random.default_rng(seed), [f"class{i}" for i in range(classes)], []
    for number in range(count):
        own = int(generator.integers(classes))
        words = [f"word{own}", *map(str, generator.choice(FILLER, 5))]
        answer = own
        if generator.random() < 0.15:
            words.append("Not")
            if planted and generator.random() < 0.5:
                answer = 0
        if generator.random() < bias:
            answer = 0
        label = int(generator.integers(classes)) if generator.random() < noise else own
        rows.append(row(number, words, labels[label], labels[answer]))
    return rows


def overused(rows):
    words = OverusedWords()
    for each in rows:
        words.look(each)
    for each in rows:
        words.add(each, 0.9)
    return words.listed()


@pytest.mark.parametrize("classes", [2, 4])
def test_a_word_that_draws_an_answer_is_listed_with_what_is_counted_by_hand(classes):
    rows = drawn(0, classes=classes)
    found, *_ = overused(rows)
    having = [each for each in rows if "Not" in each.words]
    answered = [each for each in having if each.prediction == "class0"]
    wrong = [each for each in answered if each.label != "class0"]
    missed = [each for each in having if each.label == "class0" and each.prediction != "class0"]
    assert (found.word, found.label, found.rows) == ("Not", "class0", len(having))
    assert (found.answered, found.wrong, found.missed) == (len(answered), len(wrong), len(missed))
    assert found.labeled == sum(each.label == "class0" for each in having)
    assert found.answered_share - found.labeled_share == pytest.approx(
        (len(wrong) - len(missed)) / len(having)
    )
    count = len(wrong) + len(missed)
    tail = sum(comb(count, more) for more in range(len(wrong), count + 1)) / 2**count
    every = [each for each in rows if each.prediction == "class0"]
    of_answer = sum(each.label != "class0" for each in every)
    fisher = np.exp(log_overlap_probability(len(wrong), len(answered), of_answer, len(every)))
    assert found.p_value == pytest.approx(max(tail, fisher))
    assert found.p_value < found.adjusted < 0.05
    assert found.interval == matched_shares_interval(len(wrong), len(missed), len(having))
    assert found.examples == tuple(sorted(each.row for each in wrong)[:5])


def test_no_word_is_listed_where_words_do_nothing():
    """Wrong labels beside words of a class, which the model is sure of, are no word's doing."""
    found = [
        overused(drawn(seed, classes=classes, noise=noise, planted=False))
        for seed in range(10)
        for classes, noise in ((2, 0.1), (3, 0.3))
    ]
    assert sum(map(len, found)) <= 0.05 * len(found)


def test_a_model_that_prefers_an_answer_does_so_with_words_of_other_classes_only():
    for seed in range(5):
        found = overused(drawn(seed, bias=0.1, noise=0.05, planted=False))
        assert [(each.word, each.label) for each in found] == [("word1", "class0")]


def test_adjusted_for_all_words_and_answers_with_enough_errors():
    """Twelve words, each in five errors of one kind: the p-values of all are adjusted for as many."""
    rows = [row(i, [f"word{i % 12}", "x"], "a", "b") for i in range(60)]
    rows += [row(100 + i, ["x", "y"], "a", "a") for i in range(40)]
    rows += [row(200 + i, ["y", f"z{i}"], "b", "b") for i in range(200)]
    found = {(each.word, each.label): each for each in overused(rows)}
    p_values = [max(1 / 2**5, np.exp(log_overlap_probability(5, 5, 60, 260)))] * 12
    p_values.append(max(1 / 2.0**60, np.exp(log_overlap_probability(60, 60, 60, 260))))
    adjusted = benjamini_hochberg(np.array(p_values))
    assert found["x", "b"].adjusted == pytest.approx(adjusted[12], rel=1e-6)
    assert found["word3", "b"].adjusted == pytest.approx(adjusted[0])


def test_rows_without_errors_or_labels_list_nothing():
    assert overused([row(i, ["a"], "x", "x") for i in range(50)]) == ()
    assert overused([row(i, ["a"], None, "x") for i in range(50)]) == ()
    assert overused([]) == ()


def test_the_tail_of_many_pairs_is_that_of_a_normal_distribution():
    assert mcnemar_p_value(50_000, 50_000) == pytest.approx(0.5, abs=0.002)
    assert mcnemar_p_value(0, 9) == 1.0
    assert mcnemar_p_value(2000, 0) == 0.0


def test_repeated_texts_are_one_piece_of_evidence_and_all_are_counted():
    """The rows of each word are counted, and the test of it is one of different texts."""
    rows = drawn(0)
    (found, *_) = overused(rows)
    twice = [*rows, *(replace(each, row=each.row + len(rows)) for each in rows)]
    (again, *_) = overused(twice)
    assert (again.word, again.p_value, again.interval) == (found.word, found.p_value, found.interval)
    assert (again.rows, again.wrong, again.missed) == (2 * found.rows, 2 * found.wrong, 2 * found.missed)
    clean = drawn(1, planted=False)
    copies = [row(5000 + i, ["spam", "x"], "class1", "class0", text="spam x") for i in range(40)]
    assert "spam" not in [each.word for each in overused([*clean, *copies])]
    different = [row(5000 + i, ["spam", "x"], "class1", "class0") for i in range(40)]
    assert "spam" in [each.word for each in overused([*clean, *different])]
