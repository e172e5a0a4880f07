from __future__ import annotations

import math

import naive
import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.neighbours import neighbour_discrimination

NUM_ITEMS, DIM = 11, 4
ITEMS = torch.tensor([0, 3, 4, 7, 10])


def views(count: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(NUM_ITEMS, DIM, generator=generator, dtype=torch.float64) for _ in range(count)]


def largest(values: list[float], k: int, without: list[int]) -> list[int]:
    order = sorted((j for j in range(len(values)) if j not in without), key=lambda j: -values[j])
    return order[:k]


def loops(tables: list[Tensor], items: list[int], k: int, temperature: float) -> float:
    rows = [table.numpy() for table in tables]
    total = 0.0
    for i in items:
        cosines = [[naive.cosine(x[i], other) for other in x] for x in rows]
        labels = [[math.exp(c) / sum(math.exp(d) for d in row) for c in row] for row in cosines]
        for cosine, label in zip(cosines, labels, strict=True):
            both = [label[j] + sum(other[j] for other in labels) for j in range(len(label))]
            agreed = largest(both, k, [])
            own = largest(label, k, agreed)
            e = [math.exp(c / temperature) for c in cosine]
            near, alone = sum(e[j] for j in agreed), sum(e[j] for j in own)
            total -= math.log(near / sum(e)) + math.log(alone / (sum(e) - near))
    return total / (len(items) * len(rows))


@pytest.mark.parametrize("block_size", [1, 2, 5, 256])
@pytest.mark.parametrize(("k", "temperature"), [(1, 0.2), (3, 0.2), (5, 1.0)])
@pytest.mark.parametrize("num_views", [2, 3, 4])
def test_value_equals_the_loop(num_views: int, k: int, temperature: float, block_size: int) -> None:
    expected = loops(views(num_views), ITEMS.tolist(), k, temperature)
    found = neighbour_discrimination(views(num_views), ITEMS, k, temperature, block_size)
    assert float(found) == pytest.approx(expected, rel=1e-11)
    single = [view.float() for view in views(num_views)]
    assert float(neighbour_discrimination(single, ITEMS, k, temperature)) == pytest.approx(expected, rel=1e-5)


def test_gradcheck() -> None:
    tables = tuple(view.requires_grad_() for view in views(2))
    assert torch.autograd.gradcheck(lambda *x: neighbour_discrimination(list(x), ITEMS, 3, 0.2, 2), tables)


def test_more_neighbours_than_half_of_the_items_are_cut_to_half() -> None:
    expected = neighbour_discrimination(views(), ITEMS, 5, 0.2)
    assert torch.equal(neighbour_discrimination(views(), ITEMS, 50, 0.2), expected)


@pytest.mark.parametrize("temperature", [1e-3, 0.2])
def test_equal_and_zero_rows_are_finite(temperature: float) -> None:
    tables = [view.float() for view in views()]
    tables[0][:6] = tables[0][0]
    tables[1][:] = 0
    tables = [table.requires_grad_() for table in tables]
    loss = neighbour_discrimination(tables, ITEMS, 3, temperature)
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert all(bool(torch.isfinite(table.grad).all()) for table in tables)
