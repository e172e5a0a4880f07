from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch
from spaces import cosine, present, random_space, rotation
from torch import Tensor
from torch.nn.functional import cosine_similarity

from anchorrec_graph.diagnose import (
    item_overlap,
    item_trustworthiness,
    knn_overlap,
    linear_cka,
    neighbour_coherence,
    participation_ratio,
    singular_values,
    trustworthiness,
)
from anchorrec_graph.errors import DataError
from anchorrec_graph.graph.knn import KnnConfig, knn_edges, unit_rows


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


def test_item_overlap_averages_to_the_corrected_overlap() -> None:
    overlap = knn_overlap(random_space(60, 8, 0, [5]), random_space(60, 8, 1))
    items = item_overlap(overlap)
    chance = 10 / 59
    assert items[5].isnan()
    assert float(items.nanmean()) == pytest.approx(overlap.corrected)
    torch.testing.assert_close(items, (overlap.per_item - chance) / (1 - chance), equal_nan=True)
    same = knn_overlap(random_space(60, 8, 0), random_space(60, 8, 0))
    assert item_overlap(same).eq(1).all()


def naive_trustworthiness(space: Tensor, native: Tensor, k: int) -> dict[int, float]:
    items, values = present(native), {}
    n = len(items)
    for i in items:
        others = [j for j in present(space) if j != i]
        others.sort(key=lambda j: -cosine(space[i], space[j]))
        near = [j for j in others[:k] if j in items] if space[i].any() else []
        ranked = sorted((j for j in items if j != i), key=lambda j: -cosine(native[i], native[j]))
        size = len(near)
        excess = sum(max(0, ranked.index(j) + 1 - size) for j in near)
        if near:
            values[i] = 1 - 2 * excess / (size * (2 * n - 3 * size - 1))
    return values


@pytest.mark.parametrize("k", [1, 4])
def test_trustworthiness_equals_the_loop(k: int) -> None:
    space, native = random_space(24, 3, 0, [3, 11]), random_space(24, 7, 1, [6, 11])
    native[9] = torch.nan
    expected = naive_trustworthiness(space, native, k)
    items = item_trustworthiness(_edges(space, k), native, block_size=5)
    assert {i: float(items[i]) for i in range(24) if not items[i].isnan()} == pytest.approx(expected)
    assert trustworthiness(space, native, k) == pytest.approx(fmean(expected.values()))


def test_trustworthiness_of_copies_of_the_worst_list_and_of_chance() -> None:
    native = random_space(300, 8, 0)
    assert trustworthiness(3 * native @ rotation(8), native) == 1
    assert trustworthiness(random_space(300, 8, 1), native) == pytest.approx(0.5, abs=0.02)
    farthest = (unit_rows(native)[0] @ unit_rows(native)[0].T).topk(10, largest=False).indices
    edges = torch.stack([torch.arange(300).repeat_interleave(10), farthest.flatten()])
    assert item_trustworthiness(edges, native).abs().max() == 0


def test_a_sample_of_items_has_its_exact_trustworthiness() -> None:
    space, native = random_space(40, 4, 0), random_space(40, 6, 1)
    edges = _edges(space, 5)
    sampled = item_trustworthiness(edges[:, edges[0] < 7], native)
    torch.testing.assert_close(sampled[:7], item_trustworthiness(edges, native)[:7])
    assert sampled[7:].isnan().all()


def test_trustworthiness_refuses_lists_of_half_the_items() -> None:
    with pytest.raises(DataError, match="below half of the 20 items"):
        trustworthiness(random_space(20, 4, 0), random_space(20, 4, 1), k=10)


def naive_cka(space_a: Tensor, space_b: Tensor) -> float:
    """By its definition on n x n kernels, HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))."""
    items = present(space_a, space_b)
    n = len(items)
    centring = torch.eye(n, dtype=torch.float64) - 1 / n
    kernel_a, kernel_b = (
        centring @ x @ x.T @ centring for x in (space_a[items].double(), space_b[items].double())
    )
    products = [
        sum(float(x[i, j] * y[j, i]) for i in range(n) for j in range(n))
        for x, y in ((kernel_a, kernel_b), (kernel_a, kernel_a), (kernel_b, kernel_b))
    ]
    return products[0] / math.sqrt(products[1] * products[2])


def test_cka_equals_the_kernel_definition() -> None:
    space_a, space_b = random_space(30, 4, 0, [2]) + 1, random_space(30, 6, 1, [8]) - 2
    space_a[2], space_b[8] = 0, torch.inf
    assert linear_cka(space_a, space_b) == pytest.approx(naive_cka(space_a, space_b))


def test_cka_of_copies_of_an_orthogonal_complement_and_of_a_point() -> None:
    basis = torch.linalg.qr(random_space(50, 9, 0) - random_space(50, 9, 0).mean(0)).Q
    space, complement = basis[:, :4], basis[:, 4:]
    assert linear_cka(space, 3 * space @ rotation(4) + 7) == pytest.approx(1)
    assert linear_cka(space, complement) == pytest.approx(0, abs=1e-9)
    assert math.isnan(linear_cka(space, torch.full((50, 3), 0.1)))


def test_cka_of_unrelated_spaces_is_what_their_participation_ratios_say() -> None:
    spaces = random_space(400, 20, 0), random_space(400, 60, 1)
    ratio_a, ratio_b = (participation_ratio(singular_values(space)) for space in spaces)
    assert linear_cka(*spaces) == pytest.approx(math.sqrt(ratio_a * ratio_b) / 400, rel=0.1)


def _edges(space: Tensor, k: int) -> Tensor:
    return knn_edges(space, KnnConfig(k=k, drop_negative=False)).edge_index
