"""A random sample that is the same every time."""

from __future__ import annotations

import torch
from torch import Tensor


def fixed_sample(count: int, wanted: int, seed: int = 0) -> Tensor:
    """`wanted` of the numbers 0 to count - 1, ascending, or all if there are no more: int64 [n]."""
    if wanted >= count:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:wanted].sort().values
