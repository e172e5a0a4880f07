"""The part of a model's graphs that a batch reaches: which edges it draws, and the relations made of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch_geometric.typing import EdgeType

from anchorrec_graph.graph.graphs import SampledBatch, SampledGraphs, WholeGraphs
from anchorrec_graph.graph.hops import Edges, Hops, among, distinct, place_of
from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.typing import Batch

USER: Literal["user"] = "user"
ITEM: Literal["item"] = "item"
FROM_ITEMS, FROM_USERS = (ITEM, "reaches", USER), (USER, "reaches", ITEM)


class Walk(NamedTuple):
    """Edge types along which a batch's users or items draw neighbours, hop by hop.

    An edge type is (source, relation, destination); the nodes that a hop starts from are destinations.
    """

    start: Literal["user", "item"]
    steps: tuple[EdgeType, ...]


class Reach(NamedTuple):
    """What the rows of a batch's users and items are made of."""

    num_hops: int  # over the user-item graph
    item_hops: Mapping[str, int] = MappingProxyType({})  # over each modality's item graph, for its view
    to_users: tuple[str, ...] = ()  # those of `item_hops` whose views users gather from their items

    def walks(self) -> tuple[Walk, ...]:
        """The edges that lead there.

        Raises:
            ValueError: `to_users` names a modality without `item_hops`.
        """
        if lost := set(self.to_users) - set(self.item_hops):
            raise ValueError(f"to_users without item_hops: {', '.join(sorted(lost))}")
        steps = [FROM_ITEMS, FROM_USERS] * self.num_hops
        walks = [Walk(USER, tuple(steps[: self.num_hops])), Walk(ITEM, tuple(steps[1 : self.num_hops + 1]))]
        for modality, count in self.item_hops.items():
            hops = (item_graph_type(modality),) * count
            walks.append(Walk(ITEM, hops))
            if modality in self.to_users:
                walks.append(Walk(USER, (FROM_ITEMS, *hops)))
        return tuple(walks)


class Csr(NamedTuple):
    """Incoming edges of every destination: those of row r are `rowptr[r]` to `rowptr[r + 1]`."""

    rowptr: Tensor  # [rows + 1]
    column: Tensor  # [E] the sources
    weight: Tensor  # [E]

    def degree(self, rows: Tensor) -> Tensor:
        return self.rowptr.index_select(0, rows + 1) - self.rowptr.index_select(0, rows)


def item_graph_type(modality: str) -> EdgeType:
    """The edge type of a modality's item graph, as `graph.knn.attach_item_graphs` names it."""
    return (ITEM, f"{modality}_knn", ITEM)


def incoming(graphs: WholeGraphs) -> dict[EdgeType, Csr]:
    """The incoming edges of whole `graphs`, by edge type."""
    num_users, (rowptr, column, weight) = graphs.num_users, graphs.user_item.csr()
    start = int(rowptr[num_users])
    edges = {
        FROM_ITEMS: Csr(rowptr[: num_users + 1], column[:start] - num_users, weight[:start]),
        FROM_USERS: Csr(rowptr[num_users:] - start, column[start:], weight[start:]),
    }
    return edges | {item_graph_type(m): Csr(*graph.csr()) for m, graph in graphs.item_graphs.items()}


def draw_edges(csr: Csr, rows: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """At most `count` incoming edges of each row (-1: all), without repetition: (place in `rows`, edge) [n].

    Systematic sampling: of d edges in a row those at :math:`(k d + r) // f`, k = 0 .. f - 1, with r
    uniform on 0 .. d - 1. Each is drawn with probability exactly f / d, and no two are the same.
    """
    start, degree = csr.rowptr.index_select(0, rows), csr.degree(rows)
    kept = degree if count < 0 else degree.clamp(max=count)
    offset = torch.randint(2**62, degree.shape, generator=generator) % degree.clamp(min=1)
    place = torch.repeat_interleave(kept)
    first, start, degree, offset, kept = (  # of each drawn edge's row
        values.index_select(0, place) for values in (kept.cumsum(0) - kept, start, degree, offset, kept)
    )
    rank = torch.arange(len(place)) - first
    return place, start + (rank * degree + offset) // kept


def scaled(csr: Csr, edge: Tensor, row: Tensor, column: Tensor, ids: Tensor) -> Edges:
    r"""Drawn edges between a batch's nodes, with the weights of a row that drew f of its d edges times d / f.

    So a row of a product is an unbiased estimate of that over all edges; with all drawn it is the same.

    Args:
        edge: [E] which edges of `csr` these are.
        row, column: [E] in local numbers.
        ids: the row of `csr` by local number.
    """
    share = csr.degree(ids) / torch.bincount(row, minlength=len(ids))
    return Edges(row, column, csr.weight.index_select(0, edge) * share.index_select(0, row))


def sampled_batch(
    reach: Reach, drawn: Mapping[EdgeType, Edges], user_ids: Tensor, item_ids: Tensor, batch: Batch
) -> SampledBatch:
    """A batch, with the drawn edges as relations over the nodes that they reach.

    Args:
        drawn: in local numbers.
        user_ids: [n] by local number.
        item_ids: [m] by local number.
        batch: in local numbers.
    """
    n, m = len(user_ids), len(item_ids)
    users, items = distinct(batch.users, n), distinct(torch.cat(batch[1:]), m)
    from_items, from_users = drawn[FROM_ITEMS], drawn[FROM_USERS]
    square = Edges(
        torch.cat([from_items.row, from_users.row + n]),
        torch.cat([from_items.column + n, from_users.column]),
        torch.cat([from_items.weight, from_users.weight]),
    )
    user_place, item_place = place_of(users, n), place_of(items, m)
    viewed, view_place, user_from_item = items, item_place, None
    if reach.to_users:
        gathered = from_items.taken(among(users, n).index_select(0, from_items.row).nonzero().flatten())
        viewed = distinct(torch.cat([items, gathered.column]), m)
        view_place = place_of(viewed, m)
        row, column = user_place.index_select(0, gathered.row), view_place.index_select(0, gathered.column)
        user_from_item = Relation(row, column, gathered.weight, (len(users), len(viewed)))
    graphs = SampledGraphs(
        num_users=len(users),
        user_item=Hops.towards(torch.cat([users, items + n]), square, n + m, reach.num_hops),
        user_from_item=user_from_item,
        item_graphs={
            modality: Hops.towards(
                viewed if modality in reach.to_users else items, drawn[item_graph_type(modality)], m, count
            )
            for modality, count in reach.item_hops.items()
        },
        user_ids=user_ids,
        item_ids=item_ids,
        asked_users=user_ids[users],
        asked_items=item_ids[items],
        asked_rows=dict.fromkeys(reach.to_users, view_place[items]),
    )
    rows = user_place[batch.users], item_place[batch.positive_items], item_place[batch.negative_items]
    return SampledBatch(Batch(*rows), graphs)
