"""Structure preservation: an embedding space keeps the similarities of the native features."""

from __future__ import annotations

import torch
from torch import Tensor

NEARLY_EQUAL = 1e-3  # of the squared norm of S


def similarity_gap(embedding: Tensor, features: Tensor, count: Tensor) -> Tensor:
    r"""AnchorRec's anchored modality preservation (AMP), norm not squared:

    .. math:: \frac1B \| Q Q^T - S \|_F, \quad S_{ij} = \cos(x_i, x_j)

    over a batch of B items of which only the distinct ones are given, with how
    often each occurs. With unit rows X and C = diag(count),

    .. math:: \|QQ^T - XX^T\|_F^2 = \|Q^T C Q\|_F^2 - 2 \|X^T C Q\|_F^2 + \|C^{1/2} X X^T C^{1/2}\|_F^2 .

    The first two need no B x B matrix; the last has no gradient (`squared_gram_norm`).
    The three are summed in float64, because they nearly cancel. Where the similarities
    agree to about 3 %, more digits cancel than float32 products have, and the b x b
    difference itself is taken.

    Shapes: embedding [b, d], features [b, D] (treated as constant), count [b] -> scalar.
    A row of zeros has cosine 0 to every item, itself included.
    """
    weight = count.to(embedding.dtype).sqrt().unsqueeze(1)
    features = features.detach()
    norm = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    unit = features * torch.where(norm > 0, weight / norm, 0.0)
    scaled = embedding * weight
    cross = unit.T @ scaled
    native = squared_gram_norm(unit)
    squared = _squared_norm(scaled.T @ scaled) - 2 * _squared_norm(cross) + native
    if squared.detach() < NEARLY_EQUAL * native:
        squared = _squared_norm(scaled @ scaled.T - unit @ unit.T)
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
