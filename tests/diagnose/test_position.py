from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

import pytest
import torch
from spaces import cosine, present, random_space, rotation
from torch import Tensor

from anchorrec_graph.diagnose import (
    alignment,
    item_alignment,
    item_paired_distance,
    item_reciprocal_rank,
    modality_gap,
    paired_distance_ratio,
    retrieval_mrr,
    uniformity,
)
from anchorrec_graph.errors import DataError

PAIRED = [paired_distance_ratio, retrieval_mrr, modality_gap, alignment]


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    """Two related spaces with a hole each, and rows of all lengths."""
    space = random_space(25, 4, 0, [3])
    other = space + random_space(25, 4, 1)
    other[7], other[9] = 0, torch.nan
    return space, 5 * other


def unit(row: Tensor) -> Tensor:
    return row.double() / row.double().norm()


def naive_ratio(space_a: Tensor, space_b: Tensor) -> float:
    items = present(space_a, space_b)
    own = fmean(1 - cosine(space_a[i], space_b[i]) for i in items)
    return 1 - own / fmean(1 - cosine(space_a[i], space_b[j]) for i in items for j in items if i != j)


def naive_mrr(space_a: Tensor, space_b: Tensor) -> float:
    items, total = present(space_a, space_b), 0.0
    for i in items:
        own = cosine(space_a[i], space_b[i])
        total += 1 / (1 + sum(cosine(space_a[i], space_b[j]) > own for j in items if j != i))
    return total / len(items)


def naive_gap(space_a: Tensor, space_b: Tensor) -> float:
    items = present(space_a, space_b)
    centre_a, centre_b = (sum(unit(space[i]) for i in items) / len(items) for space in (space_a, space_b))
    return math.dist(centre_a, centre_b)


def naive_alignment(space_a: Tensor, space_b: Tensor) -> float:
    items = present(space_a, space_b)
    return fmean(math.dist(unit(space_a[i]), unit(space_b[i])) ** 2 for i in items)


@pytest.mark.parametrize(
    ("measure", "naive"), list(zip(PAIRED, [naive_ratio, naive_mrr, naive_gap, naive_alignment], strict=True))
)
def test_paired_measures_equal_the_loops(
    measure: Callable[[Tensor, Tensor], float],
    naive: Callable[[Tensor, Tensor], float],
    pair: tuple[Tensor, Tensor],
) -> None:
    assert measure(*pair) == pytest.approx(naive(*pair), abs=1e-6)


@pytest.mark.parametrize("measure", [item_paired_distance, item_reciprocal_rank, item_alignment])
def test_items_without_a_direction_have_no_value(
    measure: Callable[[Tensor, Tensor], Tensor], pair: tuple[Tensor, Tensor]
) -> None:
    assert measure(*pair).isnan().nonzero().flatten().tolist() == [3, 7, 9]


def test_a_space_copied_onto_another_reaches_the_end_of_every_scale() -> None:
    space = random_space(80, 6, 0)
    lengths = torch.rand(80, 1) + 0.5
    values = [measure(space, lengths * space) for measure in PAIRED]
    assert values == pytest.approx([1, 1, 0, 0], abs=1e-6)
    turned = rotation(6)
    values, moved = (
        [measure(*pair) for measure in PAIRED]
        for pair in ((space, space.flip(0)), (space @ turned, space.flip(0) @ turned))
    )
    assert values == pytest.approx(moved, abs=1e-5)


def test_unrelated_spaces_reach_chance() -> None:
    space, other = random_space(500, 32, 0), random_space(500, 32, 1)
    assert paired_distance_ratio(space, other) == pytest.approx(0, abs=0.03)
    assert retrieval_mrr(space, other) == pytest.approx(sum(1 / r for r in range(1, 501)) / 500, abs=0.01)
    assert alignment(space, other) == pytest.approx(2, abs=0.05)


def test_opposite_points() -> None:
    point = torch.ones(10, 3)
    assert modality_gap(point, -2 * point) == pytest.approx(2)
    assert alignment(point, -2 * point) == pytest.approx(4)
    assert paired_distance_ratio(point, -2 * point) == pytest.approx(0, abs=1e-6)


def test_a_planted_collapse_to_a_point_is_no_success() -> None:
    point = torch.full((20, 5), 0.3)
    assert retrieval_mrr(point, point) == pytest.approx(2 / 21)
    assert math.isnan(paired_distance_ratio(point, point))
    assert uniformity(point) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("block_size", [4, 64])
def test_uniformity_equals_the_loop(block_size: int) -> None:
    space = random_space(23, 4, 0, [5])
    items = present(space)
    kernel = [
        math.exp(-2 * math.dist(unit(space[i]), unit(space[j])) ** 2) for i in items for j in items if i < j
    ]
    assert uniformity(space, block_size) == pytest.approx(math.log(fmean(kernel)), abs=1e-6)


def test_uniformity_of_known_spaces() -> None:
    assert uniformity(torch.tensor([[2.0, 0], [-1, 0]])) == pytest.approx(-8)
    assert uniformity(torch.eye(5)) == pytest.approx(-4)
    assert math.isnan(uniformity(torch.eye(5)[:1]))


def test_sampled_queries_have_their_exact_ranks(pair: tuple[Tensor, Tensor]) -> None:
    queries = torch.tensor([1, 3, 20])
    sampled, whole = item_reciprocal_rank(*pair, queries=queries), item_reciprocal_rank(*pair, block_size=3)
    torch.testing.assert_close(sampled[queries], whole[queries], equal_nan=True)
    assert int((~sampled.isnan()).sum()) == 2


@pytest.mark.parametrize("measure", PAIRED)
def test_nothing_in_common_is_nan_and_other_widths_are_refused(
    measure: Callable[[Tensor, Tensor], float],
) -> None:
    assert math.isnan(measure(torch.zeros(4, 3), torch.ones(4, 3)))
    with pytest.raises(DataError, match=r"\[4, 3\] and \[4, 2\]"):
        measure(torch.ones(4, 3), torch.ones(4, 2))
