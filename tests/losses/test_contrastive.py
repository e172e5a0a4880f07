from __future__ import annotations

import math

import naive
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anchorrec_graph.losses.contrastive import info_nce


def rows(num_rows: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query, key = torch.randn(2, num_rows, 4, generator=generator, dtype=torch.float64)
    return query.to(dtype), key.to(dtype)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=8), st.sampled_from([0.05, 0.2, 1.0]), st.integers(0, 9)
)
def test_distinct_rows_with_counts_equal_the_full_batch(
    count: list[int], temperature: float, seed: int
) -> None:
    query, key = rows(len(count), seed)
    full = [i for i, times in enumerate(count) for _ in range(times)]
    expected = naive.info_nce(query[full].numpy(), key[full].numpy(), temperature)
    found = info_nce(query, key, torch.tensor(count), temperature)
    assert float(found) == pytest.approx(expected, rel=1e-11, abs=1e-12)
    assert 0 <= float(found) + 1e-12 <= math.log(len(full)) + 2 / temperature
    single = info_nce(query.float(), key.float(), torch.tensor(count), temperature)
    assert float(single) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_gradient_equals_that_of_the_full_batch() -> None:
    count = torch.tensor([2, 1, 3, 1])
    query, key = (table.requires_grad_() for table in rows(4))
    distinct = torch.autograd.grad(info_nce(query, key, count, 0.2), (query, key))
    full = torch.arange(4).repeat_interleave(count)
    ones = torch.ones(7, dtype=torch.int64)
    whole = torch.autograd.grad(info_nce(query[full], key[full], ones, 0.2), (query, key))
    torch.testing.assert_close(distinct, whole)


def test_gradcheck() -> None:
    count = torch.tensor([2, 1, 3, 1, 1])
    inputs = tuple(table.requires_grad_() for table in rows(5))
    assert torch.autograd.gradcheck(lambda q, k: info_nce(q, k, count, 0.2), inputs)


def test_one_row_has_nothing_to_tell_apart() -> None:
    assert float(info_nce(*rows(1), torch.ones(1), 0.2)) == pytest.approx(0, abs=1e-12)


def test_a_small_temperature_and_zero_rows_are_finite() -> None:
    query, key = rows(4, dtype=torch.float32)
    query[1], key[2] = 0, 0
    query, key = query.requires_grad_(), key.requires_grad_()
    loss = info_nce(query, key, torch.ones(4), 1e-3)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(query.grad).all() and torch.isfinite(key.grad).all())
