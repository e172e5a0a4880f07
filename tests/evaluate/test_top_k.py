from __future__ import annotations

import math

import naive_ranking
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anchorrec_graph.errors import DataError, TrainingError
from anchorrec_graph.evaluate import UserItems, top_k
from anchorrec_graph.evaluate.ranking import best_columns

GROUP = 64  # columns per group of row_topk


class Table:
    """A scorer that lends out rows of a table, or one row for everybody."""

    def __init__(self, scores: Tensor) -> None:
        self.table = scores

    def scores(self, users: Tensor) -> Tensor:
        return self.table.expand(len(users), -1) if self.table.dim() == 1 else self.table[users]


class Lending(Table):
    def scores(self, users: Tensor) -> Tensor:
        return self.table[int(users[0]) : int(users[-1]) + 1]


@given(
    num_items=st.sampled_from([1, 5, GROUP - 1, GROUP, 5 * GROUP, 9 * GROUP + 7]),
    k=st.integers(1, 12),
    levels=st.sampled_from([1, 2, 10, 10**6]),
    excluded=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 600)), max_size=40),
    block_size=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
@settings(deadline=None, max_examples=150)
def test_top_k_equals_a_stable_full_sort(
    num_items: int, k: int, levels: int, excluded: list[tuple[int, int]], block_size: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(levels, (6, num_items), generator=generator).float()
    scores[torch.rand(scores.shape, generator=generator) < 0.1] = -torch.inf
    pairs = [(user, item % num_items) for user, item in excluded]
    mask = UserItems.from_pairs(torch.tensor(pairs, dtype=torch.long).view(-1, 2).T, 6, num_items)
    users = torch.tensor([5, 0, 3, 3, 1])
    best = top_k(Table(scores), users, k, mask, block_size)
    for row, user in enumerate(users.tolist()):
        without = {item for u, item in pairs if u == user}
        expected = naive_ranking.top_k(scores[user].tolist(), k, without)
        assert best.items[row].tolist() == expected
        values = [scores[user, item].item() if item >= 0 else -math.inf for item in expected]
        assert best.scores[row].tolist() == values


@pytest.mark.parametrize("scorer", [Table, Lending])
def test_scores_of_the_scorer_are_left_as_they_were(scorer: type[Table]) -> None:
    table = torch.randn(8, 200)
    before = table.clone()
    mask = UserItems.from_pairs(torch.tensor([[0, 0, 3], [1, 199, 7]]), 8, 200)
    top_k(scorer(table), torch.arange(8), 5, mask)
    assert torch.equal(table, before)


@pytest.mark.parametrize("block_size", [1, 4])
def test_one_row_of_scores_for_everybody(block_size: int) -> None:
    popularity = torch.arange(200.0)
    mask = UserItems.from_pairs(torch.tensor([[0], [199]]), 3, 200)
    best = top_k(Table(popularity), torch.arange(3), 2, mask, block_size)
    assert best.items.tolist() == [[198, 197], [199, 198], [199, 198]]
    assert torch.equal(popularity, torch.arange(200.0))


def test_without_a_mask_and_without_users() -> None:
    best = top_k(Table(torch.tensor([[1.0, 3.0, 2.0]])), torch.tensor([0]), 2)
    assert best.items.tolist() == [[1, 2]]
    assert best.scores.tolist() == [[3, 2]]
    assert top_k(Table(torch.zeros(0, 3)), torch.empty(0, dtype=torch.long), 2).items.shape == (0, 2)


@pytest.mark.parametrize("num_items", [20, 40 * GROUP + 3])
def test_nan_is_named_even_among_equal_scores(num_items: int) -> None:
    scores = torch.zeros(10, num_items)
    scores[7, num_items - 1] = torch.nan
    with pytest.raises(TrainingError, match="scores of user row 7 hold NaN"):
        top_k(Table(scores), torch.arange(10), 5, block_size=4)


def test_scores_of_another_catalogue_are_refused() -> None:
    mask = UserItems.from_pairs(torch.tensor([[0], [0]]), 1, 30)
    with pytest.raises(DataError, match=r"\[1, 20\] for 1 users; the data has 30 items"):
        top_k(Table(torch.zeros(1, 20)), torch.tensor([0]), 5, mask)


def test_half_precision_has_ties_and_stays_exact() -> None:
    scores = torch.randn(5, 700, generator=torch.Generator().manual_seed(0)).bfloat16()
    best = best_columns(scores, 50)
    for row in range(5):
        assert best.items[row].tolist() == naive_ranking.top_k(scores[row].tolist(), 50, set())
