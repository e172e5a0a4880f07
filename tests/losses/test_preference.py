from __future__ import annotations

import math

import naive
import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.preference import preference_divergence


def tables() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (5, 7, 7))


def kl(p: float, q: float) -> float:
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def loops(user: Tensor, first: Tensor, second: Tensor) -> float:
    total = 0.0
    for u in user.numpy():
        for f, s in zip(first.numpy(), second.numpy(), strict=True):
            length = math.sqrt(float(u @ u))
            p, q = (1 / (1 + math.exp(-length * naive.cosine(u, x))) for x in (f, s))
            total += kl(p, q) + kl(q, p)
    return total / (len(user) * len(first))


@pytest.mark.parametrize("block_size", [1, 2, 256])
def test_value_equals_the_loop(block_size: int) -> None:
    expected = loops(*tables())
    assert float(preference_divergence(*tables(), block_size)) == pytest.approx(expected, rel=1e-12)
    single = preference_divergence(*(table.float() for table in tables()))
    assert float(single) == pytest.approx(expected, rel=1e-5)


def test_gradcheck() -> None:
    inputs = tuple(table.requires_grad_() for table in tables())
    assert torch.autograd.gradcheck(lambda *x: preference_divergence(*x, 2), inputs)


def test_sides_of_equal_direction_do_not_differ() -> None:
    user, item, _ = tables()
    assert float(preference_divergence(user, item, 3 * item)) == pytest.approx(0, abs=1e-12)


def test_certain_preferences_are_finite() -> None:
    user, first, second = (table.float().requires_grad_() for table in tables())
    loss = preference_divergence(1e3 * user, first, second)
    loss.backward()
    assert bool(torch.isfinite(loss) and torch.isfinite(user.grad).all())
