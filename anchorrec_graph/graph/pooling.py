"""The union of several graphs over the same nodes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch_geometric.utils import coalesce

from anchorrec_graph.graph.relation import Relation


def max_relation(relations: Sequence[Relation]) -> Relation:
    r""":math:`a_{ij} = \max_m a^m_{ij}` over the relations that have the edge (i, j) (SMORE's fusion graph).

    The weights are taken as they are, and the result is not normalised again.

    Args:
        relations: one or more, all of the same square size (n, n).
    """
    edge_index = torch.cat([relation.edge_index for relation in relations], dim=1)
    weights = torch.cat([relation.weight for relation in relations])
    (column, row), weight = coalesce(edge_index, weights, relations[0].size[0], reduce="max")
    return Relation(row, column, weight, relations[0].size)
