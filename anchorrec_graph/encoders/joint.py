r"""Fused features from stored ones, one matrix for all modalities.

X = [X_1 ... X_M] are the modalities' columns, each centred on the rows that have all modalities, and S is
their covariance there. A row that lacks a modality has 0 (its mean) in that block; one that lacks all is 0.

whiten  Each block is divided by :math:`\sqrt{\mathrm{tr} S_{mm}}`, so that every modality has the same say;
        the leading eigenvectors v_j of the covariance then give
        :math:`z_j = X v_j / \sqrt{\lambda_j + r}`, with r = ridge times the mean of the kept eigenvalues.
cca     Regularised generalised CCA, MAXVAR (Kettenring 1971): with
        :math:`D = \mathrm{blockdiag}(S_{mm} + r_m I)`, r_m = ridge times the mean eigenvalue of S_mm,
        and the leading eigenvectors w_j of :math:`D^{-1/2} S D^{-1/2}`, :math:`z_j = X D^{-1/2} w_j`.
        For two modalities these are the sums of the canonical variates of regularised CCA.
mean    The mean of the unit rows that an item has. For the towers of a joint encoder such as CLIP, whose
        rows live in one space.

Concatenating blocks that were each whitened first and reducing that by PCA is MAXVAR, so `whiten` whitens
the concatenation instead. All algebra is float64. Signs: the entry of largest
size in each column of the projection from X to z is positive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from anchorrec_graph.data.checks import BLOCK
from anchorrec_graph.errors import ConfigError, DataError

Recipe = Literal["whiten", "cca", "mean"]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]
RIDGE = 1.0  # of 0.001 to 10, the one whose neighbours co-occur most (films and Last.fm, 256 columns)
NONE = 1e-10  # share of the largest eigenvalue below which a direction is only rounding


class Moments(NamedTuple):
    """Mean [D] and covariance [D, D] of the complete rows, and where each modality's columns are."""

    mean: Matrix
    covariance: Matrix
    blocks: list[slice]


def fuse(
    features: Sequence[NDArray[Any]], has: Sequence[Mask], recipe: Recipe, dim: int, ridge: float
) -> tuple[Callable[[NDArray[np.int64]], Matrix], int]:
    """The function from row numbers [b] to fused rows [b, d], and d.

    Args:
        features: M matrices [n, D_m], which may be memory maps.
        has: M masks [n] of the rows that a modality has.
        dim: d, for recipes `whiten` and `cca`.

    Raises:
        ConfigError: `dim` is more than there are directions, or `mean` of modalities of unequal width.
        DataError: fewer than two rows have all modalities.
    """
    if recipe == "mean":
        widths = [rows.shape[1] for rows in features]
        if len(set(widths)) > 1:
            raise ConfigError(
                f"--recipe mean needs modalities of one joint encoder, these have {widths} columns"
            )
        return lambda rows: _mean_of_units(features, has, rows), widths[0]
    moments = joint_moments(features, has)
    projection = (whiten if recipe == "whiten" else cca)(moments, dim, ridge)
    return lambda rows: _centred(features, has, moments.mean, rows) @ projection, dim


def joint_moments(features: Sequence[NDArray[Any]], has: Sequence[Mask]) -> Moments:
    """Moments of the rows that have all modalities, in two passes of blocks.

    Raises:
        DataError: there are fewer than two such rows.
    """
    complete = np.flatnonzero(np.logical_and.reduce(has))
    if len(complete) < 2:
        raise DataError(f"{len(complete)} items have all of the modalities to fuse; at least two are needed")
    ends = np.cumsum([0, *(rows.shape[1] for rows in features)])
    blocks = [slice(int(a), int(b)) for a, b in pairwise(ends)]
    parts = [complete[start : start + BLOCK] for start in range(0, len(complete), BLOCK)]
    total = np.zeros(ends[-1])
    for rows in parts:
        total += _joined(features, rows).sum(axis=0)
    mean = total / len(complete)
    covariance = np.zeros((ends[-1], ends[-1]))
    for rows in parts:
        centred = _joined(features, rows) - mean
        covariance += centred.T @ centred
    return Moments(mean, covariance / len(complete), blocks)


def whiten(moments: Moments, dim: int, ridge: float) -> Matrix:
    """The projection [D, dim] of recipe `whiten`."""
    scale = np.concatenate([_scale(moments, block) for block in moments.blocks])
    values, vectors = _leading(moments.covariance * scale * scale[:, None], dim)
    projection: Matrix = scale[:, None] * vectors / np.sqrt(values + ridge * values.mean())
    return projection * _sign(projection)


def cca(moments: Moments, dim: int, ridge: float) -> Matrix:
    """The projection [D, dim] of recipe `cca`."""
    root = np.zeros_like(moments.covariance)
    for block in moments.blocks:
        values, vectors = eigh(moments.covariance[block, block])
        values = np.maximum(values, 0) + ridge * max(values.mean(), 0)
        inverse = np.where(values > NONE * max(values.max(), NONE), values, np.inf) ** -0.5
        root[block, block] = vectors * inverse @ vectors.T
    projection: Matrix = root @ _leading(root @ moments.covariance @ root, dim)[1]
    return projection * _sign(projection)


def _scale(moments: Moments, block: slice) -> Matrix:
    """1 / sqrt(tr S_mm) for each column of a block; 0 for a block that never varies."""
    trace = float(np.trace(moments.covariance[block, block]))
    return np.full(block.stop - block.start, trace**-0.5 if trace > NONE else 0.0)


def _leading(symmetric: Matrix, dim: int) -> tuple[Matrix, Matrix]:
    """The `dim` largest eigenvalues, in falling order, and their eigenvectors [D, dim]."""
    size = len(symmetric)
    first = max(size - dim, 0)
    values, vectors = eigh(symmetric, subset_by_index=[first, size - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > NONE * max(values[0], 0)).sum())
    if rank < dim:
        raise ConfigError(f"--dim {dim}: these features have only {rank} directions; take at most {rank}")
    return values, vectors


def _sign(vectors: Matrix) -> Matrix:
    """+1 or -1 for each column."""
    sign: Matrix = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    return sign


def _joined(features: Sequence[NDArray[Any]], rows: NDArray[np.int64]) -> Matrix:
    return np.concatenate([np.asarray(x[rows], dtype=np.float64) for x in features], axis=1)


def _centred(
    features: Sequence[NDArray[Any]], has: Sequence[Mask], mean: Matrix, rows: NDArray[np.int64]
) -> Matrix:
    """Rows [b, D] of X."""
    mask = [np.repeat(h[rows, None], x.shape[1], axis=1) for x, h in zip(features, has, strict=True)]
    centred: Matrix = np.where(np.concatenate(mask, axis=1), _joined(features, rows) - mean, 0.0)
    return centred


def _mean_of_units(features: Sequence[NDArray[Any]], has: Sequence[Mask], rows: NDArray[np.int64]) -> Matrix:
    total, count = np.zeros((len(rows), features[0].shape[1])), np.zeros((len(rows), 1))
    for x, h in zip(features, has, strict=True):
        block = np.asarray(x[rows], dtype=np.float64)
        length = np.linalg.norm(block, axis=1, keepdims=True)
        valid = h[rows, None] & (length > 0)
        total += np.where(valid, block / np.where(length > 0, length, 1), 0)
        count += valid
    mean: Matrix = total / np.maximum(count, 1)
    return mean
