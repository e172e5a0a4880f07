"""Item-item graphs without the neighbours that another modality contradicts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.knn import KnnConfig, KnnEdges, unit_rows
from anchorrec_graph.topk import row_topk

ROUNDING = 1e-6  # where all rows point one way, every cosine is the mean


def consistent_knn_edges(
    features: Mapping[str, Tensor], config: KnnConfig, block_size: int = 512
) -> dict[str, KnnEdges]:
    r"""Each modality's k nearest neighbours among the items that every modality finds similar (DA-MRS).

    .. math::
        N^m(i) = \mathrm{top}_k \{ \cos(x^m_i, x^m_j) : \cos(x^l_i, x^l_j) \ge \mu^l \text{ for all } l \}

    with :math:`\mu^l` the mean cosine of all pairs of items, each with itself included. A modality in
    which an item has no direction (zero or not finite) says nothing about the item's pairs, and the item
    is alone in its graph. Exact, block by block: memory is O(block_size * n) per modality, never n x n.

    Args:
        features: modality -> float [n, D_m].
        config: as in `knn_edges`.
        block_size: items whose cosines with all others exist at a time.
    """
    rows = {m: unit_rows(x) for m, x in features.items()}
    means = {m: mean_cosine(unit, valid) for m, (unit, valid) in rows.items()}
    parts: dict[str, list[KnnEdges]] = {m: [] for m in features}
    for start in range(0, len(next(iter(features.values()))), block_size):
        cosines, allowed = {}, torch.ones((), dtype=torch.bool)
        for m, (unit, valid) in rows.items():
            cosine = unit[start : start + block_size] @ unit.T
            known = valid[start : start + block_size, None] & valid
            allowed = allowed & ((cosine >= means[m] - ROUNDING) | ~known)
            cosines[m] = cosine.masked_fill_(~known, -torch.inf)
        if not config.include_self:
            allowed.diagonal(start).fill_(False)
        for m, cosine in cosines.items():
            parts[m].append(_nearest(cosine.masked_fill_(~allowed, -torch.inf), start, config))
    return {m: KnnEdges(*(torch.cat(x, dim=-1) for x in zip(*p, strict=True))) for m, p in parts.items()}


def mean_cosine(unit: Tensor, valid: Tensor) -> Tensor:
    r"""The mean over all pairs of items, each with itself included: :math:`\|\sum_i \hat x_i\|^2 / n^2`.

    Shapes: unit rows [n, d], zero where not `valid` [n] -> scalar, over the n valid ones.
    """
    return unit.sum(0).square().sum() / valid.sum().clamp(min=1) ** 2


def _nearest(cosine: Tensor, start: int, config: KnnConfig) -> KnnEdges:
    """The k largest of each row of [b, n], whose items begin at `start`; -inf is no neighbour."""
    value, index = row_topk(cosine, config.k)
    item, rank = torch.nonzero(value > (0.0 if config.drop_negative else -torch.inf), as_tuple=True)
    weight = value[item, rank]
    weight = weight if config.weight == "cosine" else torch.ones_like(weight)
    return KnnEdges(torch.stack([item + start, index[item, rank]]), weight)


def cached_consistent_edges(features: Mapping[str, Tensor], config: KnnConfig) -> dict[str, KnnEdges]:
    """`consistent_knn_edges`, kept on disk under the hash of all features and the settings."""

    def build() -> dict[str, Tensor]:
        edges = consistent_knn_edges(features, config)
        return {f"{m}.{part}": x for m, e in edges.items() for part, x in e._asdict().items()}

    settings = f"{config.model_dump_json()}|{list(features)}"
    tensors = cached_tensors("consistent", settings, list(features.values()), build)
    return {m: KnnEdges(tensors[f"{m}.edge_index"], tensors[f"{m}.edge_weight"]) for m in features}
