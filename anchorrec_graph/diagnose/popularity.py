"""Popularity: are an item's neighbours, or the items recommended, the popular ones?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.evaluate import metrics


class Concentration(NamedTuple):
    """How few items fill the places."""

    gini: float  # 0: all items equally often, towards 1: one item in every place
    coverage: float  # share of the items in at least one place


def neighbour_log_degree(edge_index: Tensor, item_users: Tensor) -> Tensor:
    r""":math:`\operatorname{mean}_{j \in N(i)} \log(1 + n_j)` of every item, n_j training users: [n].

    Compare with the mean of log(1 + n_j) over all items, which unrelated neighbours reach. At least 0; NaN
    for an item without neighbours.

    Args:
        edge_index: [2, E] (item, its neighbour), of `knn_edges`, without self loops.
        item_users: [n].
    """
    item, neighbour = edge_index
    log_users = item_users.double().log1p()
    total = torch.zeros_like(log_users).index_add_(0, item, log_users[neighbour])
    return total / torch.bincount(item, minlength=len(log_users))


def list_log_degree(items: Tensor, item_users: Tensor) -> Tensor:
    r""":math:`\operatorname{mean}_r \log(1 + n_{i_r})` over the items of every list: [m, K] -> [m].

    Empty places (-1) are left out; NaN for an empty list. At least 0.

    Args:
        items: [m, K] row numbers, such as `RankingResult.items`.
        item_users: [n] training users.
    """
    filled = items >= 0
    log_users = item_users.double().log1p()[items.clamp(min=0)]
    return torch.where(filled, log_users, 0.0).sum(1) / filled.sum(1)


def concentration(items: Tensor, num_items: int) -> Concentration:
    """Gini index and coverage of how often each item occurs in `items`.

    The same values as the metrics Gini@K and Coverage@K. Both in [0, 1]; empty places (-1) do not count.

    Args:
        items: row numbers of any shape: lists [m, K], or the neighbours `edge_index[1]` of a space.
    """
    exposure = metrics.exposure(items, num_items)
    return Concentration(metrics.gini(exposure, exposure), metrics.coverage(exposure, exposure))
