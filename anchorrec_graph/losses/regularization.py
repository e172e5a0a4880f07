"""Penalties on the size of embeddings."""

from __future__ import annotations

from torch import Tensor


def squared_norm_penalty(*blocks: Tensor, batch_size: int) -> Tensor:
    r""":math:`\frac{1}{2B} \sum_k \|E_k\|_F^2` over the gathered rows [b, d] of each block.

    B is the configured batch size also in the last, smaller batch of an epoch, as in the public code.
    """
    return sum((block.square().sum() for block in blocks), start=blocks[0].new_zeros(())) / (2 * batch_size)


def norm_penalty(*blocks: Tensor) -> Tensor:
    r""":math:`\frac{1}{B} \sum_k \|E_k\|_F` (norms not squared; MMRec's `EmbLoss`), blocks [B, d]."""
    total = sum((block.norm() for block in blocks), start=blocks[0].new_zeros(()))
    return total / len(blocks[-1])
