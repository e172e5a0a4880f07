from __future__ import annotations

import naive
import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.margin import cosine_margin


def triple() -> Tensor:
    return torch.randn(3, 12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("margin", [0.0, 0.2, 1.0])
def test_value_equals_the_loop(margin: float) -> None:
    expected = naive.cosine_margin(*triple().numpy(), margin)
    assert float(cosine_margin(*triple(), margin)) == pytest.approx(expected, rel=1e-12)
    assert expected > 0


def test_gradcheck_of_the_items() -> None:
    user, positive, negative = triple()
    inputs = positive.clone().requires_grad_(), negative.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, n: cosine_margin(user, p, n), inputs)


def test_the_user_gets_no_gradient() -> None:
    user, positive, negative = (rows.clone().requires_grad_() for rows in triple())
    cosine_margin(user, positive, negative).backward()
    assert user.grad is None
    assert positive.grad is not None


def test_zero_rows_are_finite() -> None:
    user, positive, negative = (rows.clone() for rows in triple())
    user[0], positive[1], negative[2] = 0, 0, 0
    positive = positive.requires_grad_()
    loss = cosine_margin(user, positive, negative)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(positive.grad).all())
