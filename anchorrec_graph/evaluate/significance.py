"""Paired tests on per-user values, and Holm's correction for several tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from anchorrec_graph.errors import DataError

Values = NDArray[np.float64]
ROUNDING = 12  # decimals


class PairedTest(NamedTuple):
    """Outcome of a two-sided paired test."""

    difference: float  # mean of first - second
    statistic: float
    p_value: float


def paired_values(first: pl.DataFrame, second: pl.DataFrame, metric: str) -> tuple[Values, Values]:
    """One metric of two `RankingResult.per_user` tables, in the same order of users: [n] and [n].

    Raises:
        DataError: the tables do not hold the same users.
    """
    both = first.select("user", metric).join(second.select("user", metric), on="user").sort("user")
    if not len(both) == len(first) == len(second):
        raise DataError(
            f"a paired test needs the same users: {len(first)} and {len(second)} users, {len(both)} in common"
        )
    return both[metric].to_numpy(), both[f"{metric}_right"].to_numpy()


def paired_t_test(first: Values, second: Values) -> PairedTest:
    """Student's t on differences D [n]: t = mean(D) sqrt(n) / sd(D), n - 1 degrees of freedom, two-sided.

    Without any difference t = 0 and p = 1.

    Raises:
        DataError: different lengths, or fewer than two users.
    """
    difference = _differences(first, second)
    mean, n = difference.mean(), len(difference)
    if mean == 0:
        return PairedTest(0.0, 0.0, 1.0)
    with np.errstate(divide="ignore"):  # a constant difference has t = inf and p = 0
        t = mean * np.sqrt(n) / difference.std(ddof=1)
    return PairedTest(float(mean), float(t), float(2 * special.stdtr(n - 1, -abs(t))))


def wilcoxon_test(first: Values, second: Values) -> PairedTest:
    """Wilcoxon's signed-rank test on differences [n], zeros discarded, two-sided.

    W = min(sum of ranks of |D| over D > 0, the same over D < 0). Without any
    difference W = 0 and p = 1.

    Raises:
        DataError: different lengths, or fewer than two users.
    """
    difference = _differences(first, second)
    changed = difference[difference != 0]
    if len(changed) == 0:
        return PairedTest(0.0, 0.0, 1.0)
    from scipy import stats  # here, because it takes a second to import

    outcome = stats.wilcoxon(changed)
    return PairedTest(float(difference.mean()), float(outcome.statistic), float(outcome.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (1979) of m p-values, in the order given.

    adjusted p_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)), p_(1) <= ... <= p_(m). Rejecting
    where it is below alpha keeps the chance of any false rejection below alpha.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(steps)
    return [float(value) for value in adjusted]


def _differences(first: Values, second: Values) -> Values:
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise DataError(
            f"a paired test needs two rows of at least 2 values, not {first.shape}, {second.shape}"
        )
    # means of the same values in another order differ in the last bit: that is no difference
    difference: Values = (first - second).round(ROUNDING)
    return difference
