"""Dimension: over how many directions is an item space spread?

Every measure takes the singular values of `singular_values`, computed once. None depends on rotation
or scale. All are 0 for a space that is one point and at most min(n - 1, d).
"""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.diagnose.covariance import centred_product, resolution
from anchorrec_graph.graph.knn import unit_rows


def singular_values(space: Tensor) -> Tensor:
    """Singular values of a space [n, d] with its mean taken off: [d] float64, largest first.

    Centred, since a vector added to every item changes no user's ranking; rows are not normalised. Rows
    that are zero or not finite are left out. Values below float32's resolution of the space are 0.
    O(n d^2 + d^3), from the d x d covariance.
    """
    valid = unit_rows(space)[1].nonzero().flatten()
    squared = torch.linalg.eigvalsh(centred_product(space, space, valid)).flip(0)
    values = squared.clamp(min=0).sqrt()
    return torch.where(values > resolution(space, valid), values, 0.0)


def effective_rank(singular: Tensor) -> float:
    r""":math:`\exp(-\sum_m p_m \log p_m)` with :math:`p_m = \sigma_m / \sum_l \sigma_l`.

    Roy and Vetterli, EUSIPCO 2007, there without centring. In [1, d], d for d equal singular values.
    """
    share = singular / singular.sum()
    return float(torch.special.entr(share).sum().exp()) if singular.any() else 0.0


def participation_ratio(singular: Tensor) -> float:
    r""":math:`(\sum_m \sigma_m^2)^2 / \sum_m \sigma_m^4`, the number of directions that share the variance.

    In [1, d], never above `effective_rank`.
    """
    variance = singular.square()
    return float(variance.sum().square() / variance.square().sum()) if singular.any() else 0.0


def stable_rank(singular: Tensor) -> float:
    r""":math:`\sum_m \sigma_m^2 / \max_m \sigma_m^2 = \|Z\|_F^2 / \|Z\|_2^2`.

    Rudelson and Vershynin 2007. In [1, d], never above `participation_ratio`.
    """
    return float(singular.square().sum() / singular.square().max()) if singular.any() else 0.0
