"""What each user's list is like: accuracy, popularity against the user's own history, diversity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from anchorrec_graph.audit.lists import Known, places
from anchorrec_graph.audit.ratios import Ratio, Values, user_ratio
from anchorrec_graph.evaluate.metrics import user_values
from anchorrec_graph.graph.knn import unit_rows

BLOCK = 64  # lists whose features are gathered at once
DIVERSITY = "diversity "  # and a modality


def list_ratios(
    items: Tensor, known: Known, diversity: Mapping[str, Values], member: csr_array
) -> dict[str, Ratio]:
    r"""Measures of the lists of each group of users, means over its users.

    - recall, ndcg: with all held-out items
    - popularity_lift: :math:`\sum_u q_u / \sum_u p_u - 1`, q_u the mean number of training users of the
      items in u's list, p_u of those in u's history (Abdollahpouri et al. 2020). 0: as popular
      as what the users chose; 1: twice as popular. Users without history or list do not count.
    - diversity <modality>: see `list_diversity`

    Args:
        items: [n, K] the lists, -1 for empty places.
        diversity: [n] per modality.
        member: [n, G], see `Groups`.
    """
    hits = known.held_out.contains(known.users, items)
    names = {"recall": f"Recall@{items.shape[1]}", "ndcg": f"NDCG@{items.shape[1]}"}
    found = user_values(names.values(), hits, known.held_out.counts()[known.users])
    one = np.ones(len(items))
    ratios = {name: user_ratio(found[metric].numpy(), one, member) for name, metric in names.items()}
    listed, own = mean_popularity(items, known)
    lift = user_ratio(listed / own, own, member)
    ratios["popularity_lift"] = lift._replace(offset=-1.0)
    return ratios | {DIVERSITY + name: user_ratio(value, one, member) for name, value in diversity.items()}


def mean_popularity(items: Tensor, known: Known) -> tuple[Values, Values]:
    """Mean training users of the items in each list, and in each user's history: [n] each, NaN for none."""
    popularity = known.item_users.numpy().astype(np.float64)
    means = []
    for matrix in (places(items, known.train.num_items), known.history()):
        counts = matrix.sum(axis=1)
        means.append((matrix @ popularity) / np.where(counts == 0, np.nan, counts))
    return means[0], means[1]


def list_diversity(items: Tensor, features: Tensor) -> Values:
    r"""Intra-list diversity, :math:`1 - \operatorname{mean}_{r \ne s} \cos(x_{i_r}, x_{i_s})`: [n, K] -> [n].

    Ziegler et al. 2005 with cosine similarity. In [0, 2]: 0 for items of one direction, 1 for unrelated
    ones. Items without features (zero or not finite) are left out; NaN for fewer than two.
    From the sum of unit rows, O(n K d).

    Args:
        features: [I, d] native features.
    """
    parts = []
    for block in items.split(BLOCK):
        rows, valid = unit_rows(features[block.clamp(min=0)].flatten(0, 1).double())
        valid &= (block >= 0).flatten()
        rows = (rows * valid[:, None]).unflatten(0, block.shape)
        count = valid.unflatten(0, block.shape).sum(1).double()
        pairs = torch.where(count > 1, count * (count - 1), torch.nan)
        parts.append(1 - (rows.sum(1).square().sum(1) - count) / pairs)
    values: Values = torch.cat(parts).numpy()
    return values
