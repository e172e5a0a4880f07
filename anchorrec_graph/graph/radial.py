"""A radial tree layout whose labels cannot overlap, in points (1/72 inch)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Set
from typing import NamedTuple

import networkx as nx


class RadialLayout(NamedTuple):
    """Where each node stands: ring `depth` at `depth * ring` from the centre, at `angle`."""

    depth: Mapping[Hashable, int]  # the root has 0
    angle: Mapping[Hashable, float]  # radians, counter-clockwise from the x axis
    parents: Set[Hashable]  # nodes with a child on the next ring
    ring: float  # points between two rings

    def position(self, node: Hashable) -> tuple[float, float]:
        """x and y of `node` in points, the root at (0, 0)."""
        radius = self.depth[node] * self.ring
        return radius * math.cos(self.angle[node]), radius * math.sin(self.angle[node])


def radial_layout(graph: nx.Graph, root: Hashable, line_height: float, min_ring: float) -> RadialLayout:
    """Place the breadth-first tree of `graph` from `root` on rings, the first node on top, then clockwise.

    A node of ring d needs line_height / (d * ring) radians for a label that runs outwards. It gets
    2 pi w / W, where w = max(1 / d, sum of its children's w) and W is the w of the root, so
    ring = max(min_ring, line_height * W / 2 pi) keeps all labels of a ring apart. Labels of two
    rings stay apart if those of `parents` end before the next ring.

    Args:
        graph: directed edges are followed forwards; what cannot be reached is left out.
        line_height: points.
        min_ring: points.
    """
    tree = nx.bfs_tree(graph, root)
    order = list(tree)
    depth: dict[Hashable, int] = {root: 0}
    for parent, child in tree.edges:
        depth[child] = depth[parent] + 1
    weight: dict[Hashable, float] = {}
    for node in reversed(order):
        children = sum(weight[child] for child in tree[node])
        weight[node] = max(children, 1 / depth[node] if node != root else 0.0)
    whole = weight[root] or 1.0
    start: dict[Hashable, float] = {root: 0.0}
    for node in order:
        spare = weight[node] - sum(weight[child] for child in tree[node])
        at = start[node] + spare / 2
        for child in tree[node]:
            start[child] = at
            at += weight[child]
    # Half the first sector is turned back, so that the first node, not its border, is on top.
    first = weight[order[1]] / 2 if len(order) > 1 else 0.0
    angle = {
        node: math.pi / 2 - 2 * math.pi * (start[node] + weight[node] / 2 - first) / whole for node in order
    }
    parents = {parent for parent, _ in tree.edges}
    return RadialLayout(depth, angle, parents, max(min_ring, line_height * whole / (2 * math.pi)))
