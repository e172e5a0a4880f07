"""Accuracy on groups of items: only the held-out items of the group are relevant."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csc_array, csr_array
from torch import Tensor

from anchorrec_graph.audit.lists import Known
from anchorrec_graph.audit.ratios import Ratio
from anchorrec_graph.evaluate.metrics import user_values


def accuracy_ratios(items: Tensor, known: Known, member: csr_array, least: int) -> dict[str, Ratio]:
    """Recall and NDCG of each group of items, as in `slice_metrics`: the mean over the users with a
    held-out item in the group. The lists stay those over all items.

    The items of other groups keep their places, so the NDCG of a group is below that of all by
    construction: compare groups with each other.

    NaN for a group in which fewer than `least` users have a held-out item.

    Args:
        items: [n, K] the lists, -1 for empty places.
        member: [I, G], see `Groups`.
    """
    names = {"recall": f"Recall@{items.shape[1]}", "ndcg": f"NDCG@{items.shape[1]}"}
    hits = known.held_out.contains(known.users, items)
    relevant: csc_array = (known.relevant() @ member).tocsc()  # [n, G] how many
    in_group = member.tocsc()
    values: dict[str, list[Tensor]] = {name: [] for name in names}
    for group in range(relevant.shape[1]):
        here = slice(relevant.indptr[group], relevant.indptr[group + 1])
        users = torch.from_numpy(relevant.indices[here].astype(np.int64))
        flags = torch.zeros(member.shape[0], dtype=torch.bool)
        flags[in_group.indices[in_group.indptr[group] : in_group.indptr[group + 1]]] = True
        # The padding -1 reads the last item's flag, but is never a hit.
        kept = hits[users] & flags[items[users]]
        of_group = user_values(names.values(), kept, torch.from_numpy(relevant.data[here]).long())
        for name, metric in names.items():
            values[name].append(of_group[metric])
    users_with = np.diff(relevant.indptr)
    scale = np.where(users_with < least, np.nan, 1.0)
    below = relevant.astype(bool).astype(np.float64).tocsr()
    return {name: Ratio(_like(relevant, torch.cat(value)), below, scale) for name, value in values.items()}


def _like(matrix: csc_array, data: Tensor) -> csr_array:
    return csc_array((data.numpy(), matrix.indices, matrix.indptr), shape=matrix.shape).tocsr()
