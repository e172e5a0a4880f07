"""Item-item graph of behaviour: the items that each item shares most training users with."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from scipy.sparse import csr_array
from torch import Tensor

from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.knn import KnnEdges
from anchorrec_graph.graph.relation import Relation, normalized_relation
from anchorrec_graph.settings import Settings


class CooccurrenceConfig(Settings):
    """Settings of a co-occurrence graph."""

    k: PositiveInt = 10
    weight: Literal["count", "cosine"] = "cosine"
    min_count: PositiveInt = 1  # items with fewer common users are no neighbours


def cooccurrence_edges(
    edge_index: Tensor, num_users: int, num_items: int, config: CooccurrenceConfig, block_size: int = 1024
) -> KnnEdges:
    r"""N(i) = the k items with the largest weight to i among those with :math:`n_{ij} \ge` min_count.

    .. math::
        n_{ij} = |U_i \cap U_j|, \quad w^{count}_{ij} = n_{ij}, \quad
        w^{cosine}_{ij} = n_{ij} / \sqrt{n_i n_j}, \quad n_i = |U_i|

    with U_i the training users of item i; repeated pairs count once. Of equal weights the item with
    fewer users comes first, then the one with the smaller id. An item is not its own neighbour, and
    one without common users has none. Made of sparse products of `block_size` items with all:
    time is O(sum of squared user degrees), nothing is n x n.

    Args:
        edge_index: int64 [2, E], (user, item) training pairs.

    Returns:
        `KnnEdges` with `edge_weight` as above, float32; each item's neighbours follow each other,
        the largest weight first.
    """
    user, item = edge_index.numpy()
    size = (num_items, num_users)
    users_of_item = csr_array((np.ones(len(item), dtype=np.float32), (item, user)), shape=size)
    users_of_item.data[:] = 1  # repeated pairs were added up
    items_of_user = users_of_item.T.tocsr()
    degree = np.diff(users_of_item.indptr)
    place = np.empty(num_items, dtype=np.int64)  # among items in ascending degree and id
    place[np.argsort(degree, kind="stable")] = np.arange(num_items)
    blocks = [torch.zeros(3, 0, dtype=torch.float64)]
    for start in range(0, num_items, block_size):
        count = (users_of_item[start : start + block_size] @ items_of_user).tocoo()
        row, column, weight = count.row + start, count.col, count.data.astype(np.float64)
        kept = (row != column) & (weight >= config.min_count)
        row, column, weight = row[kept], column[kept], weight[kept]
        if config.weight == "cosine":
            weight /= np.sqrt(degree[row].astype(np.float64) * degree[column])
        order = _strongest(row, weight, place[column], config.k)
        blocks.append(torch.from_numpy(np.stack([row[order], column[order], weight[order]])))
    edges = torch.cat(blocks, dim=1)
    return KnnEdges(edges[:2].long(), edges[2].float())


def _strongest(row: NDArray[Any], weight: NDArray[Any], place: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Where the k largest weights of every row are, sorted by row, then weight downwards, then place."""
    order = np.lexsort((place, -weight, row))
    sorted_row = row[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_row, sorted_row)
    return order[rank < k]


def cached_cooccurrence_edges(
    edge_index: Tensor, num_users: int, num_items: int, config: CooccurrenceConfig
) -> KnnEdges:
    """`cooccurrence_edges`, kept on disk under the hash of the training pairs, the sizes and the settings."""

    def build() -> dict[str, Tensor]:
        return cooccurrence_edges(edge_index, num_users, num_items, config)._asdict()

    settings = f"{num_users}|{num_items}|{config.model_dump_json()}"
    return KnnEdges(**cached_tensors("cooccurrence", settings, [edge_index], build))


def cooccurrence_relation(
    edge_index: Tensor, num_users: int, num_items: int, config: CooccurrenceConfig
) -> Relation:
    r"""The normalised graph :math:`a_{ij} = w_{ij} / \sqrt{d_i d_j}`, with row degrees :math:`d_i`.

    Shapes: edge_index [2, E] -> a `Relation` of size (I, I).
    """
    (row, column), weight = cached_cooccurrence_edges(edge_index, num_users, num_items, config)
    return normalized_relation(row, column, weight, num_items)
