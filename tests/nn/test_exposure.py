"""The level of new items against sums in loops."""

from __future__ import annotations

import math

import pytest
import torch

from anchorrec_graph.nn import exposure
from anchorrec_graph.nn.exposure import level_of_new_items

GENERATOR = torch.Generator().manual_seed(0)
USER, ITEM, ATTACHED = (torch.randn(n, 3, generator=GENERATOR) for n in (5, 6, 6))
HAVE = [{0, 3}, set(), {1}, set(range(6)), {5, 2, 0}]  # user 3 has everything
PAIRS = torch.tensor([(u, i) for u, items in enumerate(HAVE) for i in items]).T
TAU = 0.4


@pytest.mark.parametrize("block", [2, 256])
def test_it_is_the_ratio_of_what_old_items_hold(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "BLOCK", block)
    ratios = []
    for u, items in enumerate(HAVE):
        held, new = 0.0, 0.0
        for j in set(range(6)) - items:
            held += math.exp(sum(float(a * b) for a, b in zip(USER[u], ITEM[j], strict=True)) / TAU)
            new += math.exp(sum(float(a * b) for a, b in zip(USER[u], ATTACHED[j], strict=True)) / TAU)
        if held:
            ratios.append(new / held)
    assert len(ratios) == 4
    expected = -TAU * math.log(sum(ratios) / 4)
    assert level_of_new_items(USER, ITEM, ATTACHED, PAIRS, 1 / TAU) == pytest.approx(expected, abs=1e-5)
    assert abs(expected) > 0.1


def test_rows_that_lack_a_constant_get_it_back() -> None:
    ones = torch.ones(5, 1)
    user, item, low = torch.cat([USER, ones], 1), torch.cat([ITEM, torch.zeros(6, 1)], 1), ITEM
    low = torch.cat([low, torch.full((6, 1), -0.7)], 1)
    assert level_of_new_items(user, item, low, PAIRS, 1 / TAU) == pytest.approx(0.7, abs=1e-5)
    assert level_of_new_items(user, item, item, PAIRS, 1 / TAU) == pytest.approx(0, abs=1e-6)


def test_without_a_candidate_there_is_no_level() -> None:
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(6)).T
    assert level_of_new_items(USER, ITEM, ATTACHED, pairs, 1.0) == 0
