from itertools import product
from math import comb

import numpy as np
import pandas
import pytest

from model_understanding.statistics import (
    benjamini_hochberg,
    matched_p_value,
    rank_correlation,
    t_quantile,
    top_overlap,
    wilson_interval,
)


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


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_reject_what_the_step_up_procedure_rejects(seed):
    p_values = np.random.default_rng(seed).random(20) ** 3
    adjusted = benjamini_hochberg(p_values)
    for level in (0.01, 0.05, 0.2, 0.5):
        ranked = np.sort(p_values)
        passing = np.flatnonzero(ranked <= level * np.arange(1, 21) / 20)
        limit = ranked[passing[-1]] if len(passing) else -1
        assert ((adjusted <= level) == (p_values <= limit)).all()
    assert len(benjamini_hochberg(np.zeros(0))) == 0


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (3, 5), (5, 5), (80, 263), (1, 1000)])
def test_the_ends_of_wilsons_interval_are_the_shares_whose_test_just_fails(successes, trials):
    for end in wilson_interval(successes, trials):
        if 0 < end < 1:
            z = (successes / trials - end) / np.sqrt(end * (1 - end) / trials)
            assert abs(z) == pytest.approx(1.959964, rel=1e-5)
        else:
            assert end == successes / trials
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_matched_p_value_counts_all_ways_to_say_which_member_is_treated(seed):
    members = np.random.default_rng(seed).random((5, 4)) < 0.3
    observed = members[:, 0].sum()
    ways = [
        sum(row[one] for row, one in zip(members, way, strict=True)) for way in product(range(4), repeat=5)
    ]
    expected = np.mean([count >= observed for count in ways])
    assert matched_p_value(members[:, 0], members[:, 1:]) == pytest.approx(expected)


def test_with_one_control_the_matched_p_value_is_mcnemars():
    treated = np.array([1, 1, 1, 1, 0, 1, 0, 0], dtype=bool)
    controls = np.array([0, 0, 0, 0, 1, 1, 0, 0], dtype=bool)
    expected = sum(comb(5, more) for more in (4, 5)) / 2**5  # 5 pairs disagree, 4 of them in favor
    assert matched_p_value(treated, controls[:, None]) == pytest.approx(expected)
    assert matched_p_value(np.zeros(6, dtype=bool), np.zeros((6, 3), dtype=bool)) == 1
