"""Bootstrap over users: how much a measure of groups would differ with other users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from anchorrec_graph.audit.ratios import Ratio, Values

RESAMPLES, SEED = 1000, 0
LEVELS = (0.025, 0.975)  # a 95 % percentile interval
BLOCK = 2**22  # counts held at once


def resamples(num_users: int) -> Iterator[Values]:
    """How often each user is drawn in 1,000 draws of n users with replacement, in blocks [b, n].

    Always the same draws for the same n.
    """
    rng = np.random.default_rng(SEED)
    size = max(1, min(RESAMPLES, BLOCK // max(num_users, 1)))
    for start in range(0, RESAMPLES, size):
        rows = min(size, RESAMPLES - start)
        drawn = rng.integers(num_users, size=(rows, num_users)) + num_users * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * num_users)
        yield counts.reshape(rows, num_users).astype(np.float64)


def bootstrap(ratios: Sequence[Ratio], num_users: int) -> list[Values]:
    """Every ratio's values [1000, G] in the same draws of users."""
    draws: list[list[Values]] = [[] for _ in ratios]
    for counts in resamples(num_users):
        weights = np.ascontiguousarray(counts.T)
        for ratio, of_ratio in zip(ratios, draws, strict=True):
            of_ratio.append(ratio.values(weights))
    return [np.concatenate(of_ratio) for of_ratio in draws]


def interval(draws: Values) -> tuple[float, float] | None:
    """The middle 95 % of draws [1000]; those that are NaN are left out, None for nothing else."""
    known = draws[~np.isnan(draws)]
    if len(known) == 0:
        return None
    low, high = np.quantile(known, LEVELS)
    return float(low), float(high)
