"""Normalisation of edge weights."""

from __future__ import annotations

import torch
from torch import Tensor

EXACT = 2**24  # up to here float32 counts; of more edges degrees are summed in float64


def inverse_sqrt(degree: Tensor) -> Tensor:
    """degree^-1/2, and 0 where the degree is not positive: such a node neither sends nor receives."""
    return torch.where(degree > 0, degree.clamp(min=torch.finfo(degree.dtype).tiny).rsqrt(), 0.0)


def symmetric_weight(row: Tensor, column: Tensor, weight: Tensor, num_nodes: int) -> Tensor:
    r"""Weights :math:`w_{rc} / \sqrt{d_r d_c}` with :math:`d_r = \sum_c w_{rc}`, the row degree on both ends.

    For a symmetric graph this is :math:`D^{-1/2} A D^{-1/2}` (Kipf and Welling 2017, no self loops
    added). For a directed top-k graph the column end uses that node's own row degree as well, as the
    public code of LATTICE, FREEDOM and AnchorRec does.

    Shapes: row, column, weight [E] -> [E].
    """
    wide = weight.double() if len(weight) > EXACT else weight
    degree = torch.zeros(num_nodes, dtype=wide.dtype).index_add(0, row, wide).to(weight.dtype)
    scale = inverse_sqrt(degree)
    return weight * scale[row] * scale[column]
