from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from spaces import present, random_space, rotation
from torch import Tensor

from anchorrec_graph.diagnose import effective_rank, participation_ratio, singular_values, stable_rank

MEASURES = [effective_rank, participation_ratio, stable_rank]


def naive_effective_rank(sigma: list[float]) -> float:
    return math.exp(-sum(s / sum(sigma) * math.log(s / sum(sigma)) for s in sigma))


def naive_participation(sigma: list[float]) -> float:
    return sum(s**2 for s in sigma) ** 2 / sum(s**4 for s in sigma)


def naive_stable_rank(sigma: list[float]) -> float:
    return sum(s**2 for s in sigma) / max(sigma) ** 2


NAIVE = [naive_effective_rank, naive_participation, naive_stable_rank]


def test_singular_values_are_those_of_the_centred_rows_that_are_there() -> None:
    space = random_space(1500, 6, 0, [4]) * torch.arange(1, 7) + 10
    space[4], space[8] = 0, torch.nan
    rows = space[present(space)].double()
    torch.testing.assert_close(singular_values(space), torch.linalg.svdvals(rows - rows.mean(0)))


@pytest.mark.parametrize(("measure", "naive"), list(zip(MEASURES, NAIVE, strict=True)))
def test_measures_equal_the_loops(
    measure: Callable[[Tensor], float], naive: Callable[[list[float]], float]
) -> None:
    sigma = torch.rand(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert measure(sigma) == pytest.approx(naive(sigma.tolist()))


@pytest.mark.parametrize("measure", MEASURES)
def test_spaces_of_known_dimension(measure: Callable[[Tensor], float]) -> None:
    centred = random_space(200, 8, 0) - random_space(200, 8, 0).mean(0)
    round_space = torch.linalg.qr(centred).Q  # 8 equal directions
    line = random_space(200, 1, 1) * random_space(1, 8, 2)
    in_a_plane = round_space[:, :3] @ random_space(8, 8, 3)[:, :3].T
    assert measure(singular_values(round_space)) == pytest.approx(8, abs=1e-4)
    assert measure(singular_values(5 * round_space[:, :3] @ rotation(8)[:3] + 40)) == pytest.approx(
        3, abs=0.01
    )
    assert measure(singular_values(line)) == pytest.approx(1, abs=1e-4)
    assert 1 < measure(singular_values(in_a_plane)) <= 3
    assert measure(singular_values(torch.zeros(50, 8))) == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_a_planted_collapse_to_a_point_has_no_dimension_even_with_rounding(
    measure: Callable[[Tensor], float],
) -> None:
    point = torch.full((50, 8), 0.1)
    rounded = torch.where(random_space(50, 8, 0) > 0, point, point.nextafter(torch.tensor(1.0)))
    assert measure(singular_values(point)) == 0
    assert measure(singular_values(rounded)) == 0


def test_the_three_are_ordered() -> None:
    sigma = singular_values(random_space(60, 12, 0) * torch.logspace(0, -2, 12))
    stable, participation, effective = stable_rank(sigma), participation_ratio(sigma), effective_rank(sigma)
    assert 1 < stable < participation < effective < 12
