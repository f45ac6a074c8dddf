"""Error slices of classifiers that learned two groups of errors, and of twins whose errors are random."""

import numpy as np
import pytest

from model_understanding import explain_dataset
from model_understanding.dataset.summary.reading import StoredRows
from model_understanding.dataset.summary.slices import find_slices
from planted.mislabeled_texts import EXPLAINED, TEN

PRECISE, ENOUGH = 0.8, 8


def slices_of(classifier, folder):
    """Return the slices of a run over texts that the classifier has not seen, and the texts."""
    drawn = classifier.draw(EXPLAINED, seed=1)
    data = [
        {"text": text, "label": classifier.labels[label]}
        for text, label in zip(drawn.texts, drawn.labels, strict=True)
    ]
    explain_dataset(classifier.visualizer(), data, folder, form="jsonl")
    rows = StoredRows(folder)
    return find_slices(rows, rows.labels).slices, drawn


def finds_both(classifier, folder):
    """Return whether each planted group has a slice that is named by it and whose first rows are of it."""
    slices, drawn = slices_of(classifier, folder)
    return all(
        any(
            (each.label, each.prediction) == (classifier.labels[group.label], classifier.labels[group.answer])
            and {*group.words} & {*each.words}
            and np.mean(drawn.groups[list(each.rows[:20])] == index) >= PRECISE
            for each in slices
        )
        for index, group in enumerate(classifier.planted)
    )


def test_both_groups_of_a_classifier_are_found(tmp_path):
    assert finds_both(TEN[4], tmp_path)


def test_random_errors_have_no_slices(tmp_path):
    assert slices_of(TEN[4].twin, tmp_path)[0] == ()


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_both_groups_are_found_in_most_classifiers(tmp_path):
    found = [finds_both(each, tmp_path / str(each.seed)) for each in TEN]
    assert sum(found) >= ENOUGH


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_random_errors_of_no_twin_have_slices(tmp_path):
    assert [slices_of(each.twin, tmp_path / str(each.seed))[0] for each in TEN] == [()] * len(TEN)
