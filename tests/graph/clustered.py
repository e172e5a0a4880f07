"""Items in clusters, and settings by which an index searches them."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.graph.knn import KnnConfig


def features(count: int = 400, dim: int = 8, seed: int = 0) -> Tensor:
    """Items around 20 centres, no two alike."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(20, dim, generator=generator)
    which = torch.randint(20, (count,), generator=generator)
    return centres[which] + 0.7 * torch.randn(count, dim, generator=generator)


def search(effort: int, least_recall: float = 0.0, method: str = "hnsw", **settings: object) -> KnnConfig:
    approximate = {"above": 10, "method": method, "effort": effort, "least_recall": least_recall}
    return KnnConfig.model_validate({"k": 5, "approximate": approximate, **settings})
