"""`fixed_sample`: the same, ascending, without repetition."""

from __future__ import annotations

import torch

from anchorrec_graph.sample import fixed_sample


def test_a_sample_is_the_same_whatever_was_drawn_before() -> None:
    torch.manual_seed(1)
    first = fixed_sample(100, 10)
    torch.rand(5)
    assert fixed_sample(100, 10).equal(first)
    assert first.tolist() == sorted(set(first.tolist()))
    assert len(first) == 10
    assert 0 <= int(first.min()) <= int(first.max()) < 100


def test_another_seed_draws_others() -> None:
    assert not fixed_sample(100, 10, seed=1).equal(fixed_sample(100, 10))


def test_all_are_drawn_where_there_are_no_more() -> None:
    assert fixed_sample(4, 4).tolist() == fixed_sample(4, 9).tolist() == [0, 1, 2, 3]
    assert fixed_sample(0, 3).tolist() == []
