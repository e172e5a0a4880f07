from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.contrastive import info_nce
from anchorrec_graph.losses.contrastive_all import info_nce_over_all

ROWS, COUNT = torch.tensor([1, 4, 8]), torch.tensor([2, 1, 3])


def tables(scale: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, key = scale * torch.randn(2, 9, 4, generator=generator, dtype=torch.float64)
    return query, key


def loops(query: Tensor, key: Tensor, temperature: float) -> float:
    """Over the full batch, whose rows occur several times."""
    total, batch = 0.0, ROWS.repeat_interleave(COUNT).tolist()
    for i in batch:
        e = [math.exp(float(query[i] @ other) / temperature) for other in key]
        total -= math.log(e[i] / sum(e))
    return total / len(batch)


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_value_equals_the_loop(temperature: float) -> None:
    found = info_nce_over_all(*tables(), ROWS, COUNT, temperature)
    assert float(found) == pytest.approx(loops(*tables(), temperature), rel=1e-11)


def test_gradient_equals_that_of_the_plain_formula() -> None:
    query, key = (table.requires_grad_() for table in tables())
    batch = ROWS.repeat_interleave(COUNT)
    logits = query[batch] @ key.T / 0.2
    plain = torch.nn.functional.cross_entropy(logits, batch)
    expected = torch.autograd.grad(plain, (query, key))
    found = info_nce_over_all(query, key, ROWS, COUNT, 0.2)
    for gradient, other in zip(torch.autograd.grad(found, (query, key)), expected, strict=True):
        torch.testing.assert_close(gradient, other)


def test_a_batch_of_all_rows_is_info_nce() -> None:
    query, key = (torch.nn.functional.normalize(table, dim=1) for table in tables())
    once = torch.ones(9, dtype=torch.long)
    expected = info_nce(query, key, once, 0.2)
    torch.testing.assert_close(info_nce_over_all(query, key, torch.arange(9), once, 0.2), expected)


def test_large_products_stay_finite() -> None:
    query, key = (table.float().requires_grad_() for table in tables(100.0))
    loss = info_nce_over_all(query, key, ROWS, COUNT, 0.2)
    assert bool(
        torch.isfinite(torch.stack([loss, *(g.sum() for g in torch.autograd.grad(loss, (query, key)))])).all()
    )
