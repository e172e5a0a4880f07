"""`Hops`: steps of propagation towards some nodes, which leave out what no later step reads."""

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

    def taken(self, part: Tensor) -> Edges:
        """Those at the places `part`."""
        return Edges(*(values.index_select(0, part) for values in self))


class Step(NamedTuple):
    """One step: from the nodes of the step before, or those that propagation starts from, to some of them."""

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
        """`count` steps over `edges` between `size` nodes, to those in `asked` (ascending, none twice).

        A step ends at the nodes of the next one and at those that send to them. The first of one or more
        starts from all nodes, so that nothing is copied before it.
        """
        if count == 0:
            return cls((), asked)
        end, ends = asked, [asked]
        for _ in range(count - 1):
            read = among(end, size)
            read[edges.column.masked_select(read.index_select(0, edges.row))] = True
            end = read.nonzero().flatten()
            ends.append(end)
        steps, before, place = [], size, None
        for end in reversed(ends):
            here = place_of(end, size)
            row, column, weight = edges.taken(among(end, size).index_select(0, edges.row).nonzero().flatten())
            column = column if place is None else place.index_select(0, column)
            relation = Relation(here.index_select(0, row), column, weight, (len(end), before))
            steps.append(Step(relation, end if place is None else place.index_select(0, end)))
            before, place = len(end), here
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

    def travel(self, x: Tensor) -> Tensor:
        """The products of all steps: x [n, d] of what `begin` leaves -> [asked, d]."""
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


def distinct(nodes: Tensor, size: int) -> Tensor:
    """Each of `nodes` once, ascending, without a sort. [n] -> [n or fewer]."""
    return among(nodes, size).nonzero().flatten()


def place_of(nodes: Tensor, size: int) -> Tensor:
    """At each of `nodes` its place among them; what stands elsewhere means nothing. [n] -> [size]."""
    place = torch.zeros(size, dtype=torch.long)
    place[nodes] = torch.arange(len(nodes))
    return place
