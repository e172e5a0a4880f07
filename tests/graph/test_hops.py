"""Steps towards the nodes that are asked for, against the same steps over all nodes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anchorrec_graph.graph.hops import Edges, Hops
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.nn.backbone import Backbone, LightGCNBackbone, LightGCNBackboneConfig

SIZE = 30


def edges_of(count: int, seed: int) -> Edges:
    draw = torch.Generator().manual_seed(seed)
    ends = torch.randperm(SIZE * SIZE, generator=draw)[:count]  # no edge twice
    return Edges(ends // SIZE, ends % SIZE, torch.rand(count, generator=draw, dtype=torch.float64))


def nodes(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class TermByTerm(Backbone):
    """LightGCN as a user would write it, who knows nothing of `Hops`."""

    def forward(self, x: Tensor, graph: Relation) -> Tensor:
        once = graph(x)
        return (x + once + graph(once)) / 3

    def num_hops(self) -> int:
        return 2


@settings(deadline=None)
@given(
    st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=6, unique=True).map(sorted),
    st.integers(0, 200),
    st.integers(0, 3),
    st.integers(0, 99),
)
def test_the_nodes_asked_for_get_what_they_get_over_all_nodes(
    asked: list[int], num_edges: int, count: int, seed: int
) -> None:
    edges, wanted, x = edges_of(num_edges, seed), torch.tensor(asked), nodes(SIZE, 4)
    hops, whole = Hops.towards(wanted, edges, SIZE, count), Relation(*edges, (SIZE, SIZE))
    assert len(hops.steps) == count
    torch.testing.assert_close(hops.travel(hops.begin(x)), Hops.whole(whole, count).travel(x)[wanted])
    assert hops.kept(torch.arange(SIZE)).equal(wanted)
    backbone = LightGCNBackbone(LightGCNBackboneConfig(num_layers=count), 4)
    torch.testing.assert_close(backbone.over(x, hops), backbone(x, whole)[wanted])


@pytest.mark.parametrize("asked", [[3], [0, 7, 29]])
def test_a_backbone_that_does_not_know_hops_travels_over_their_edges(asked: list[int]) -> None:
    edges, wanted, x = edges_of(60, 1), torch.tensor(asked), nodes(SIZE, 4)
    hops = Hops.towards(wanted, edges, SIZE, 2)
    backbone = TermByTerm()
    expected = backbone(x, Relation(*edges, (SIZE, SIZE)))[wanted]
    torch.testing.assert_close(backbone.over(x, hops), expected)
    ours = LightGCNBackbone(LightGCNBackboneConfig(num_layers=2), 4)
    torch.testing.assert_close(ours.over(x, hops), expected)


def test_a_step_ends_at_what_the_next_one_reads() -> None:
    chain = Edges(torch.arange(5), torch.arange(5) + 1, torch.ones(5))  # 5 -> 4 -> ... -> 0
    hops = Hops.towards(torch.tensor([0]), chain, 6, 3)
    assert [step.relation.size for step in hops.steps] == [(3, 6), (2, 3), (1, 2)]
    assert [step.relation.weight.numel() for step in hops.steps] == [3, 2, 1]
    assert hops.travel(torch.arange(6.0).unsqueeze(1)).item() == 3


def test_edges_between_all_nodes_where_there_is_no_step() -> None:
    hops = Hops.towards(torch.tensor([2]), edges_of(9, 0), SIZE, 0)
    assert hops.square(SIZE).weight.numel() == 0
    assert hops.begin(nodes(SIZE, 2)).equal(nodes(SIZE, 2)[[2]])
