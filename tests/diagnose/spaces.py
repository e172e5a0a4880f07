"""Item spaces for the tests of measures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def random_space(num_items: int, dim: int, seed: int, missing: Sequence[int] = ()) -> Tensor:
    space = torch.randn(num_items, dim, generator=torch.Generator().manual_seed(seed))
    space[list(missing)] = 0
    return space


def rotation(dim: int) -> Tensor:
    return torch.linalg.qr(random_space(dim, dim, seed=99)).Q


def cosine(x: Tensor, y: Tensor) -> float:
    return float(cosine_similarity(x.double(), y.double(), dim=0))


def present(*spaces: Tensor) -> list[int]:
    """The items with a finite row that is not zero in every space."""

    def has_direction(row: Tensor) -> bool:
        return bool(row.isfinite().all() and row.any())

    return [i for i in range(len(spaces[0])) if all(has_direction(space[i]) for space in spaces)]
