"""The likeliest weight against a fine grid over a likelihood written as loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from anchorrec_graph.nn import likelihood
from anchorrec_graph.nn.likelihood import likeliest_weight

GENERATOR = torch.Generator().manual_seed(1)
USER, ITEM = (torch.randn(n, 3, generator=GENERATOR) for n in (5, 6))
HAVE = [{0, 3}, set(), {1}, set(range(6)), {5, 2, 0}]  # user 3 has everything
PAIRS = torch.tensor([(u, i) for u, items in enumerate(HAVE) for i in items]).T
TAU = 0.7


def log_likelihood(weight: float, further: Tensor) -> float:
    score = (USER @ (ITEM + weight * further).T / TAU).tolist()
    total = 0.0
    for u, items in enumerate(HAVE):
        if len(items) < 6:
            others = sum(math.exp(score[u][k]) for k in range(6) if k not in items)
            total += sum(score[u][j] - math.log(math.exp(score[u][j]) + others) for j in items)
    return total


def helpful(noise: float) -> Tensor:
    """Rows that point to the users who have the item, and elsewhere."""
    rows = torch.stack([sum((USER[u] for u in range(5) if j in HAVE[u]), torch.zeros(3)) for j in range(6)])
    return rows + noise * torch.randn(rows.shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("block", [2, 256])
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_no_weight_on_a_grid_is_likelier(block: int, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "BLOCK", block)
    further = scale * helpful(2.0)
    found = likeliest_weight(USER, ITEM, further, PAIRS, 1 / TAU)
    assert found > 0
    grid = [found * (0.02 * n) for n in range(200)]
    best = max(grid, key=lambda weight: log_likelihood(weight, further))
    assert found == pytest.approx(best, rel=0.03)


def test_scores_that_mislead_or_say_nothing_get_no_weight() -> None:
    assert likeliest_weight(USER, ITEM, -helpful(0.0), PAIRS, 1 / TAU) == 0
    assert likeliest_weight(USER, ITEM, torch.zeros(6, 3), PAIRS, 1 / TAU) == 0


def test_users_who_have_everything_or_nothing_decide_nothing() -> None:
    everything = torch.cartesian_prod(torch.arange(5), torch.arange(6)).T
    assert likeliest_weight(USER, ITEM, helpful(0.0), everything, 1.0) == 0
    assert likeliest_weight(USER, ITEM, helpful(0.0), torch.empty(2, 0, dtype=torch.long), 1.0) == 0


def test_of_many_users_a_fixed_sample_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    further = helpful(2.0)
    monkeypatch.setattr(likelihood, "USERS", 3)  # users 0, 2, 4
    pairs = PAIRS[:, PAIRS[0] % 2 == 0]
    expected = likeliest_weight(USER[::2], ITEM, further, torch.stack([pairs[0] // 2, pairs[1]]), 1 / TAU)
    assert likeliest_weight(USER, ITEM, further, PAIRS, 1 / TAU) == pytest.approx(expected, rel=1e-4)
