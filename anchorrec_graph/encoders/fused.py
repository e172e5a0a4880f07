"""Frozen reductions of native features, and a fused feature where the data set has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.settings import unknown_name

FUSED = "fused"
FUSED_DIM = 256  # of each modality in a built fused feature, where no other is asked for
OVERSAMPLING = 16


def reduce_features(features: Tensor, dim: int) -> Tensor:
    r"""Unit rows projected onto their `dim` leading right singular vectors (not centred).

    .. math:: \hat X V_{1..dim}, \quad \hat X = U S V^T

    The best approximation of all cosines in `dim` dimensions (Eckart and Young
    1936), by randomised subspace iteration (Halko et al. 2011) from a fixed
    seed. A `dim` not below min(n, D) keeps the unit rows as they are. The vectors
    are kept on disk, like item graphs, under the hash of features and `dim`.

    Shapes: [n, D] -> [n, dim], or [n, D].
    """
    basis, unit = leading_basis(features, dim), unit_rows(features)[0]
    return unit if basis is None else unit @ basis


def leading_basis(features: Tensor, dim: int) -> Tensor | None:
    """V of `reduce_features` [D, dim]; None where it keeps the rows as they are."""
    if dim >= min(features.shape):
        return None

    def build() -> dict[str, Tensor]:
        unit = unit_rows(features)[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            vectors = torch.svd_lowrank(unit, q=min(dim + OVERSAMPLING, *unit.shape))[2]
        return {"basis": vectors[:, :dim].contiguous()}

    return cached_tensors("basis", str(dim), features, build)["basis"]


class Fusion(NamedTuple):
    """How rows of one modality enter the fused feature: `((unit row) V - mean) scale`."""

    basis: Tensor | None  # V [D, w]
    mean: Tensor  # [w]
    scale: float

    def rows(self, features: Tensor) -> Tensor:
        """[n, D] -> [n, w]; 0 for rows that have no feature."""
        unit, valid = unit_rows(features)
        return self.of_reduced(unit if self.basis is None else unit @ self.basis, valid)

    def of_reduced(self, reduced: Tensor, valid: Tensor) -> Tensor:
        """`rows` of rows that are multiplied by V already [n, w], and whether they have a feature [n]."""
        return torch.where(valid.unsqueeze(1), reduced - self.mean, 0.0) * self.scale


def fusion(features: Tensor, dim: int) -> Fusion:
    """The `Fusion` of a modality with features [n, D], whose own rows get mean 0 and mean square 1."""
    return _fitted(features, dim)[0]


def _fitted(features: Tensor, dim: int) -> tuple[Fusion, Tensor]:
    """The `Fusion` of a modality, and what it makes of its own rows."""
    basis, (unit, valid) = leading_basis(features, dim), unit_rows(features)
    reduced, has = unit if basis is None else unit @ basis, valid.unsqueeze(1)
    count = valid.sum().clamp(min=1)
    mean = (reduced * has).sum(0) / count
    spread = torch.where(has, reduced - mean, 0.0).square().sum() / count
    # rows that all point one way leave only rounding errors of about 1e-7, which are no feature
    part = Fusion(basis, mean, float(spread.rsqrt()) if spread > 1e-10 else 0.0)
    return part, part.of_reduced(reduced, valid)


def fuse_features(features: Mapping[str, Tensor], dim: int) -> Tensor:
    r"""A fused feature from M modalities, each with the same say: :math:`[Z^1; ...; Z^M]`.

    Z^m is `reduce_features(x^m, dim)` centred, divided by its root mean squared
    row length, and 0 in rows that have no feature. Recipe name: "concat-reduce".

    Shapes: each [n, D_m] -> [n, sum of reduced dims].
    """
    return torch.cat([_fitted(rows, dim)[1] for rows in features.values()], dim=1)


def add_fused(features: dict[str, Tensor], name: str, dim: int | None = None) -> dict[str, Tensor]:
    """The features with one that joins the others: the modality `name`, built from them if it is missing.

    Raises:
        ConfigError: there is no modality `name`, and it is not "fused", the name of a built one.
    """
    if name in features:
        return features
    if name != FUSED:
        raise ConfigError("model.fused: " + unknown_name("modality", name, [*features, FUSED]))
    return {**features, FUSED: fuse_features(features, dim or FUSED_DIM)}
