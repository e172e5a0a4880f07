"""The neighbours of some items among all."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.graph.knn import ApproximateConfig, KnnConfig, cached_knn_edges, knn_edges, unit_rows
from anchorrec_graph.topk import row_topk


def nearest_items(space: Tensor, k: int, queries: Tensor, cached: bool = False) -> Tensor:
    """Edges (item, one of its k nearest other items by cosine) of the items `queries`: [2, E].

    Where all items ask it is `knn_edges`, of which `cached` keeps the result on disk. Items
    without a direction have no neighbours and are nobody's neighbour; negative cosines count.

    Shapes: space [n, d], queries [q] ascending row numbers.
    """
    if len(queries) == len(space):
        exact = ApproximateConfig(above=max(len(space), 1))
        config = KnnConfig(k=k, drop_negative=False, approximate=exact)
        return (cached_knn_edges if cached else knn_edges)(space, config).edge_index
    unit, valid = unit_rows(space)
    return torch.cat([_block(unit, valid, block, k) for block in queries[valid[queries]].split(128)], dim=1)


def _block(unit: Tensor, valid: Tensor, rows: Tensor, k: int) -> Tensor:
    cosine = (unit[rows] @ unit.T).masked_fill_(~valid, -torch.inf)
    cosine[torch.arange(len(rows)), rows] = -torch.inf
    value, neighbour = row_topk(cosine, k)
    place, rank = torch.nonzero(value > -torch.inf, as_tuple=True)
    return torch.stack([rows[place], neighbour[place, rank]])
