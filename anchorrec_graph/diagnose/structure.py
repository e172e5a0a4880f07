"""Structure: does one item space keep the neighbourhoods and the geometry of another?

Measures of items give one value per item, NaN where it is not defined; the measure of the space is
their mean, and `group_means` gives it by group. They take the edges of `knn_edges`, so that the
neighbours of a space are searched once for all measures.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.diagnose.covariance import centred_product, resolution
from anchorrec_graph.diagnose.ranks import TIE, count_above
from anchorrec_graph.errors import DataError
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


def item_overlap(overlap: NeighbourOverlap) -> Tensor:
    r"""The chance-corrected overlap of every item, :math:`(O_i - E) / (1 - E)`: [n], its mean is `corrected`.

    At most 1; below 0 for an item that shares less than chance; NaN without neighbours in either space.
    """
    if overlap.mean == 1:
        return overlap.per_item
    # O -> (O - E) / (1 - E) is the line through (1, 1) and (mean, corrected).
    return 1 - (1 - overlap.per_item) * ((1 - overlap.corrected) / (1 - overlap.mean))


def neighbour_coherence(space: Tensor, native: Tensor, k: int = 10) -> float:
    r"""How alike in their native features an item space's neighbours are:

    .. math:: \operatorname{mean}_i \operatorname{mean}_{j \in N_k(i)} \cos(x_i, x_j)

    N_k(i) are item i's k nearest other items by cosine in `space` [n, d], x the rows of `native` [n, D].
    Items without a native feature or without a direction in `space` are left out, also as neighbours.
    Range [-1, 1]; NaN if nothing is left.
    """
    return float(item_coherence(_neighbours(space, k), native).nanmean())


def item_coherence(edge_index: Tensor, native: Tensor, block_size: int = 8192) -> Tensor:
    r""":math:`\operatorname{mean}_{j \in N(i)} \cos(x_i, x_j)` of every item, see `neighbour_coherence`: [n].

    Args:
        edge_index: [2, E] (item, its neighbour), of `knn_edges`, without self loops.
        native: [n, D].
        block_size: edges whose features exist at a time.
    """
    unit, valid = unit_rows(native)
    item, neighbour = edge_index[:, valid[edge_index].all(0)]
    total = unit.new_zeros(len(unit))
    for i, j in zip(item.split(block_size), neighbour.split(block_size), strict=True):
        total.index_add_(0, i, (unit[i] * unit[j]).sum(1))
    return total / torch.bincount(item, minlength=len(unit))  # 0 / 0 is NaN


def trustworthiness(space: Tensor, native: Tensor, k: int = 10) -> float:
    r"""Are neighbours in `space` neighbours in `native`? Venna and Kaski, ICANN 2001, with cosine ranks:

    .. math:: T = 1 - \frac{2}{n k (2n - 3k - 1)} \sum_i \sum_{j \in N_k(i)} \max(0, r(i, j) - k)

    N_k(i) are the k nearest other items in `space` [n, d], r(i, j) is the rank of j among all other items
    by their cosine with i in `native` [n, D], 1 for the nearest. Range [0, 1]: 1 if no list holds a
    stranger, about 1/2 for an unrelated space. Unlike the overlap it forgives near misses.

    Raises:
        DataError: k is not below n / 2.
    """
    return float(item_trustworthiness(_neighbours(space, k), native).nanmean())


def item_trustworthiness(edge_index: Tensor, native: Tensor, block_size: int = 64) -> Tensor:
    r""":math:`1 - \frac{2}{k_i (2n - 3k_i - 1)} \sum_{j \in N(i)} \max(0, r(i, j) - k_i)` of every item: [n].

    See `trustworthiness`. k_i is the length of item i's list, n the number of items with a native feature;
    items without one are left out, also as neighbours. NaN for an item without neighbours; no work is
    done for it, so the edges of a sample of items give the exact values of that sample. Equal
    cosines (closer than 1e-6) do not raise a rank. O(n D) per item with neighbours.

    Args:
        edge_index: [2, E] (item, its neighbour), of `knn_edges`, without self loops.
        native: [n, D].
        block_size: items whose cosines with all others exist at a time.

    Raises:
        DataError: a list is not shorter than n / 2.
    """
    unit, valid = unit_rows(native)
    near = _neighbour_table(edge_index[:, valid[edge_index].all(0)], len(unit))
    count, k = int(valid.sum()), (near >= 0).sum(1)
    if near.shape[1] * 2 >= max(count, 1):
        raise DataError(
            f"trustworthiness needs k below half of the {count} items with a feature, not {near.shape[1]}"
        )
    excess = torch.zeros(len(unit), dtype=torch.float64)
    for rows in k.nonzero().flatten().split(block_size):
        cosine = (unit[rows] @ unit.T).masked_fill_(~valid, -torch.inf)
        cosine[torch.arange(len(rows)), rows] = -torch.inf
        for neighbour in near[rows].T:
            own = cosine.gather(1, neighbour.clamp(min=0).unsqueeze(1))
            rank = count_above(cosine, own + TIE) + 1
            excess[rows] += torch.where(neighbour >= 0, (rank - k[rows]).clamp(min=0), 0)
    return torch.where(k > 0, 1 - 2 * excess / (k * (2 * count - 3 * k - 1)), torch.nan)


def linear_cka(space_a: Tensor, space_b: Tensor) -> float:
    r"""Linear centred kernel alignment, Kornblith et al., ICML 2019, eq. 5, with A, B centred by column:

    .. math:: \frac{\|B^\top A\|_F^2}{\|A^\top A\|_F \, \|B^\top B\|_F}

    Range [0, 1]: 1 if B is a rotation and scaling of A, 0 if every column of A is uncorrelated with every
    column of B. Unrelated spaces are not at 0 but near sqrt(r_a r_b) / n, with participation ratios r. Rows
    are not normalised. Items whose row is zero or not finite in either space are left out; NaN if the rest
    of a space is one point. O(n (d_a + d_b)^2), in float64.

    Shapes: space_a [n, d_a], space_b [n, d_b].
    """
    rows = (unit_rows(space_a)[1] & unit_rows(space_b)[1]).nonzero().flatten()
    pairs = (space_a, space_b), (space_a, space_a), (space_b, space_b)
    both, own_a, own_b = (float(centred_product(a, b, rows).norm()) for a, b in pairs)
    point = any(own <= resolution(space, rows) ** 2 for own, space in ((own_a, space_a), (own_b, space_b)))
    return float("nan") if point else both**2 / (own_a * own_b)


def _neighbours(space: Tensor, k: int) -> Tensor:
    return knn_edges(space, KnnConfig(k=k, drop_negative=False)).edge_index


def _neighbour_table(edge_index: Tensor, num_items: int) -> Tensor:
    """The neighbours of every item, padded with -1: [2, E] -> [num_items, longest list]."""
    item, order = edge_index[0].sort(stable=True)
    count = torch.bincount(item, minlength=num_items)
    place = torch.arange(len(item)) - (count.cumsum(0) - count)[item]
    table = torch.full((num_items, int(count.max()) if len(item) else 0), -1)
    table[item, place] = edge_index[1, order]
    return table
