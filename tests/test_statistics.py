import numpy as np
import pandas
import pytest

from model_understanding.statistics import rank_correlation, top_overlap


@pytest.mark.parametrize("seed", range(10))
def test_rank_correlation_is_spearmans_ties_included(seed):
    numbers = np.random.default_rng(seed)
    first, second = numbers.integers(0, 5, (2, 12)).astype(float)
    table = pandas.DataFrame({"first": first, "second": second})
    assert rank_correlation(first, second) == pytest.approx(table.corr("spearman").loc["first", "second"])


def test_rank_correlation_without_a_meaning_is_none():
    assert rank_correlation(np.array([1.0, 2]), np.array([1.0, 2])) is None
    assert rank_correlation(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) is None


def test_the_largest_count_by_size():
    assert top_overlap(np.array([-9.0, 1, 2, 0]), np.array([9.0, 2, 1, 0]), 1) == 1
    assert top_overlap(np.array([9.0, 1, 2, 0]), np.array([1.0, 9, 2, 0]), 1) == 0
    assert top_overlap(np.array([1.0, 2]), np.array([1.0, 2]), 2) is None
