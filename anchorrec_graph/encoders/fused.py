"""Frozen reductions of native features, and a fused feature where the data set has none."""

from __future__ import annotations

from collections.abc import Mapping

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
    seed. A `dim` not below min(n, D) keeps the unit rows as they are. Kept on
    disk, like item graphs, under the hash of features and `dim`.

    Shapes: [n, D] -> [n, dim], or [n, D].
    """
    unit = unit_rows(features)[0]
    if dim >= min(unit.shape):
        return unit

    def build() -> dict[str, Tensor]:
        return {"reduced": _leading(unit, dim)}

    return cached_tensors("reduced", str(dim), features, build)["reduced"]


def _leading(unit: Tensor, dim: int) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        basis = torch.svd_lowrank(unit, q=min(dim + OVERSAMPLING, *unit.shape))[2][:, :dim]
    return unit @ basis


def fuse_features(features: Mapping[str, Tensor], dim: int) -> Tensor:
    r"""A fused feature from M modalities, each with the same say: :math:`[Z^1; ...; Z^M]`.

    Z^m is `reduce_features(x^m, dim)` centred, divided by its root mean squared
    row length, and 0 in rows that have no feature. Recipe name: "concat-reduce".

    Shapes: each [n, D_m] -> [n, sum of reduced dims].
    """
    return torch.cat([_centred(rows, dim) for rows in features.values()], dim=1)


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


def _centred(features: Tensor, dim: int) -> Tensor:
    valid = unit_rows(features)[1].unsqueeze(1)
    reduced = reduce_features(features, dim)
    mean = (reduced * valid).sum(0) / valid.sum().clamp(min=1)
    centred = torch.where(valid, reduced - mean, 0.0)
    spread = centred.square().sum() / valid.sum().clamp(min=1)
    # rows that all point one way leave only rounding errors of about 1e-7, which are no feature
    return centred / spread.sqrt() if spread > 1e-10 else torch.zeros_like(centred)
