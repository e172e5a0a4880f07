from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate import holm, paired_t_test, paired_values, wilcoxon_test


def test_t_test_equals_scipy() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random(200), generator.random(200)
    ours, scipy = paired_t_test(first, second), stats.ttest_rel(first, second)
    assert ours == pytest.approx(((first - second).mean(), scipy.statistic, scipy.pvalue), rel=1e-9)


def test_wilcoxon_of_a_small_case_by_hand() -> None:
    """Differences 1, 2, 3, -4 and a discarded zero: W = 4; 14 of the 16 sign patterns have W <= 4."""
    outcome = wilcoxon_test(np.array([1.0, 2, 3, 0, 7]), np.array([0.0, 0, 0, 4, 7]))
    assert outcome == pytest.approx((0.4, 4, 14 / 16))


def test_tests_find_a_difference_only_where_there_is_one() -> None:
    generator = np.random.default_rng(1)
    base = generator.random(500)
    better = base + 0.05 + 0.1 * generator.standard_normal(500)
    for test in (paired_t_test, wilcoxon_test):
        assert test(better, base).p_value < 1e-6
        assert test(better, base).difference > 0
        assert test(base, base) == (0, 0, 1)
        assert test(base, better).p_value == pytest.approx(test(better, base).p_value)
        with pytest.raises(DataError, match="at least 2 values"):
            test(base, base[1:])
    assert paired_t_test(base * 0 + 1, base * 0) == (1, math.inf, 0)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1, len(p_values) * p) + 1e-12
    ranked = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_paired_values_align_users() -> None:
    first = pl.DataFrame({"user": [3, 1, 2], "Hit@5": [0.3, 0.1, 0.2]})
    second = pl.DataFrame({"user": [1, 2, 3], "Hit@5": [1.0, 2.0, 3.0]})
    a, b = paired_values(first, second, "Hit@5")
    assert a.tolist() == [0.1, 0.2, 0.3]
    assert b.tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="3 and 2 users, 2 in common"):
        paired_values(first, second.head(2), "Hit@5")
