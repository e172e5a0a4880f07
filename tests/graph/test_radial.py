"""The layout keeps the room that it promises."""

from __future__ import annotations

import math
from itertools import combinations

import networkx as nx
import pytest

from anchorrec_graph.graph.radial import radial_layout


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [3, 30, 150])
def test_nodes_of_a_ring_are_a_line_apart(size: int, seed: int) -> None:
    graph = nx.random_labeled_tree(size, seed=seed).to_directed()
    layout = radial_layout(graph, 0, line_height=10, min_ring=1)
    assert layout.depth == nx.single_source_shortest_path_length(graph, 0)
    for a, b in combinations(set(graph) - {0}, 2):
        if layout.depth[a] == layout.depth[b]:
            turn = abs(layout.angle[a] - layout.angle[b]) % (2 * math.pi)
            arc = min(turn, 2 * math.pi - turn) * layout.depth[a] * layout.ring
            assert arc >= 10 - 1e-9


def test_first_child_is_on_top_and_the_second_to_its_right() -> None:
    layout = radial_layout(
        nx.DiGraph([("root", "a"), ("root", "b"), ("root", "c"), ("a", "d")]), "root", 1, 50
    )
    assert layout.position("root") == (0, 0)
    assert layout.position("a") == pytest.approx((0, 50))
    assert layout.position("b")[0] > 0
    assert layout.position("d") == pytest.approx((0, 100))
    assert layout.parents == {"root", "a"}


def test_lonely_root_and_unreachable_nodes() -> None:
    layout = radial_layout(nx.DiGraph([("b", "root")]), "root", 1, 50)
    assert layout.depth == {"root": 0}
    assert layout.ring == 50
