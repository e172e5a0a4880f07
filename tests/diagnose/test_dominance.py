from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch
from torch import Tensor
from views import random_embeddings

from anchorrec_graph.diagnose import absolute_shares, covariance_shares, pair_parts, ranking_shares
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.models.scoring import sum_views
from anchorrec_graph.typing import View

USERS, ITEMS = torch.tensor([0, 1, 2, 3, 3]), torch.tensor([4, 0, 7, 7, 8])


def covariance(x: list[float], y: list[float]) -> float:
    return fmean(a * b for a, b in zip(x, y, strict=True)) - fmean(x) * fmean(y)


def test_pairs_of_views_sum_to_the_score_and_to_the_parts_of_views() -> None:
    embeddings = random_embeddings()
    parts = pair_parts(embeddings, USERS, ITEMS)
    assert len(parts) == 6  # two views with users, three with items
    score = embeddings.scores(USERS)[range(5), ITEMS]
    torch.testing.assert_close(torch.stack([*parts.values()]).sum(0), score)
    for name, part in view_parts(embeddings, USERS, ITEMS).items():
        halves = sum((p * ((a == name) + (b == name)) / 2 for (a, b), p in parts.items()), torch.zeros(5))
        torch.testing.assert_close(part, halves)


def test_shares_equal_the_loops_and_sum_to_one() -> None:
    parts = view_parts(random_embeddings(), USERS, ITEMS)
    values = {name: part.double().tolist() for name, part in parts.items()}
    score = [sum(row) for row in zip(*values.values(), strict=True)]
    size = sum(abs(x) for part in values.values() for x in part)
    assert absolute_shares(parts) == pytest.approx(
        {name: sum(map(abs, part)) / size for name, part in values.items()}
    )
    expected = {name: covariance(part, score) / covariance(score, score) for name, part in values.items()}
    assert covariance_shares(parts) == pytest.approx(expected)
    assert sum(expected.values()) == pytest.approx(1)


def naive_ranking_shares(parts: dict[str, list[list[float]]]) -> dict[str, float]:
    """Parts by user and item; sums over users of covariances over items."""
    scores = [[sum(cell) for cell in zip(*rows, strict=True)] for rows in zip(*parts.values(), strict=True)]
    total = sum(covariance(row, row) for row in scores)
    return {
        name: sum(covariance(p, s) for p, s in zip(part, scores, strict=True)) / total
        for name, part in parts.items()
    }


def test_ranking_shares_equal_the_loop_over_all_users_and_items() -> None:
    embeddings = random_embeddings(5, 9)
    grid = torch.cartesian_prod(torch.arange(5), torch.arange(9)).T
    parts = {name: p.view(5, 9).double().tolist() for name, p in view_parts(embeddings, *grid).items()}
    assert ranking_shares(embeddings) == pytest.approx(naive_ranking_shares(parts), abs=1e-6)
    assert sum(ranking_shares(embeddings).values()) == pytest.approx(1)


def test_views_that_decide_all_nothing_or_the_same() -> None:
    view = random_embeddings().views["id"]
    assert view.user is not None
    columns = torch.zeros(len(view.item), 1)
    same = View(torch.ones(len(view.user), 1), columns + 50)  # adds a constant to every score

    def beside(x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([x, y], dim=1)

    whole = View(beside(view.user, 0 * same.user), beside(view.item, columns))
    constant = View(beside(0 * view.user, same.user), beside(0 * view.item, same.item))
    embeddings = sum_views({"whole": whole, "constant": constant})
    parts = view_parts(embeddings, USERS, ITEMS)
    expected = {"whole": 1, "constant": 0}
    assert ranking_shares(embeddings) == pytest.approx(expected, abs=1e-6)
    assert covariance_shares(parts) == pytest.approx(expected, abs=1e-6)
    assert absolute_shares(parts)["constant"] > 0.9
    assert ranking_shares(sum_views({"a": view, "b": view})) == pytest.approx({"a": 0.5, "b": 0.5})
    against = {"for": torch.tensor([3.0, 6]), "against": torch.tensor([-1.0, -2])}
    assert covariance_shares(against) == pytest.approx({"for": 1.5, "against": -0.5})
    assert math.isnan(covariance_shares({"a": torch.ones(3)})["a"])
    assert math.isnan(absolute_shares({"a": torch.zeros(3)})["a"])
