"""`Hops`: steps of propagation towards some nodes, each over those alone that later steps still read."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anchorrec_graph.graph.relation import Relation


class Edges(NamedTuple):
    """Weighted edges, as a `Relation` takes them."""

    row: Tensor  # [E] destinations
    column: Tensor  # [E] sources
    weight: Tensor  # [E]

    def of(self, part: Tensor | slice) -> Edges:
        return Edges(self.row[part], self.column[part], self.weight[part])


class Step(NamedTuple):
    """One step: from the nodes of the step before, or those that propagation starts from, to fewer."""

    relation: Relation  # (rows, nodes before)
    rows: Tensor | None = None  # [rows] which of the nodes before these are; None: all, in their order

    def kept(self, x: Tensor) -> Tensor:
        """Of what stands at the nodes before, what stands at these."""
        return x if self.rows is None else x.index_select(0, self.rows)


class Hops(NamedTuple):
    """Steps in the order of travel: the last one ends at the nodes that are asked for."""

    steps: tuple[Step, ...]
    start: Tensor | None = None  # which nodes the first step starts from; None: all

    @classmethod
    def whole(cls, relation: Relation, count: int) -> Hops:
        """`count` steps over all nodes of a square relation."""
        return cls((Step(relation),) * count)

    @classmethod
    def towards(cls, asked: Tensor, edges: Edges, size: int, count: int) -> Hops:
        """`count` steps over `edges` between `size` nodes, to those in `asked` (ascending).

        With one step or more, the first starts from all nodes, so that nothing is copied before it.
        """
        if count == 0:
            return cls((), asked)
        ends, used = [asked], list[Edges]()
        for _ in range(count):
            read = among(ends[-1], size)
            used.append(edges.of(read[edges.row].nonzero().flatten()))
            read[used[-1].column] = True
            ends.append(read.nonzero().flatten())
        ends[-1] = torch.arange(size)
        places = [place_of(nodes, size) for nodes in ends]
        steps = []
        for end, (row, column, weight) in reversed(list(enumerate(used))):
            here, before = places[end], places[end + 1]
            shape = len(ends[end]), len(ends[end + 1])
            relation = Relation(here[row], before[column], weight, shape)
            steps.append(Step(relation, before[ends[end]]))
        return cls(tuple(steps))

    def begin(self, x: Tensor) -> Tensor:
        """Of all nodes' x [n, d], that of those which the first step starts from."""
        return x if self.start is None else x.index_select(0, self.start)

    def kept(self, x: Tensor) -> Tensor:
        """Of all nodes' x [n, d], that of those which are asked for."""
        x = self.begin(x)
        for step in self.steps:
            x = step.kept(x)
        return x

    def __call__(self, x: Tensor) -> Tensor:
        """The products of all steps: x [n, d] of all nodes -> [asked, d]."""
        x = self.begin(x)
        for step in self.steps:
            x = step.relation(x)
        return x

    def square(self, size: int) -> Relation:
        """All edges that the steps use, between all `size` nodes."""
        if not self.steps:
            none = torch.empty(0, dtype=torch.long)
            return Relation(none, none, torch.empty(0), (size, size))
        first = self.steps[0]  # it uses the edges of the later ones too
        column, row = first.relation.edge_index
        return Relation(first.kept(torch.arange(size))[row], column, first.relation.weight, (size, size))


def among(nodes: Tensor, size: int) -> Tensor:
    """Which of `size` nodes are some of `nodes`. [n] -> bool [size]."""
    found = torch.zeros(size, dtype=torch.bool)
    found[nodes] = True
    return found


def place_of(nodes: Tensor, size: int) -> Tensor:
    """At each of `nodes` its place among them; what stands elsewhere means nothing. [n] -> [size]."""
    place = torch.zeros(size, dtype=torch.long)
    place[nodes] = torch.arange(len(nodes))
    return place
