"""`Items`: which items a diagnosis measures, in which groups, and the rows that it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.diagnose.groups import group_means, popularity_quartiles
from anchorrec_graph.sample import fixed_sample

ALL, QUARTILES = "all", ("q1", "q2", "q3", "q4")
EXACT = 20_000  # items; above, samples of them are measured
MAX_QUERIES, MAX_RANKED, MAX_ROWS = 2_000, 1_000, 10_000


class Row(NamedTuple):
    """One number of a diagnosis."""

    measure: str  # see `MEASURES`
    space: str
    against: str  # the other space, or ""
    group: str  # "all", or a popularity quartile: "q1" (fewest training users) .. "q4"
    value: float


class Items(NamedTuple):
    """The items of a data set, as all measures see them."""

    users: Tensor  # [n] training users
    quartile: Tensor  # [n] of popularity, 0 .. 3
    queries: Tensor  # [q] items whose neighbours are searched, among all
    ranked: Tensor  # [m] those of them for which all items are ranked: trustworthiness and mrr
    rows: Tensor  # [r] items of the measures of whole spaces

    @classmethod
    def of(cls, item_users: Tensor) -> Items:
        """All items, or above 20,000 random ones, the same every time."""
        count = len(item_users)
        every, quartile = torch.arange(count), popularity_quartiles(item_users)
        if count <= EXACT:
            return cls(item_users, quartile, every, every, every)
        drawn = (fixed_sample(count, size) for size in (MAX_QUERIES, MAX_RANKED, MAX_ROWS))
        return cls(item_users, quartile, *drawn)

    @property
    def sampled(self) -> bool:
        return len(self.queries) < len(self.users)

    def of_items(self, measure: str, space: str, against: str, values: Tensor) -> Iterator[Row]:
        """The mean of a value per item [n], over all and by quartile; none where it is not defined."""
        by_quartile = group_means(values, self.quartile, len(QUARTILES))
        for group, mean in zip((ALL, *QUARTILES), (values.nanmean(), *by_quartile), strict=True):
            if not mean.isnan():
                yield Row(measure, space, against, group, float(mean))

    def of_space(
        self, space: str, against: str, function: Callable[[Tensor], Mapping[str, float]]
    ) -> Iterator[Row]:
        """Measures of a whole space, by name, as `function` gives them for some items [m]."""
        groups = {ALL: self.rows}
        groups |= {name: self.rows[self.quartile[self.rows] == q] for q, name in enumerate(QUARTILES)}
        for group, rows in groups.items():
            if len(rows) > 1:
                for measure, value in function(rows).items():
                    if value == value:  # not NaN
                        yield Row(measure, space, against, group, value)
