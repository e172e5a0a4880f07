"""Bootstrapped targets: agreement of two spaces without negatives."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def bootstrap_distance(online: Tensor, target: Tensor, count: Tensor | None = None) -> Tensor:
    r""":math:`1 - \frac1B \sum_i \cos(o_i, \bar t_i)`, the target constant (Grill et al., NeurIPS 2020).

    With `count`, only the distinct rows of the batch are given, row i occurring `count[i]` times.

    Shapes: online, target [b, d], count [b] -> scalar in [0, 2]. A row of zeros has cosine 0.
    """
    cosine = functional.cosine_similarity(online, target.detach())
    return 1 - (cosine.mean() if count is None else (cosine * count).sum() / count.sum())
