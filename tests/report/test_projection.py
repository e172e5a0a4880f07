"""Spaces in two dimensions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anchorrec_graph.report.map_figure import spread
from anchorrec_graph.report.projection import directions, neighbour_map, principal_components


def space(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator) * torch.arange(columns, 0, -1)


def test_principal_components_are_those_of_the_singular_value_decomposition() -> None:
    rows = directions(space(50, 7))
    centred = rows - rows.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = principal_components(rows)
    np.testing.assert_allclose(np.abs(found.points), np.abs(left[:, :2] * values[:2]), atol=1e-10)
    assert found.variance == pytest.approx((values[:2] ** 2).sum() / (values**2).sum())


def test_rows_have_length_one_and_enough_columns() -> None:
    rows = directions(torch.tensor([[3.0], [-2.0], [0.0]]))
    np.testing.assert_array_equal(rows, [[1, 0], [-1, 0], [0, 0]])
    assert principal_components(rows).points.shape == (3, 2)


def test_clusters_stay_together_in_a_neighbour_map() -> None:
    centre = torch.eye(70)[:3].repeat_interleave(20, 0)  # more columns than t-SNE reads
    rows = directions(10 * centre + 0.1 * torch.randn(60, 70, generator=torch.Generator().manual_seed(0)))
    points = neighbour_map(rows).points
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    cluster = np.arange(60) // 20
    assert (cluster[distance.argmin(axis=1)] == cluster).all()
    np.testing.assert_array_equal(points, neighbour_map(rows).points)


@pytest.mark.parametrize("rows", [torch.ones(30, 5), torch.zeros(30, 5), space(3, 5), space(1, 5)])
def test_collapsed_and_tiny_spaces_are_drawn(rows: torch.Tensor) -> None:
    for found in (principal_components(directions(rows)), neighbour_map(directions(rows))):
        assert found.points.shape == (len(rows), 2)
        assert np.isfinite(found.points).all()
    assert (principal_components(directions(rows)).variance is None) == (len(rows) in (1, 30))


def test_numbers_do_not_cover_each_other() -> None:
    crowded = np.full((8, 2), 0.5)
    crowded[5:] = [0.99, 0.01]
    moved = spread(crowded, 0.13)
    gaps = np.linalg.norm(moved[:, None] - moved[None], axis=2)[np.triu_indices(8, 1)]
    assert gaps.min() > 0.12
    assert ((moved >= 0) & (moved <= 1)).all()
    apart = np.array([[0.2, 0.2], [0.8, 0.8]])
    np.testing.assert_allclose(spread(apart, 0.13), apart, atol=2e-3)
