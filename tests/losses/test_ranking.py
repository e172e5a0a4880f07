from __future__ import annotations

import math

import naive
import pytest
import torch
from torch import Tensor

from anchorrec_graph.losses.ranking import BPRConfig, FullSoftmaxConfig, RankingLossConfig, SoftmaxConfig, bpr
from anchorrec_graph.typing import Batch

USERS, ITEMS, DIM = 5, 7, 3
BATCH = Batch(  # with repeated users and items
    torch.tensor([0, 1, 1, 4, 2, 0]), torch.tensor([3, 0, 0, 6, 3, 5]), torch.tensor([1, 2, 4, 2, 0, 6])
)


def tables(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(n, DIM, generator=generator, dtype=torch.float64) for n in (USERS, ITEMS))
    return tuple(table.to(dtype) for table in drawn)


def twin(config: RankingLossConfig) -> float:
    user, item = (table.numpy() for table in tables())
    users, positives, negatives = (ids.tolist() for ids in BATCH)
    if isinstance(config, SoftmaxConfig):
        drawn = negatives[: config.num_negatives]
        return naive.softmax(user[users], item[positives], item[drawn], ITEMS, config.temperature)
    if isinstance(config, FullSoftmaxConfig):
        return naive.full_softmax(user[users], item, positives, config.temperature)
    return naive.bpr(user[users], item[positives], item[negatives])


LOSSES = [
    BPRConfig(),
    SoftmaxConfig(),
    SoftmaxConfig(temperature=0.05, num_negatives=2),
    FullSoftmaxConfig(),
    FullSoftmaxConfig(temperature=1.5),
]


@pytest.mark.parametrize("config", LOSSES, ids=repr)
def test_value_equals_the_loop(config: RankingLossConfig) -> None:
    assert float(config.loss(*tables(), BATCH)) == pytest.approx(twin(config), rel=1e-12)
    assert float(config.loss(*tables(torch.float32), BATCH)) == pytest.approx(twin(config), rel=1e-5)


@pytest.mark.parametrize("config", LOSSES, ids=repr)
def test_gradcheck(config: RankingLossConfig) -> None:
    user, item = (table.requires_grad_() for table in tables())
    assert torch.autograd.gradcheck(lambda u, i: config.loss(u, i, BATCH), (user, item))


@pytest.mark.parametrize("config", LOSSES, ids=repr)
def test_a_zero_row_is_finite(config: RankingLossConfig) -> None:
    user, item = tables()
    user[1], item[0] = 0, 0
    user, item = user.requires_grad_(), item.requires_grad_()
    loss = config.loss(user, item, BATCH)
    loss.backward()
    for value in (loss, user.grad, item.grad):
        assert bool(torch.isfinite(value).all())


def test_negatives_that_are_all_items_give_the_full_softmax_with_the_positive_twice() -> None:
    user, item = tables()
    one = Batch(torch.tensor([2]), torch.tensor([3]), torch.tensor([0]))
    every = Batch(torch.full((ITEMS,), 2), torch.full((ITEMS,), 3), torch.arange(ITEMS))
    full, sampled = FullSoftmaxConfig().loss(user, item, one), SoftmaxConfig().loss(user, item, every)
    # exp(loss) is the sum of all exponentials over that of the positive
    assert math.exp(sampled) == pytest.approx(math.exp(full) + 1)


def test_bpr_of_equal_scores_is_log_2() -> None:
    rows = tables()[0]
    assert float(bpr(rows, rows, rows)) == pytest.approx(math.log(2))


def test_bpr_of_large_gaps_does_not_overflow() -> None:
    one = torch.full((1, 1), 300.0)
    assert float(bpr(one, one, -one)) == 0
    assert float(bpr(one, -one, one)) == pytest.approx(180_000)
