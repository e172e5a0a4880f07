"""Item-item graphs: each item's k nearest neighbours by the cosine of its features."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.features import widened
from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.relation import Relation, normalized_relation
from anchorrec_graph.graph.sharing import team
from anchorrec_graph.settings import Settings
from anchorrec_graph.topk import stable_topk

BLOCK = 1024  # items whose cosines with all others exist at a time


class ApproximateConfig(Settings):
    """When neighbours are sought among part of the items only (`approximate_knn_edges`), and how."""

    above: PositiveInt = 50_000  # items; up to so many the search is exact
    method: Literal["auto", "ivf", "hnsw"] = "auto"  # auto: ivf where it finds enough, else hnsw
    effort: PositiveInt = 64  # items that hnsw keeps in sight while an item's neighbours are sought
    least_recall: Annotated[float, Field(ge=0, le=1)] = 0.9  # share of true neighbours; refused below


class KnnConfig(Settings):
    """Settings of an item-item graph."""

    k: PositiveInt = 10
    include_self: bool = False  # does an item count among its own k neighbours?
    weight: Literal["cosine", "binary"] = "cosine"
    drop_negative: bool = True  # a neighbour with cosine <= 0 is none; the public codes keep it
    approximate: ApproximateConfig = ApproximateConfig()


class KnnEdges(NamedTuple):
    """E <= n k directed edges: `edge_index[0]` is an item, `edge_index[1]` one of its neighbours."""

    edge_index: Tensor  # [2, E] int64
    edge_weight: Tensor  # [E] cosine, or 1


class KnnGraph(NamedTuple):
    """Edges, and the share of the true neighbours among them, measured on a sample; None: all, exactly."""

    edges: KnnEdges
    recall: float | None


def unit_rows(features: Tensor) -> tuple[Tensor, Tensor]:
    """Rows scaled to length 1 [n, d], and which rows have a direction at all [n] (finite, not zero).

    Half floats are widened to float32.
    """
    features = widened(features)
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    valid = torch.isfinite(norm) & (norm > 0)
    return torch.where(valid, features / norm, 0.0), valid.squeeze(1)


def knn_edges(features: Tensor, config: KnnConfig, block_size: int = BLOCK) -> KnnEdges:
    r"""N(i) = the k items with the largest :math:`\cos(x_i, x_j)`, exact, block by block.

    Memory is O(block_size * n), never n x n. Each cosine is computed once: a
    block holds those of `block_size` items with themselves and all later ones,
    and serves both sides. Rows that are zero or not finite have no neighbours
    and are nobody's neighbour. With fewer than k candidates an item gets them all. Of equally near
    items those with the lowest numbers are neighbours. Several processes (`sharing.team`) share the blocks.

    Args:
        features: float [n, d].
        block_size: items whose cosines with all others exist at a time.
    """
    unit, valid = unit_rows(features)
    size, k = len(unit), min(config.k, len(unit))
    cosine = unit.new_full((size, k), -torch.inf)
    neighbour = torch.zeros(size, k, dtype=torch.long)
    for start in range(0, size, block_size)[team().rank :: team().size]:
        end = min(start + block_size, size)
        block = (unit[start:end] @ unit[start:].T).masked_fill_(~valid[start:], -torch.inf)
        block[~valid[start:end]] = -torch.inf
        if not config.include_self:
            block[:, : end - start].fill_diagonal_(-torch.inf)
        keep_nearest(cosine[start:end], neighbour[start:end], block, start)
        if end < size:
            keep_nearest(cosine[end:], neighbour[end:], block[:, end - start :].T.contiguous(), start)
    return kept_edges(*_of_all(cosine, neighbour), config)


def _of_all(cosine: Tensor, neighbour: Tensor) -> tuple[Tensor, Tensor]:
    """The k nearest [n, k] of those that each process found in its blocks [n, k].

    Each process gets a part of the rows from all others and merges these, so that none holds [n, N k].
    """
    processes = team()
    if processes.size == 1:
        return cosine, neighbour
    counts = [len(part) for part in torch.arange(len(cosine)).tensor_split(processes.size)]
    own, k = counts[processes.rank], cosine.shape[1]
    value, who = (
        processes.trade(found, counts, [own] * processes.size)
        .view(processes.size, own, k)
        .transpose(0, 1)
        .flatten(1)
        for found in (cosine, neighbour)
    )
    who, order = who.sort(dim=1, stable=True)
    best = value.gather(1, order).sort(dim=1, descending=True, stable=True)
    merged = best.values[:, :k], who.gather(1, best.indices[:, :k])
    return processes.all_rows(merged[0], counts), processes.all_rows(merged[1], counts)


def kept_edges(cosine: Tensor, neighbour: Tensor, config: KnnConfig) -> KnnEdges:
    """The edges of the k nearest of n items [n, k]; a cosine of -inf is no neighbour."""
    least = 0.0 if config.drop_negative else -torch.inf
    item, rank = torch.nonzero(cosine > least, as_tuple=True)
    weight = cosine[item, rank] if config.weight == "cosine" else torch.ones(len(item))
    return KnnEdges(torch.stack([item, neighbour[item, rank]]), weight)


def keep_nearest(cosine: Tensor, neighbour: Tensor, block: Tensor, start: int) -> None:
    """Merge cosines [b, c] with the items from `start` into the k nearest so far [b, k], in place.

    Those so far have lower numbers than `start`, so of equally near items they come first.
    """
    k = cosine.shape[1]
    value, index = stable_topk(block, k, group=16)
    best = torch.cat([cosine, value], dim=1).sort(dim=1, descending=True, stable=True)
    neighbour.copy_(torch.cat([neighbour, index + start], dim=1).gather(1, best.indices[:, :k]))
    cosine.copy_(best.values[:, :k])


def cached_knn_graph(features: Tensor, config: KnnConfig) -> KnnGraph:
    """`knn_edges`, or `cached_approximate_edges` of more items than `approximate.above`, kept on disk.

    The key is the hash of the features and the settings that decide about the edges.

    Raises:
        ConfigError: what `approximate_knn_edges` refuses.
    """
    if len(features) > config.approximate.above:
        from anchorrec_graph.graph.approximate import cached_approximate_edges  # which imports this module

        return KnnGraph(*cached_approximate_edges(features, config))

    def build() -> dict[str, Tensor]:
        return knn_edges(features, config)._asdict()

    settings = config.model_dump_json(exclude={"approximate"})
    return KnnGraph(KnnEdges(**cached_tensors("knn", settings, [features], build, together=True)), None)


def cached_knn_edges(features: Tensor, config: KnnConfig) -> KnnEdges:
    """The edges of `cached_knn_graph`."""
    return cached_knn_graph(features, config).edges


def knn_relation(features: Tensor, config: KnnConfig) -> Relation:
    r"""The normalised item graph :math:`a_{ij} = w_{ij} / \sqrt{d_i d_j}`, with row degrees :math:`d_i`.

    Shapes: features [n, D] -> a `Relation` of size (n, n).
    """
    ((row, column), weight), recall = cached_knn_graph(features, config)
    relation = normalized_relation(row, column, weight, len(features))
    relation.recall = recall
    return relation


def attach_item_graphs(data: HeteroData, config: KnnConfig) -> HeteroData:
    """Add ("item", "<modality>_knn", "item") edges for every modality, and return the same object.

    A store has a `recall` where the graph is approximate (`KnnGraph`).
    """
    for modality in data.modalities:
        store = data["item", f"{modality}_knn", "item"]
        (store.edge_index, store.edge_weight), recall = cached_knn_graph(data["item"][modality], config)
        if recall is not None:
            store.recall = recall
    return data
