"""HNSW (Malkov and Yashunin, arXiv:1603.09320) by faiss: rows with a large inner product, found step by step.

Each row is linked to others that are near it; a search follows the links and keeps the best rows in sight.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from anchorrec_graph.extras import require_extra
from anchorrec_graph.graph.one_thread import one_thread

LINKS = 32
BUILD_EFFORT = 40  # rows kept in sight while one is added


def require_faiss(what: str) -> None:
    """Raises ConfigError where faiss is missing."""
    require_extra("ann", what, {"faiss": "faiss-cpu"})


def build_index(blocks: Iterable[Tensor], dim: int) -> Any:
    """An index of rows that come in blocks [b, dim]. One thread adds them: equal rows give an equal index."""
    import faiss

    index = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = BUILD_EFFORT
    with one_thread():
        for rows in blocks:
            index.add(_array(rows))
    return index


def search_index(index: Any, rows: Tensor, count: int, effort: int) -> Tensor:
    """Numbers [b, count] of indexed rows with large inner products, best first; -1 where none was found.

    Args:
        effort: rows kept in sight at the least (efSearch); there are never fewer than twice `count`.
    """
    import faiss

    kept = faiss.SearchParametersHNSW(efSearch=max(effort, 2 * count))  # type: ignore[attr-defined]
    return torch.from_numpy(index.search(_array(rows), count, params=kept)[1])


def _array(rows: Tensor) -> Any:
    return rows.float().contiguous().numpy()
