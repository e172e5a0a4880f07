from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch

from anchorrec_graph.diagnose import (
    baseline_spaces,
    concentration,
    group_means,
    knn_overlap,
    list_log_degree,
    neighbour_log_degree,
    popularity_quartiles,
)

ITEM_USERS = torch.tensor([0, 1, 5, 9, 2])


def test_neighbour_log_degree_equals_the_loop() -> None:
    edges = [(0, 3), (0, 2), (1, 0), (4, 3), (4, 0), (4, 1)]
    values = neighbour_log_degree(torch.tensor(edges).T, ITEM_USERS)
    for item in range(5):
        near = [math.log(1 + int(ITEM_USERS[j])) for i, j in edges if i == item]
        assert float(values[item]) == (
            pytest.approx(fmean(near)) if near else pytest.approx(math.nan, nan_ok=True)
        )


def test_list_log_degree_equals_the_loop() -> None:
    lists = [[3, 2, -1], [0, 1, 4], [-1, -1, -1]]
    values = list_log_degree(torch.tensor(lists), ITEM_USERS)
    for row, value in zip(lists, values.tolist(), strict=True):
        logs = [math.log(1 + int(ITEM_USERS[i])) for i in row if i >= 0]
        assert value == (pytest.approx(fmean(logs)) if logs else pytest.approx(math.nan, nan_ok=True))


def test_concentration_of_known_lists() -> None:
    assert concentration(torch.arange(12).view(3, 4), 12) == (0, 1)
    assert concentration(torch.tensor([[3, -1], [3, -1]]), 4) == (0.75, 0.25)  # Gini of one holder: 1 - 1 / n
    lists = [0, 0, 0, 1, 1, 4]
    count = [lists.count(item) for item in range(5)]
    gini = sum(abs(a - b) for a in count for b in count) / (2 * 5 * sum(count))
    assert concentration(torch.tensor(lists), 5) == (pytest.approx(gini), 0.6)


def test_group_means_equal_the_loop_and_leave_unknown_values_out() -> None:
    values = torch.tensor([1.0, math.nan, 3, 4, math.nan])
    means = group_means(values, torch.tensor([0, 0, 0, 2, 1]), 4)
    assert means.tolist() == pytest.approx([2, math.nan, 4, math.nan], nan_ok=True)


def test_popularity_quartiles() -> None:
    counts = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(popularity_quartiles(counts), counts // 25)
    assert popularity_quartiles(torch.full((8,), 5)).unique().numel() == 1


def test_baselines_are_the_ends_of_a_measure() -> None:
    native = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    native[4] = 0
    spaces = baseline_spaces(native, 16, torch.Generator().manual_seed(1))
    assert spaces["random"].shape == (200, 16)
    assert not spaces["random"][4].any()
    assert knn_overlap(spaces["random"], native).corrected == pytest.approx(0, abs=0.02)
    assert knn_overlap(spaces["oracle"], native).corrected == 1
    again = baseline_spaces(native, 16, torch.Generator().manual_seed(1))
    assert torch.equal(spaces["random"], again["random"])
