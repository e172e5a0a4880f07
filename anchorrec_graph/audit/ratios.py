"""`Ratio`: a measure of groups as a ratio of sums over users, so that users can be drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Values = NDArray[np.float64]


class Ratio(NamedTuple):
    r""":math:`v_g = c_g \sum_u a_{ug} / \sum_u b_{ug} + o` for every group g; NaN for 0 / 0 or c_g NaN.

    Every measure of groups has this form, with what user u adds to group g above and below the line.
    """

    above: csr_array  # a [n, G]
    below: csr_array  # b [n, G], or [n, 1] where it is the same for all groups
    scale: Values | float = 1.0  # c [G]
    offset: float = 0.0  # o

    def values(self, weights: Values) -> Values:
        """The measure with user u counted `weights[u, r]` times: [n, R] -> [R, G]."""
        above, below = (self.above.T @ weights).T, (self.below.T @ weights).T
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = above / np.where(below == 0, np.nan, below)
        values: Values = self.scale * ratio + self.offset
        return values


def mean_ratio(ratios: Sequence[Ratio]) -> Ratio:
    """The ratio of mean sums. Of ratios with the same sums below the line it is their mean."""
    above, below = (
        sum(parts[1:], start=parts[0]) / len(parts) for parts in zip(*(r[:2] for r in ratios), strict=True)
    )
    return ratios[0]._replace(above=above, below=below)


def user_ratio(values: Values, weights: Values, member: csr_array) -> Ratio:
    """The mean of values [n], weighted by `weights` [n], over the users of each group.

    A user whose value is NaN does not count.
    """
    known = ~np.isnan(values)
    above, below = np.where(known, values * weights, 0.0), np.where(known, weights, 0.0)
    return Ratio((member * above[:, None]).tocsr(), (member * below[:, None]).tocsr())
