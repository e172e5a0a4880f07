"""Sums of products of centred columns, the matrix that measures of whole spaces need."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK_SIZE = 1024  # rows that exist in float64 at a time


def centred_product(space_a: Tensor, space_b: Tensor, rows: Tensor) -> Tensor:
    r""":math:`\sum_i (a_i - \bar a)(b_i - \bar b)^\top` over the items `rows`, in float64, block by block.

    The means are those of `rows` [m] (row numbers). Shapes: space_a [n, d_a], space_b [n, d_b] -> [d_a, d_b].
    """
    mean_a, mean_b = _mean(space_a, rows), _mean(space_b, rows)
    total = torch.zeros(len(mean_a), len(mean_b), dtype=torch.float64)
    for block in rows.split(BLOCK_SIZE):
        total += (space_a[block].double() - mean_a).T @ (space_b[block].double() - mean_b)
    return total


def resolution(space: Tensor, rows: Tensor) -> float:
    """float32's rounding of the items `rows` [m] as one length: a smaller spread of theirs is none."""
    squared = sum(float(space[block].double().square().sum()) for block in rows.split(BLOCK_SIZE))
    return torch.finfo(torch.float32).eps * math.sqrt(squared)


def _mean(space: Tensor, rows: Tensor) -> Tensor:
    total = torch.zeros(space.shape[1], dtype=torch.float64)
    for block in rows.split(BLOCK_SIZE):
        total += space[block].double().sum(0)
    return total / max(len(rows), 1)
