"""Frozen reductions of native features, and a fused feature where the data set has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.graph.cache import cached_tensors
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.graph.row_store import InMemory, RowStore
from anchorrec_graph.sample import fixed_sample
from anchorrec_graph.settings import check_names

FUSED = "fused"
FUSED_DIM = 256  # of each modality in a built fused feature, where no other is asked for
OVERSAMPLING = 16
BASIS_ROWS = 50_000  # that directions are sought among
BLOCK = 65_536  # rows that are reduced at a time
IN_MEMORY = InMemory()


def reduce_features(features: Tensor, dim: int, store: RowStore = IN_MEMORY) -> Tensor:
    r"""Unit rows projected onto their `dim` leading right singular vectors (not centred).

    .. math:: \hat X V_{1..dim}, \quad \hat X = U S V^T

    The best approximation of all cosines in `dim` dimensions (Eckart and Young
    1936), by randomised subspace iteration (Halko et al. 2011) from a fixed
    seed; of more than 50,000 rows, the best one for that many, drawn with a fixed seed. A `dim` not
    below min(n, D) keeps the unit rows as they are. The vectors are kept on disk, like item graphs, under
    the hash of features and `dim`. Features may be a memory map: they are read in blocks.

    Shapes: [n, D] -> [n, dim], or [n, D].
    """

    def blocks() -> Iterator[Tensor]:
        basis = leading_basis(features, dim)
        return (_reduced(block, basis)[0] for block in features.split(BLOCK))

    return store.keep(f"reduced|{dim}", (features,), (len(features), _width(features, dim)), blocks)


def _width(features: Tensor, dim: int) -> int:
    """Columns of `reduce_features`."""
    return int(features.shape[1]) if dim >= min(features.shape) else dim


def leading_basis(features: Tensor, dim: int) -> Tensor | None:
    """V of `reduce_features` [D, dim]; None where it keeps the rows as they are."""
    if dim >= min(features.shape):
        return None

    def build() -> dict[str, Tensor]:
        unit = unit_rows(_drawn(features))[0]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            vectors = torch.svd_lowrank(unit, q=min(dim + OVERSAMPLING, *unit.shape))[2]
        return {"basis": vectors[:, :dim].contiguous()}

    return cached_tensors("basis", str(dim), [features], build)["basis"]


def _drawn(features: Tensor) -> Tensor:
    """The rows that the basis is made of: all, or BASIS_ROWS of them."""
    if len(features) <= BASIS_ROWS:
        return features
    return features[fixed_sample(len(features), BASIS_ROWS)]


def _reduced(features: Tensor, basis: Tensor | None) -> tuple[Tensor, Tensor]:
    """Unit rows times V [n, w], and which rows have a direction [n]."""
    unit, valid = unit_rows(features)
    return (unit if basis is None else unit @ basis), valid


class Fusion(NamedTuple):
    """How rows of one modality enter the fused feature: `((unit row) V - mean) scale`."""

    basis: Tensor | None  # V [D, w]
    mean: Tensor  # [w]
    scale: float

    def rows(self, features: Tensor) -> Tensor:
        """[n, D] -> [n, w]; 0 for rows that have no feature."""
        reduced, valid = _reduced(features, self.basis)
        return torch.where(valid.unsqueeze(1), reduced - self.mean, 0.0) * self.scale


def fusion(features: Tensor, dim: int) -> Fusion:
    """The `Fusion` of a modality with features [n, D], whose own rows get mean 0 and mean square 1."""
    basis, blocks = leading_basis(features, dim), features.split(BLOCK)
    total, count = torch.zeros(()), torch.tensor(0)
    for reduced, valid in (_reduced(block, basis) for block in blocks):
        total, count = total + (reduced * valid.unsqueeze(1)).sum(0), count + valid.sum()
    mean, spread = total / count.clamp(min=1), torch.zeros(())
    for reduced, valid in (_reduced(block, basis) for block in blocks):
        spread = spread + torch.where(valid.unsqueeze(1), reduced - mean, 0.0).square().sum()
    spread = spread / count.clamp(min=1)
    # rows that all point one way leave only rounding errors of about 1e-7, which are no feature
    return Fusion(basis, mean, float(spread.rsqrt()) if spread > 1e-10 else 0.0)


def fuse_features(features: Mapping[str, Tensor], dim: int, store: RowStore = IN_MEMORY) -> Tensor:
    r"""A fused feature from M modalities, each with the same say: :math:`[Z^1; ...; Z^M]`.

    Z^m is `reduce_features(x^m, dim)` centred, divided by its root mean squared
    row length, and 0 in rows that have no feature. Recipe name: "concat-reduce".

    Shapes: each [n, D_m] -> [n, sum of reduced dims].
    """
    sources = tuple(features.values())

    def blocks() -> Iterator[Tensor]:
        parts = [fusion(rows, dim) for rows in sources]
        for same in zip(*(rows.split(BLOCK) for rows in sources), strict=True):
            yield torch.cat([part.rows(block) for part, block in zip(parts, same, strict=True)], dim=1)

    shape = (len(sources[0]), sum(_width(rows, dim) for rows in sources))
    return store.keep(f"fused|{dim}", sources, shape, blocks)


def add_fused(
    features: dict[str, Tensor], name: str, dim: int | None = None, store: RowStore = IN_MEMORY
) -> dict[str, Tensor]:
    """The features with one that joins the others: the modality `name`, built from them if it is missing.

    Raises:
        ConfigError: there is no modality `name`, and it is not "fused", the name of a built one.
    """
    if name in features:
        return features
    check_names("model.fused", "modality", [name], [*features, FUSED])
    return {**features, FUSED: fuse_features(features, dim or FUSED_DIM, store)}
