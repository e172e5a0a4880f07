"""Item-item graphs of many items: neighbours sought in an index, and the share of them that is found."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.hnsw import build_index, require_faiss, search_index
from anchorrec_graph.graph.knn import KnnConfig, KnnEdges, keep_nearest, kept_edges

SAMPLE = 1_000  # items whose neighbours are also sought among all
ROUNDING = 1e-6  # of a cosine: who is as near as the k-th neighbour counts as found


class Approximation(NamedTuple):
    """Edges as of `knn_edges`, and the share of the true k neighbours of a sample that the search found."""

    edges: KnnEdges
    recall: float


class _Rows(NamedTuple):
    """Rows in the features' own type, widened to float32 at least where they are used."""

    values: Tensor  # [n, d]
    norm: Tensor  # [n], 0 for a row without a direction

    @classmethod
    def of(cls, features: Tensor, block_size: int) -> _Rows:
        wide = torch.promote_types(features.dtype, torch.float32)
        blocks = [torch.linalg.vector_norm(block.to(wide), dim=1) for block in features.split(block_size)]
        norm = torch.cat(blocks)
        return cls(features, norm.where(torch.isfinite(norm), 0.0))

    def unit(self, index: Tensor) -> Tensor:
        return self.values[index].to(self.norm.dtype) / self.norm[index].unsqueeze(-1)


def approximate_knn_edges(features: Tensor, config: KnnConfig, block_size: int = 1024) -> Approximation:
    """`knn_edges` by an index (`build_index`): most neighbours, not all.

    Time grew like n^1.3 up to 10^5 items and like n^1.7 beyond. Cosines are exact. The recall is measured on
    1,000 items, drawn with a fixed seed, whose neighbours are also sought among all. Equal features: equal
    edges. Where a tenth of the rows or more are equal, such as those of a picture that stands for none,
    neighbours of the others are missed, and the recall tells.

    Args:
        features: [n, d] of any floating type, also from a memory map; the index holds a float32 copy.
        block_size: items that are widened at a time.

    Raises:
        ConfigError: faiss is missing, or the recall is below `least_recall`.
    """
    _require(len(features))
    rows = _Rows.of(features, block_size)
    nearest = _search(rows, config, block_size)
    recall = _recall(rows, *nearest, config, block_size)
    search = config.approximate
    if recall < search.least_recall:
        raise ConfigError(
            f"the approximate item graph has {recall:.3f} of the nearest neighbours of a sample of items, "
            f"and knn.approximate.least_recall is {search.least_recall}: raise knn.approximate.effort "
            f"({search.effort}), or knn.approximate.above ({search.above}) to {len(features)} for all of them"
        )
    return Approximation(kept_edges(*nearest, config), recall)


def _require(count: int) -> None:
    try:
        require_faiss(f"the approximate graph of {count} items")
    except ConfigError as error:
        raise ConfigError(
            f"{error}, or raise knn.approximate.above to {count} for the exact graph, whose time is quadratic"
        ) from None


def _search(rows: _Rows, config: KnnConfig, block_size: int) -> tuple[Tensor, Tensor]:
    """Cosines and row numbers of the k nearest that were found [n, k]; -inf where there are fewer."""
    size, item = len(rows.norm), rows.norm.nonzero().flatten()
    k = min(config.k, size)
    count = min(k + 1, len(item))  # the item itself is found too
    cosine = rows.norm.new_full((size, k), -torch.inf)
    neighbour = torch.zeros(size, k, dtype=torch.long)
    if len(item) == 0:
        return cosine, neighbour
    index = build_index((rows.unit(block) for block in item.split(block_size)), rows.values.shape[1])
    for block in item.split(max(1, 16 * block_size // count)):
        unit = rows.unit(block)
        place = search_index(index, unit, count, config.approximate.effort)
        other = item[place.clamp(min=0)]
        near = torch.bmm(rows.unit(other), unit.unsqueeze(2)).squeeze(2)
        none = place < 0 if config.include_self else (place < 0) | (other == block[:, None])
        best = near.masked_fill_(none, -torch.inf).topk(min(k, count), dim=1)
        cosine[block, : best.values.shape[1]] = best.values
        neighbour[block, : best.values.shape[1]] = other.gather(1, best.indices)
    return cosine, neighbour


def _recall(rows: _Rows, cosine: Tensor, neighbour: Tensor, config: KnnConfig, block_size: int) -> float:
    """The share of the k nearest of a sample, by exact search, that [n, k] cosines and neighbours hold."""
    item = _drawn(rows.norm.nonzero().flatten(), SAMPLE)
    unit, k = rows.unit(item), cosine.shape[1]
    best = cosine.new_full((len(item), k), -torch.inf)
    who = torch.zeros_like(neighbour[item])
    for places in torch.arange(len(rows.norm)).split(8 * block_size):
        block = (unit @ rows.unit(places).T).masked_fill_(rows.norm[places] == 0, -torch.inf)
        if not config.include_self:
            block.masked_fill_(item[:, None] == places, -torch.inf)
        keep_nearest(best, who, block, int(places[0]))
    true = best > -torch.inf
    least = best.masked_fill(~true, torch.inf).amin(1, keepdim=True)
    found = (cosine[item] >= least - ROUNDING).sum(1).minimum(true.sum(1)).sum()
    return float(found / true.sum()) if true.any() else 1.0


def _drawn(item: Tensor, count: int) -> Tensor:
    """At most `count` of the items [m], ascending, the same ones every time."""
    order = torch.randperm(len(item), generator=torch.Generator().manual_seed(0))
    return item[order[:count].sort().values]
