"""Values per item, averaged over groups of items.

A measure of items is computed once, over the whole population, and averaged by group here. A measure
of a whole space (CKA, uniformity, gap, dimension) is computed on the rows of the group instead.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.evaluate.slices import activity_quartiles


def popularity_quartiles(item_users: Tensor) -> Tensor:
    """The quartile 0 (fewest) .. 3 (most training users) of every item: [n] counts -> [n] int64.

    Equal counts share a quartile, so sizes may differ from n / 4, and a quartile may be empty.
    """
    return activity_quartiles(item_users)


def group_means(values: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Mean of the values [n] that are not NaN in each group: [num_groups] float64, NaN for none.

    Args:
        group: [n] int64 in 0 .. num_groups - 1.
    """
    known = ~values.isnan()
    group, total = group[known], torch.zeros(num_groups, dtype=torch.float64)
    total.index_add_(0, group, values[known].double())
    return total / torch.bincount(group, minlength=num_groups)
