"""The user-item graph of the training interactions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.graph.normalize import inverse_sqrt
from anchorrec_graph.graph.relation import Relation, normalized_relation


def bipartite_relation(edge_index: Tensor, num_users: int, num_items: int) -> Relation:
    r"""A^ = D^-1/2 A D^-1/2 with A = [[0, R], [R^T, 0]]: nodes are users, then items.

    Args:
        edge_index: int64 [2, E], (user, item) training pairs.

    Returns:
        A symmetric `Relation` of size (U + I, U + I) with 2E edges.
    """
    user, item = edge_index[0], edge_index[1] + num_users
    row, column = torch.cat([user, item]), torch.cat([item, user])
    return normalized_relation(row, column, torch.ones(row.numel()), num_users + num_items)


def user_from_item_relation(edge_index: Tensor, num_users: int, num_items: int) -> Relation:
    r"""R^, the upper right block of A^: one hop from items to users, R^_ui = 1 / sqrt(d_u d_i)."""
    user, item = edge_index
    user_degree = torch.bincount(user, minlength=num_users).float()
    item_degree = torch.bincount(item, minlength=num_items).float()
    weight = (user_degree[user] * item_degree[item]).rsqrt()
    return Relation(user, item, weight, (num_users, num_items))


def sent_to_strangers(rows: Tensor, graph: Relation) -> Tensor:
    r"""Item rows :math:`y_i / \sqrt{d_i}`: a user with n items whom the graph does not have gets
    :math:`n^{-1/2}` times their sum, since an edge to one weighs :math:`1 / \sqrt{n d_i}` as in A^.

    The degrees stay those of training. Shapes: rows [I, d], graph of `bipartite_relation` -> [I, d].
    """
    degree = torch.bincount(graph.edge_index[1], minlength=graph.size[0])[-len(rows) :]
    return rows * inverse_sqrt(degree.to(rows.dtype)).unsqueeze(1)


def interaction_relation(edge_index: Tensor, num_users: int, num_items: int) -> Relation:
    """R itself, from items to users: the sum over a user's items."""
    user, item = edge_index
    return Relation(user, item, torch.ones(user.numel()), (num_users, num_items))


def random_walk_relation(edge_index: Tensor, num_users: int, num_items: int) -> Relation:
    """D^-1 (A + I), the mean over a node's neighbours and itself, with A as in `bipartite_relation`."""
    num_nodes = num_users + num_items
    user, item, node = edge_index[0], edge_index[1] + num_users, torch.arange(num_nodes)
    row, column = torch.cat([user, item, node]), torch.cat([item, user, node])
    weight = torch.bincount(row).float().reciprocal()[row]
    return Relation(row, column, weight, (num_nodes, num_nodes))


def train_graph(data: HeteroData) -> tuple[Tensor, int, int]:
    """(edge_index [2, E], number of users, number of items) of the training interactions."""
    return data[INTERACTS].edge_index, int(data["user"].num_nodes), int(data["item"].num_nodes)
