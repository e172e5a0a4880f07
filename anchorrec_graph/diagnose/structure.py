"""Structure: does one item space keep the neighbourhoods of another?"""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.graph.knn import KnnConfig, knn_edges, unit_rows
from anchorrec_graph.graph.topology import NeighbourOverlap, neighbour_overlap


def knn_overlap(space_a: Tensor, space_b: Tensor, k: int = 10) -> NeighbourOverlap:
    r"""Shared cosine neighbours of two item spaces: :math:`O = \frac1n \sum_i |N_k^a(i) \cap N_k^b(i)| / k`.

    N_k(i) are the k nearest other items. `corrected` is :math:`(O - E) / (1 - E)` with
    :math:`E = k / (n - 1)`: 1 for equal neighbourhoods, 0 for unrelated ones.

    Shapes: space_a [n, d_a], space_b [n, d_b].
    """
    config = KnnConfig(k=k)
    edges_a, edges_b = (knn_edges(space, config).edge_index for space in (space_a, space_b))
    return neighbour_overlap(edges_a, edges_b, len(space_a))


def neighbour_coherence(space: Tensor, native: Tensor, k: int = 10) -> float:
    r"""How alike in their native features an item space's neighbours are:

    .. math:: \operatorname{mean}_i \operatorname{mean}_{j \in N_k(i)} \cos(x_i, x_j)

    N_k(i) are item i's k nearest other items by cosine in `space` [n, d], x the rows of `native` [n, D].
    Items without a native feature or without a direction in `space` are left out, also as neighbours.
    Range [-1, 1]; NaN if nothing is left.
    """
    unit, valid = unit_rows(native)
    item, neighbour = knn_edges(space, KnnConfig(k=k, drop_negative=False)).edge_index
    both = valid[item] & valid[neighbour]
    item, neighbour = item[both], neighbour[both]
    total = unit.new_zeros(len(unit)).index_add(0, item, (unit[item] * unit[neighbour]).sum(1))
    count = torch.bincount(item, minlength=len(unit))
    return float((total / count)[count > 0].mean())
