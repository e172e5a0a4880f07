"""Drawing neighbours, and the relations made of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anchorrec_graph.graph.bipartite import bipartite_relation
from anchorrec_graph.graph.graphs import WholeGraphs
from anchorrec_graph.graph.subgraph import (
    FROM_ITEMS,
    FROM_USERS,
    Csr,
    Reach,
    draw_edges,
    incoming,
    item_graph_type,
)

DRAWS = 20_000


def csr_of(degrees: list[int]) -> Csr:
    rowptr = torch.tensor([0, *degrees]).cumsum(0)
    return Csr(rowptr, torch.arange(int(rowptr[-1])) * 7, torch.ones(int(rowptr[-1])))


def drawn(csr: Csr, rows: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    return draw_edges(csr, rows, count, torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.one_of(st.just(-1), st.integers(1, 11)),
    st.integers(0, 2**32),
)
def test_a_row_draws_its_own_edges_once_each(degrees: list[int], count: int, seed: int) -> None:
    csr, rows = csr_of(degrees), torch.arange(len(degrees)).flip(0)
    place, edge = drawn(csr, rows, count, seed)
    row = rows[place]
    assert len(edge.unique()) == len(edge)
    assert (csr.rowptr[row] <= edge).all()
    assert (edge < csr.rowptr[row + 1]).all()
    wanted = [degree if count < 0 else min(degree, count) for degree in degrees]
    assert torch.bincount(row, minlength=len(degrees)).tolist() == wanted


def test_every_edge_is_drawn_equally_often() -> None:
    csr = csr_of([7])
    _, edge = drawn(csr, torch.zeros(DRAWS, dtype=torch.long), 3, seed=1)
    share = torch.bincount(edge, minlength=7) / DRAWS
    deviation = (3 / 7 * 4 / 7 / DRAWS) ** 0.5
    assert (share - 3 / 7).abs().max() < 5 * deviation


def test_the_edges_of_both_directions_are_those_of_the_graph() -> None:
    pairs = torch.tensor([[0, 0, 1, 2, 2, 2], [1, 3, 3, 0, 1, 3]])
    graphs = WholeGraphs(3, bipartite_relation(pairs, 3, 4))
    edges = incoming(graphs)
    for user in range(3):
        csr = edges[FROM_ITEMS]
        assert (
            csr.column[csr.rowptr[user] : csr.rowptr[user + 1]].tolist()
            == pairs[1][pairs[0] == user].tolist()
        )
    for item in range(4):
        csr = edges[FROM_USERS]
        start, end = csr.rowptr[item], csr.rowptr[item + 1]
        assert csr.column[start:end].tolist() == pairs[0][pairs[1] == item].tolist()
        degrees = torch.bincount(pairs[0])[csr.column[start:end]] * (end - start)
        torch.testing.assert_close(csr.weight[start:end], degrees.float().rsqrt())


def test_walks_change_sides_at_every_hop() -> None:
    users, items = Reach(3).walks()
    assert (users.start, users.steps) == ("user", (FROM_ITEMS, FROM_USERS, FROM_ITEMS))
    assert (items.start, items.steps) == ("item", (FROM_USERS, FROM_ITEMS, FROM_USERS))
    assert all(walk.steps == () for walk in Reach(0).walks())


def test_users_walk_over_an_item_graph_where_they_gather_its_view() -> None:
    image, text = item_graph_type("image"), item_graph_type("text")
    walks = Reach(0, {"image": 2, "text": 1}, ("text",)).walks()[2:]
    assert walks == (("item", (image, image)), ("item", (text,)), ("user", (FROM_ITEMS, text)))


def test_a_view_that_users_gather_needs_its_hops() -> None:
    with pytest.raises(ValueError, match="to_users without item_hops: text"):
        Reach(2, {"image": 1}, ("image", "text")).walks()
