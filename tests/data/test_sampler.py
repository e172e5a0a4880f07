"""Negatives: never a positive, every negative equally likely, the same for the same generator."""

from __future__ import annotations

import naive_data
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anchorrec_graph.data.sampler import NegativeSampler
from anchorrec_graph.errors import DataError

NUM_USERS, NUM_ITEMS = 4, 6
pairs_strategy = st.lists(
    st.tuples(st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1)), max_size=30
)


def sampler(pairs: list[tuple[int, int]]) -> NegativeSampler:
    edge_index = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    return NegativeSampler(edge_index, NUM_USERS, NUM_ITEMS)


@given(pairs_strategy, st.integers(0, 1000))
def test_samples_are_all_negatives_of_their_user_and_only_those(
    pairs: list[tuple[int, int]], seed: int
) -> None:
    expected = naive_data.negatives(pairs, NUM_USERS, NUM_ITEMS)
    if any(not items for items in expected):
        with pytest.raises(DataError, match=f"user {expected.index([])} has interacted with all 6 items"):
            sampler(pairs)
        return
    users = torch.arange(NUM_USERS).repeat_interleave(200)
    items = sampler(pairs).sample(users, torch.Generator().manual_seed(seed))
    assert items.dtype == torch.int64
    for user in range(NUM_USERS):  # 200 draws of at most 6: all appear but with probability < 1e-15
        assert sorted(set(items[users == user].tolist())) == expected[user]


def test_negatives_are_uniform() -> None:
    pairs = [(0, 0), (0, 2), (0, 3), (1, 5), (3, 1)]
    draws = 60_000
    chosen = sampler(pairs)
    for user, items in enumerate(naive_data.negatives(pairs, NUM_USERS, NUM_ITEMS)):
        got = chosen.sample(torch.full((draws,), user), torch.Generator().manual_seed(user))
        count = torch.bincount(got, minlength=NUM_ITEMS)[items].double()
        expected = draws / len(items)
        assert ((count - expected).abs() < 5 * expected**0.5).all()


def test_repeated_pairs_count_once_and_order_does_not_matter() -> None:
    users = torch.arange(NUM_USERS).repeat(50)
    a = sampler([(0, 1), (0, 1), (0, 4), (2, 3)]).sample(users, torch.Generator().manual_seed(1))
    b = sampler([(2, 3), (0, 4), (0, 1)]).sample(users, torch.Generator().manual_seed(1))
    assert torch.equal(a, b)


def test_the_generator_decides_the_draw() -> None:
    chosen, users = sampler([(0, 0)]), torch.zeros(100, dtype=torch.int64)
    first = chosen.sample(users, torch.Generator().manual_seed(3))
    assert torch.equal(first, chosen.sample(users, torch.Generator().manual_seed(3)))
    assert not torch.equal(first, chosen.sample(users, torch.Generator().manual_seed(4)))


def test_a_user_with_one_negative_always_gets_it() -> None:
    chosen = sampler([(3, i) for i in range(NUM_ITEMS) if i != 4])
    assert chosen.sample(torch.full((50,), 3), torch.Generator()).unique().tolist() == [4]


@pytest.mark.parametrize("pair", [(NUM_USERS, 0), (0, NUM_ITEMS), (-1, 0), (0, -1)])
def test_ids_out_of_range_are_refused(pair: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="ids outside 4 users or 6 items"):
        sampler([pair])
