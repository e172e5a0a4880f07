"""`Graphs`: what a model propagates over, whole or the part that a batch reaches."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch_geometric.typing import EdgeType

from anchorrec_graph.graph.relation import Relation
from anchorrec_graph.typing import Batch

USER, ITEM = "user", "item"
FROM_ITEMS, FROM_USERS = (ITEM, "reaches", USER), (USER, "reaches", ITEM)


class Graphs(NamedTuple):
    """Relations over n users and m items: all, or those named by `user_ids` and `item_ids`, in that order."""

    num_users: int  # n
    user_item: Relation  # (n + m, n + m), users first
    user_from_item: Relation | None = None  # (n, m), its upper right block, where the model has it
    item_graphs: Mapping[str, Relation] = MappingProxyType({})  # (m, m) by modality
    user_ids: Tensor | None = None  # [n] rows of the user table; None: all
    item_ids: Tensor | None = None  # [m] rows of the item table; None: all

    def to_users(self, items: Tensor) -> Tensor:
        """One hop from items [m, d] to users [n, d].

        Raises:
            ValueError: these graphs have no `user_from_item`.
        """
        if self.user_from_item is None:
            raise ValueError("graphs without user_from_item")
        rows: Tensor = self.user_from_item(items)
        return rows


class SampledBatch(NamedTuple):
    """A batch in row numbers of its own graphs."""

    batch: Batch
    graphs: Graphs


class Walk(NamedTuple):
    """Edge types along which a batch's users or items draw neighbours, hop by hop.

    An edge type is (source, relation, destination); the nodes that a hop starts from are destinations.
    """

    start: Literal["user", "item"]
    steps: tuple[EdgeType, ...]


class Csr(NamedTuple):
    """Incoming edges of every destination: those of row r are `rowptr[r]` to `rowptr[r + 1]`."""

    rowptr: Tensor  # [rows + 1]
    column: Tensor  # [E] the sources
    weight: Tensor  # [E]

    def degree(self, rows: Tensor) -> Tensor:
        return self.rowptr[rows + 1] - self.rowptr[rows]


def item_graph_type(modality: str) -> EdgeType:
    """The edge type of a modality's item graph, as `graph.knn.attach_item_graphs` names it."""
    return (ITEM, f"{modality}_knn", ITEM)


def user_item_walks(num_hops: int) -> tuple[Walk, Walk]:
    """What a backbone of `num_hops` steps reads of users and of items."""
    steps = [FROM_ITEMS, FROM_USERS] * num_hops
    return Walk("user", tuple(steps[:num_hops])), Walk("item", tuple(steps[1 : num_hops + 1]))


def incoming(graphs: Graphs) -> dict[EdgeType, Csr]:
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
    start, degree = csr.rowptr[rows], csr.degree(rows)
    kept = degree if count < 0 else degree.clamp(max=count)
    offset = torch.randint(2**62, degree.shape, generator=generator) % degree.clamp(min=1)
    place = torch.repeat_interleave(kept)
    rank = torch.arange(len(place)) - (kept.cumsum(0) - kept)[place]
    return place, start[place] + (rank * degree[place] + offset[place]) // kept[place]


def local_graphs(
    edges: Mapping[EdgeType, Csr],
    drawn: Mapping[EdgeType, tuple[Tensor, Tensor]],
    edge_ids: Mapping[EdgeType, Tensor],
    user_ids: Tensor,
    item_ids: Tensor,
) -> Graphs:
    r"""The drawn edges as relations over the nodes that they reach.

    A row that drew f of its d edges has their weights times d / f, so that a row of the product is an
    unbiased estimate of that over all edges; with all drawn it is the same.

    Args:
        edges: of the whole graphs.
        drawn: (source, destination) of the drawn edges, in local numbers.
        edge_ids: which edges these are, as places in `edges`.
        user_ids, item_ids: the nodes by local number.
    """
    ids, size = {USER: user_ids, ITEM: item_ids}, {USER: len(user_ids), ITEM: len(item_ids)}
    weights = {}
    for kind, (_, destination) in drawn.items():
        found = torch.bincount(destination, minlength=size[kind[2]])[destination]
        degree = edges[kind].degree(ids[kind[2]])[destination]
        weights[kind] = edges[kind].weight[edge_ids[kind]] * (degree / found)
    (item, user), (sender, receiver) = drawn[FROM_ITEMS], drawn[FROM_USERS]
    n, m = size[USER], size[ITEM]
    weight = torch.cat([weights[FROM_ITEMS], weights[FROM_USERS]])
    square = Relation(torch.cat([user, receiver + n]), torch.cat([item + n, sender]), weight, (n + m, n + m))
    item_graphs = {
        kind[1].removesuffix("_knn"): Relation(destination, source, weights[kind], (m, m))
        for kind, (source, destination) in drawn.items()
        if kind not in (FROM_ITEMS, FROM_USERS)
    }
    block = Relation(user, item, weights[FROM_ITEMS], (n, m))
    return Graphs(n, square, block, item_graphs, user_ids, item_ids)
