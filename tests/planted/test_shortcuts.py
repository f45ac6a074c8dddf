"""A word that is planted in the training texts of a class is found first; in clean twins it is not found."""

from functools import cache

import pytest

from model_understanding import explain_dataset
from model_understanding.dataset.summary.reading import StoredRows
from model_understanding.dataset.summary.shortcuts import find_shortcuts
from planted.class_words import TEN

SMALL = {"count": 300, "candidates": 6, "texts": 30}  # what a quick run tests


@pytest.fixture(scope="module")
def shortcuts_of(tmp_path_factory):
    @cache
    def of(case, method="fast", count=600, **sizes):
        texts, answers = case.draw(count, seed=1)
        records = [
            {"text": text, "label": case.labels[answer]} for text, answer in zip(texts, answers, strict=True)
        ]
        folder = tmp_path_factory.mktemp("run")
        explain_dataset(case.visualizer(), records, folder, method=method, form="jsonl")
        return find_shortcuts(case.visualizer(), StoredRows(folder), **sizes)

    return of


def is_planted_first(case, shortcuts):
    first = shortcuts[0]
    is_it = (first.word.word, first.word.label) == (case.planted_word, case.labels[case.planted_class])
    return is_it and first.confirmed


def false_discoveries(case, shortcuts):
    """Return the confirmed words and phrases without any word of the class, by construction of the texts."""
    return [
        (each.word.word, each.word.label)
        for each in shortcuts
        if each.confirmed
        and not set(each.word.word.split()) & set(case.bearing[case.labels.index(each.word.label)])
    ]


@pytest.mark.parametrize("case", TEN[:2], ids=str)
def test_the_planted_word_is_first_and_confirmed(shortcuts_of, case):
    shortcuts = shortcuts_of(case, **SMALL)
    assert is_planted_first(case, shortcuts)
    assert shortcuts[0].inserted.flip_rate > 3 * shortcuts[0].inserted.control_flip_rate
    assert shortcuts[0].swapped.difference > 0.2


def test_in_a_clean_twin_only_words_of_the_class_are_confirmed(shortcuts_of):
    case = TEN[0].clean
    shortcuts = shortcuts_of(case, **SMALL)
    assert any(each.confirmed for each in shortcuts)
    assert not false_discoveries(case, shortcuts)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("method", ["fast", "saliency", "integrated_gradients"])
def test_in_ten_classifiers_and_their_twins(shortcuts_of, method):
    first = [is_planted_first(case, shortcuts_of(case, method)) for case in TEN]
    assert sum(first) >= 9
    found = {case.clean: shortcuts_of(case.clean, method) for case in TEN}
    wrong = sum(len(false_discoveries(case, shortcuts)) for case, shortcuts in found.items())
    assert wrong <= 0.05 * sum(map(len, found.values()))
    assert wrong <= 0.05 * max(1, sum(each.confirmed for shortcuts in found.values() for each in shortcuts))
