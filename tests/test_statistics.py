import numpy as np
import pandas
import pytest

from model_understanding.statistics import rank_correlation, t_quantile, top_overlap


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


@pytest.mark.parametrize(
    ("level", "degrees", "expected"),
    [  # a printed table of Student's t
        (0.95, 1, 12.706),
        (0.95, 2, 4.303),
        (0.95, 3, 3.182),
        (0.95, 4, 2.776),
        (0.95, 5, 2.571),
        (0.95, 10, 2.228),
        (0.95, 30, 2.042),
        (0.95, 120, 1.980),
        (0.95, 10**6, 1.960),
        (0.99, 1, 63.657),
        (0.99, 4, 4.604),
        (0.90, 7, 1.895),
        (0.50, 2, 0.816),
    ],
)
def test_quantiles_of_students_t_are_those_of_the_table(level, degrees, expected):
    assert t_quantile(level, degrees) == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_intervals_of_few_samples_cover_the_mean_as_often_as_they_promise(samples):
    drawn = np.random.default_rng(samples).normal(size=(20000, samples))
    errors = drawn.std(axis=1, ddof=1) / np.sqrt(samples)
    covered = np.abs(drawn.mean(axis=1)) <= t_quantile(0.95, samples - 1) * errors
    assert covered.mean() == pytest.approx(0.95, abs=0.006)
