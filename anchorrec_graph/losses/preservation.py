"""Structure preservation: an embedding space keeps the similarities of the native features."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.graph.knn import unit_rows


def similarity_gap(embedding: Tensor, features: Tensor, count: Tensor) -> Tensor:
    r"""AnchorRec's anchored modality preservation (AMP), norm not squared:

    .. math:: \frac1B \| Q Q^T - S \|_F, \quad S_{ij} = \cos(x_i, x_j)

    over a batch of B items of which only the distinct ones are given, with how
    often each occurs. With unit rows X and C = diag(count),

    .. math:: \|QQ^T - XX^T\|_F^2 = \|Q^T C Q\|_F^2 - 2 \|X^T C Q\|_F^2 + \|C^{1/2} X X^T C^{1/2}\|_F^2 .

    The first two need no B x B matrix; the last has no gradient (`squared_gram_norm`).
    The three are summed in float64, because they nearly cancel.

    Shapes: embedding [b, d], features [b, D] (treated as constant), count [b] -> scalar.
    A row of zeros has cosine 0 to every item, itself included.
    """
    weight = count.to(embedding.dtype).sqrt().unsqueeze(1)
    unit = unit_rows(features.detach())[0] * weight
    scaled = embedding * weight
    cross = unit.T @ scaled
    squared = _squared_norm(scaled.T @ scaled) - 2 * _squared_norm(cross) + squared_gram_norm(unit)
    # sqrt has no derivative at 0, where the two similarities agree and nothing is left to learn
    return squared.clamp(min=torch.finfo(embedding.dtype).tiny).sqrt() / count.sum()


def squared_gram_norm(rows: Tensor, block_size: int = 256) -> Tensor:
    r""":math:`\|X X^T\|_F^2 = \|X^T X\|_F^2`, through the smaller of the two matrices.

    Blocks above the diagonal count twice, those below it are not computed.

    Shapes: [n, D] -> scalar float64.
    """
    if rows.shape[0] > rows.shape[1]:
        rows = rows.T
    total = rows.new_zeros((), dtype=torch.float64)
    for start in range(0, len(rows), block_size):
        block, later = rows[start : start + block_size], rows[start + block_size :]
        total += _squared_norm(block @ block.T) + 2 * _squared_norm(block @ later.T)
    return total


def _squared_norm(matrix: Tensor) -> Tensor:
    return matrix.double().square().sum()
