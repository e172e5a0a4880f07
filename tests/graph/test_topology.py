"""Views and statistics against networkx, scipy and loops."""

from __future__ import annotations

import math
import statistics

import networkx as nx
import pytest
import scipy.stats
import torch
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.graph.topology import (
    component_sizes,
    degree_summary,
    degrees,
    ego_network,
    hubness,
    neighbour_overlap,
    to_networkx_bipartite,
    to_networkx_items,
)


def random_knn(num_items: int, k: int, seed: int, self_loops: bool = False) -> Tensor:
    """k distinct random neighbours of every item; with `self_loops` the item itself may be one."""
    score = torch.rand(num_items, num_items, generator=torch.Generator().manual_seed(seed))
    if not self_loops:
        score.fill_diagonal_(-1)
    item = torch.arange(num_items).repeat_interleave(k)
    return torch.stack([item, score.topk(k).indices.flatten()])


def neighbour_sets(edge_index: Tensor, num_items: int) -> list[set[int]]:
    sets: list[set[int]] = [set() for _ in range(num_items)]
    for item, neighbour in edge_index.T.tolist():
        if item != neighbour:
            sets[item].add(neighbour)
    return sets


def test_bipartite_view_has_every_node_and_each_pair_once() -> None:
    graph = to_networkx_bipartite(torch.tensor([[0, 0, 2, 0], [1, 3, 1, 1]]), num_users=3, num_items=4)
    assert graph.number_of_nodes() == 7
    assert {frozenset(edge) for edge in graph.edges} == {
        frozenset({("user", u), ("item", i)}) for u, i in [(0, 1), (0, 3), (2, 1)]
    }
    assert nx.is_bipartite(graph)
    assert graph.nodes[("user", 1)]["bipartite"] == 0
    assert graph.nodes[("item", 0)]["bipartite"] == 1


def test_item_view_keeps_direction_weight_titles_and_self_loops() -> None:
    edge_index, weight = torch.tensor([[0, 2, 1], [2, 0, 1]]), torch.tensor([0.5, 0.25, 1.0])
    graph = to_networkx_items(edge_index, weight, 4, ["a", "b", "c", "d"])
    assert sorted(graph.edges(data="weight")) == [(0, 2, 0.5), (1, 1, 1.0), (2, 0, 0.25)]
    assert dict(graph.nodes(data="title")) == {0: "a", 1: "b", 2: "c", 3: "d"}
    assert "title" not in to_networkx_items(edge_index, weight, 4).nodes[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, w: to_networkx_bipartite(e, 2, 9), r"user id 2 is outside 0 \.\. 1"),
        (lambda e, w: to_networkx_bipartite(e, 9, 3), r"item id 3 is outside 0 \.\. 2"),
        (lambda e, w: to_networkx_items(e, w, 3), "item id 3"),
        (lambda e, w: to_networkx_items(e, w[:1], 4), r"2 edges have weights of shape \[1\]"),
        (lambda e, w: to_networkx_items(e, w, 4, ["a"]), "4 items have 1 titles"),
        (lambda e, w: degrees(-e[0], 4), "node id -2"),
        (lambda e, w: component_sizes(e, 3), "node id 3"),
        (lambda e, w: hubness(e, 3), "item id 3"),
        (lambda e, w: neighbour_overlap(e, e, 3), "item id 3"),
        (lambda e, w: degree_summary(w[:0]), "without nodes"),
    ],
)
def test_contradictions_are_refused(call, message) -> None:
    with pytest.raises(DataError, match=message):
        call(torch.tensor([[0, 2], [3, 1]]), torch.ones(2))


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_ego_network_is_the_subgraph_within_reach(radius: int) -> None:
    edge_index = random_knn(40, 3, seed=1)
    graph = to_networkx_items(edge_index, torch.ones(120), 40)
    reach = {5}
    for _ in range(radius):
        reach |= {neighbour for item, neighbour in edge_index.T.tolist() if item in reach}
    ego = ego_network(graph, 5, radius)
    assert set(ego) == reach
    assert set(ego.edges) == set(graph.subgraph(reach).edges)


def test_ego_network_of_a_bipartite_view_alternates() -> None:
    graph = to_networkx_bipartite(torch.tensor([[0, 1, 1, 2], [0, 0, 1, 2]]), 3, 3)
    assert set(ego_network(graph, ("item", 0), 2)) == {("item", 0), ("user", 0), ("user", 1), ("item", 1)}


def test_ego_network_refuses_strangers_and_negative_radii() -> None:
    graph = to_networkx_items(torch.zeros(2, 0, dtype=torch.long), torch.ones(0), 2)
    with pytest.raises(DataError, match="7 is not a node of this graph of 2 nodes"):
        ego_network(graph, 7, 1)
    with pytest.raises(DataError, match="radius is -1"):
        ego_network(graph, 0, -1)


def test_degrees_are_those_of_networkx() -> None:
    edge_index = random_knn(30, 4, seed=2)
    graph = to_networkx_items(edge_index, torch.ones(120), 30)
    assert degrees(edge_index[1], 30).tolist() == [graph.in_degree(i) for i in range(30)]
    assert degrees(edge_index[0], 30).tolist() == [4] * 30


@pytest.mark.parametrize("values", [[3], [0, 0], [2, 2, 2, 2], [0, 0, 0, 8], [5, 0, 1, 1, 9, 4]])
def test_degree_summary_against_its_definitions(values: list[int]) -> None:
    summary = degree_summary(torch.tensor(values))
    total, n = sum(values), len(values)
    differences = sum(abs(a - b) for a in values for b in values)
    assert summary.minimum == min(values)
    assert summary.maximum == max(values)
    assert summary.median == statistics.median(values)
    assert summary.mean == pytest.approx(statistics.fmean(values))
    assert summary.isolated == values.count(0)
    assert summary.gini == pytest.approx(differences / (2 * n * total) if total else 0.0)


@pytest.mark.parametrize("num_edges", [0, 10, 40])
def test_component_sizes_are_those_of_networkx(num_edges: int) -> None:
    edge_index = torch.randint(50, (2, num_edges), generator=torch.Generator().manual_seed(num_edges))
    graph = nx.DiGraph()
    graph.add_nodes_from(range(50))
    graph.add_edges_from(edge_index.T.tolist())
    expected = sorted(map(len, nx.weakly_connected_components(graph)), reverse=True)
    assert component_sizes(edge_index, 50).tolist() == expected


def test_component_sizes_of_users_and_items_together() -> None:
    edge_index = torch.tensor([[0, 1, 2], [0, 0, 1]])
    together = edge_index + torch.tensor([[0], [3]])
    assert component_sizes(together, 3 + 3).tolist() == [3, 2, 1]


def test_hubness_against_scipy() -> None:
    edge_index = random_knn(60, 5, seed=3)
    result = hubness(edge_index, 60, top=7)
    count = [sum(i in others for others in neighbour_sets(edge_index, 60)) for i in range(60)]
    assert result.occurrences.tolist() == count
    assert result.skewness == pytest.approx(scipy.stats.skew(count))
    assert result.antihubs == count.count(0)
    assert result.hubs.tolist() == sorted(range(60), key=lambda i: (-count[i], i))[:7]


def test_hubness_finds_the_planted_hub_and_leaves_self_loops_out() -> None:
    star = torch.tensor([[0, 1, 2, 3, 4, 4], [0, 4, 4, 4, 0, 4]])
    result = hubness(star, 5, top=1)
    assert result.hubs.tolist() == [4]
    assert result.occurrences.tolist() == [1, 0, 0, 0, 3]
    assert result.skewness > 1


def test_equal_occurrences_have_no_skew() -> None:
    ring = torch.stack([torch.arange(6), (torch.arange(6) + 1) % 6])
    assert hubness(ring, 6).skewness == 0
    assert hubness(ring[:, :0], 6).antihubs == 6


@pytest.mark.parametrize("self_loops", [False, True])
def test_overlap_against_sets(self_loops: bool) -> None:
    n = 25
    a, b = random_knn(n, 6, 4, self_loops), random_knn(n, 6, 5, self_loops)
    sets = list(zip(neighbour_sets(a, n), neighbour_sets(b, n), strict=True))
    share = [len(one & two) / min(len(one), len(two)) for one, two in sets]
    observed = statistics.fmean(share)
    chance = statistics.fmean(max(len(one), len(two)) / (n - 1) for one, two in sets)
    result = neighbour_overlap(a, b, n)
    assert result.per_item.tolist() == pytest.approx(share)
    assert result.mean == pytest.approx(observed)
    assert result.corrected == pytest.approx((observed - chance) / (1 - chance))
    if not self_loops:
        assert chance == pytest.approx(6 / (n - 1))


def test_overlap_is_one_for_equal_graphs_in_any_order_of_edges() -> None:
    edge_index = random_knn(30, 4, seed=6)
    shuffled = edge_index[:, torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    result = neighbour_overlap(edge_index, torch.cat([shuffled, shuffled[:, :9]], dim=1), 30)
    assert (result.mean, result.corrected) == (1.0, 1.0)


def test_overlap_of_random_graphs_is_chance() -> None:
    result = neighbour_overlap(random_knn(600, 10, 7), random_knn(600, 10, 8), 600)
    assert result.mean == pytest.approx(10 / 599, abs=0.006)
    assert result.corrected == pytest.approx(0, abs=0.006)


def test_overlap_leaves_out_items_without_neighbours() -> None:
    a, b = torch.tensor([[0, 1, 2], [1, 2, 2]]), torch.tensor([[0, 1], [1, 0]])
    result = neighbour_overlap(a, b, 3)
    assert result.per_item.tolist() == pytest.approx([1.0, 0.0, math.nan], nan_ok=True)
    assert result.mean == 0.5
    with pytest.raises(DataError, match="no item has neighbours in both"):
        neighbour_overlap(a[:, :1], b[:, 1:], 3)


def test_overlap_of_complete_graphs_cannot_be_corrected() -> None:
    complete = random_knn(5, 4, seed=9)
    result = neighbour_overlap(complete, complete, 5)
    assert result.mean == 1
    assert math.isnan(result.corrected)
