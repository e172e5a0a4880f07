"""Item-item graphs: each item's k nearest neighbours by the cosine of its features."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from pydantic import PositiveInt
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.relation import Relation, normalized_relation
from anchorrec_graph.settings import Settings
from anchorrec_graph.topk import row_topk


class KnnConfig(Settings):
    """Settings of an item-item graph."""

    k: PositiveInt = 10
    include_self: bool = False  # does an item count among its own k neighbours?
    weight: Literal["cosine", "binary"] = "cosine"
    drop_negative: bool = True  # a neighbour with cosine <= 0 is none; the public codes keep it


class KnnEdges(NamedTuple):
    """E <= n k directed edges: `edge_index[0]` is an item, `edge_index[1]` one of its neighbours."""

    edge_index: Tensor  # [2, E] int64
    edge_weight: Tensor  # [E] cosine, or 1


def unit_rows(features: Tensor) -> tuple[Tensor, Tensor]:
    """Rows scaled to length 1 [n, d], and which rows have a direction at all [n] (finite, not zero)."""
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    valid = torch.isfinite(norm) & (norm > 0)
    return torch.where(valid, features / norm, 0.0), valid.squeeze(1)


def knn_edges(features: Tensor, config: KnnConfig, block_size: int = 1024) -> KnnEdges:
    r"""N(i) = the k items with the largest :math:`\cos(x_i, x_j)`, exact, block by block.

    Memory is O(block_size * n), never n x n. Each cosine is computed once: a
    block holds those of `block_size` items with themselves and all later ones,
    and serves both sides. Rows that are zero or not finite have no neighbours
    and are nobody's neighbour. With fewer than k candidates an item gets them all.

    Args:
        features: float [n, d].
        block_size: items whose cosines with all others exist at a time.
    """
    unit, valid = unit_rows(features)
    size, k = len(unit), min(config.k, len(unit))
    cosine = unit.new_full((size, k), -torch.inf)
    neighbour = torch.zeros(size, k, dtype=torch.long)
    for start in range(0, size, block_size):
        end = min(start + block_size, size)
        block = (unit[start:end] @ unit[start:].T).masked_fill_(~valid[start:], -torch.inf)
        block[~valid[start:end]] = -torch.inf
        if not config.include_self:
            block[:, : end - start].fill_diagonal_(-torch.inf)
        _keep_nearest(cosine[start:end], neighbour[start:end], block, start)
        if end < size:
            _keep_nearest(cosine[end:], neighbour[end:], block[:, end - start :].T.contiguous(), start)
    least = 0.0 if config.drop_negative else -torch.inf
    item, rank = torch.nonzero(cosine > least, as_tuple=True)
    weight = cosine[item, rank] if config.weight == "cosine" else torch.ones(len(item))
    return KnnEdges(torch.stack([item, neighbour[item, rank]]), weight)


def _keep_nearest(cosine: Tensor, neighbour: Tensor, block: Tensor, start: int) -> None:
    """Merge cosines [b, c] with the items from `start` into the k nearest so far [b, k], in place."""
    k = cosine.shape[1]
    value, index = row_topk(block, k, group=16)
    best = torch.cat([cosine, value], dim=1).topk(k, dim=1)
    neighbour.copy_(torch.cat([neighbour, index + start], dim=1).gather(1, best.indices))
    cosine.copy_(best.values)


def cached_knn_edges(features: Tensor, config: KnnConfig) -> KnnEdges:
    """`knn_edges`, kept on disk under the hash of the features and the settings."""

    def build() -> dict[str, Tensor]:
        return knn_edges(features, config)._asdict()

    return KnnEdges(**cached_tensors("knn", config.model_dump_json(), features, build))


def knn_relation(features: Tensor, config: KnnConfig) -> Relation:
    r"""The normalised item graph :math:`a_{ij} = w_{ij} / \sqrt{d_i d_j}`, with row degrees :math:`d_i`.

    Shapes: features [n, D] -> a `Relation` of size (n, n).
    """
    (row, column), weight = cached_knn_edges(features, config)
    return normalized_relation(row, column, weight, len(features))


def attach_item_graphs(data: HeteroData, config: KnnConfig) -> HeteroData:
    """Add ("item", "<modality>_knn", "item") edges for every modality, and return the same object."""
    for modality in data.modalities:
        store = data["item", f"{modality}_knn", "item"]
        store.edge_index, store.edge_weight = cached_knn_edges(data["item"][modality], config)
    return data
