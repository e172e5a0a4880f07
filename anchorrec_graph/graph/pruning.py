"""Degree-sensitive pruning of the user-item graph."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def prune_edges(edge_index: Tensor, drop: float, generator: torch.Generator) -> Tensor:
    r"""A sample of floor(E (1 - drop)) edges without replacement, rather those between rare nodes.

    Each draw takes one of the edges that are left with a probability proportional to
    :math:`1 / \sqrt{d_u d_i}` (FREEDOM, Zhou and Shen, MM 2023). All draws at once: the edges with
    the largest :math:`w_e / z_e`, z exponential, are such a sample (Efraimidis and Spirakis 2006).

    Args:
        edge_index: int64 [2, E], (user, item) pairs.
        drop: share of the edges that are dropped, in [0, 1).

    Shapes: [2, E] -> [2, floor(E (1 - drop))], in the order of the input.
    """
    user, item = edge_index
    degree = user.bincount()[user] * item.bincount()[item]
    noise = torch.empty(len(user), dtype=torch.float64).exponential_(generator=generator)
    key = degree.double().rsqrt() / noise
    count = math.floor(len(user) * (1 - drop) + 1e-9)  # 5 (1 - .8) is less than 1 in floating point
    kept = key.topk(count, sorted=False).indices
    return edge_index[:, kept.sort().values]
