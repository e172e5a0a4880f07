"""Spaces in two dimensions: principal components, and t-SNE."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anchorrec_graph.graph.knn import unit_rows

Points = NDArray[np.float64]
PERPLEXITY, ITERATIONS = 30.0, 500
MOST_COLUMNS = 50  # t-SNE reads the first principal components of wider spaces
FLAT = 1e-6  # a spread below this, of unit rows, is rounding


class Projection(NamedTuple):
    """Two coordinates of each item [n, 2], and the share of the variance that they hold (PCA only)."""

    points: Points
    variance: float | None


def directions(space: Tensor) -> Points:
    """Unit rows [n, max(d, 2)]: distances in a map are then those that the cosine sees. Zero rows stay."""
    unit = unit_rows(space)[0].double().numpy()
    missing = max(0, 2 - unit.shape[1])
    padded: Points = np.pad(unit, ((0, 0), (0, missing)))
    return padded


def principal_components(rows: Points) -> Projection:
    """The two directions of largest variance of rows [n, d]."""
    scores, variance = _components(rows, 2)
    total = float(rows.var(axis=0).sum())
    return Projection(scores, float(variance.sum()) / total if total > FLAT**2 else None)


def neighbour_map(rows: Points) -> Projection:
    """t-SNE (van der Maaten and Hinton 2008) of rows [n, d], started from the principal components.

    Perplexity 30, or (n - 1) / 3 for few items; 500 iterations, random state 0.
    """
    from sklearn.manifold import TSNE  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    n = len(rows)
    if n < 4 or rows.std(axis=0).max() < FLAT:  # nothing to arrange: all items lie on one point
        return Projection(np.zeros((n, 2)), None)
    if rows.shape[1] > MOST_COLUMNS:
        rows, _ = _components(rows, min(MOST_COLUMNS, n))
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (n - 1) / 3), max_iter=ITERATIONS, init="pca", random_state=0, n_jobs=1
    )
    with threadpool_limits(1):  # threads that wait for each other on a busy machine take ten times as long
        return Projection(tsne.fit_transform(rows).astype(np.float64), None)


def _components(rows: Points, count: int) -> tuple[Points, Points]:
    """Scores [n, count] and variances [count] of the first principal components, signs fixed."""
    centred = torch.from_numpy(rows - rows.mean(axis=0))
    covariance = (centred.T @ centred / len(centred)).numpy()
    values, vectors = np.linalg.eigh(covariance)
    chosen = vectors[:, ::-1][:, :count]
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.sign(chosen[largest, np.arange(chosen.shape[1])])
    return centred.numpy() @ chosen, values[::-1][:count].clip(min=0)
