"""Exposure: how many of the places in the lists each group of items gets."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from anchorrec_graph.audit.lists import Known, places
from anchorrec_graph.audit.ratios import Ratio, Values


def group_shares(counts: Values, member: csr_array) -> Values:
    r"""The share of each group in counts of items, :math:`\sum_{i \in g} c_i / \sum_i c_i`: [I] -> [G].

    An item of several groups counts in each, so shares may add up to more than 1. NaN if all counts are 0.
    """
    with np.errstate(invalid="ignore"):
        shares: Values = (member.T @ counts) / counts.sum()
    return shares


def exposure_ratios(items: Tensor, known: Known, member: csr_array) -> dict[str, Ratio]:
    r"""The exposure of each group of items in lists.

    - exposure: share of the places, :math:`\sum_{u,r} [i_{ur} \in g] / \sum_{u,r} 1`
    - weighted_exposure: the same with place r counted :math:`1 / \log_2(r + 1)` (Singh and Joachims,
      KDD 2018; NDCG's discount)
    - lift: exposure over the group's share of training interactions; 1: as often recommended as
      chosen, NaN without training interactions

    Args:
        items: [n, K] the lists, -1 for empty places, which do not count.
        member: [I, G], see `Groups`.
    """
    shares = group_shares(known.item_users.numpy().astype(np.float64), member)
    ratios = {}
    for name, by_rank in (("exposure", False), ("weighted_exposure", True)):
        filled = places(items, known.train.num_items, by_rank)
        ratios[name] = Ratio(filled @ member, csr_array(filled.sum(axis=1)[:, None]))
    with np.errstate(divide="ignore"):
        ratios["lift"] = ratios["exposure"]._replace(scale=1 / np.where(shares == 0, np.nan, shares))
    return ratios
