"""Structure: does one item space keep the neighbourhoods of another?"""

from __future__ import annotations

from torch import Tensor

from anchorrec_graph.graph.knn import KnnConfig, knn_edges
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
