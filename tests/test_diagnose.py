from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from anchorrec_graph.diagnose import knn_overlap, neighbour_coherence


def test_a_space_and_its_rotation_share_all_neighbours() -> None:
    torch.manual_seed(0)
    space = torch.randn(60, 8)
    rotation = torch.linalg.qr(torch.randn(8, 8)).Q
    assert knn_overlap(space, 3 * space @ rotation).corrected == pytest.approx(1)


def test_unrelated_spaces_share_what_chance_gives() -> None:
    torch.manual_seed(0)
    overlap = knn_overlap(torch.randn(400, 8), torch.randn(400, 8), k=20)
    assert overlap.mean == pytest.approx(20 / 399, abs=0.01)
    assert overlap.corrected == pytest.approx(0, abs=0.01)


def naive_coherence(space: Tensor, native: Tensor, k: int) -> float:
    values = []
    for i in range(len(space)):
        if not native[i].any() or not space[i].any():
            continue
        others = [j for j in range(len(space)) if j != i and space[j].any()]
        others.sort(key=lambda j: -float(cosine_similarity(space[i], space[j], dim=0)))
        near = [j for j in others[:k] if native[j].any()]
        if near:
            values.append(fmean(float(cosine_similarity(native[i], native[j], dim=0)) for j in near))
    return fmean(values)


@pytest.mark.parametrize("k", [1, 4])
def test_neighbour_coherence_equals_the_loop(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    space, native = (torch.randn(20, dim, generator=generator) for dim in (5, 7))
    space[3], native[6] = 0, 0
    assert neighbour_coherence(space, native, k) == pytest.approx(naive_coherence(space, native, k), abs=1e-6)


def test_neighbour_coherence_is_highest_for_the_native_space_itself() -> None:
    native = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    other = native[torch.randperm(50, generator=torch.Generator().manual_seed(1))]
    assert neighbour_coherence(native, native) > 0.5 > abs(neighbour_coherence(other, native))
    assert math.isnan(neighbour_coherence(native, torch.zeros(50, 3)))
