"""A small random data set for the tests of evaluation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.typing import Embeddings


class World(NamedTuple):
    """A small random data set with integer embeddings, so that scores are exact and often equal."""

    data: HeteroData
    embeddings: Embeddings
    train: list[set[int]]
    validation: list[set[int]]
    test: list[set[int]]


def make_world(num_users: int = 60, num_items: int = 300, seed: int = 0) -> World:
    generator = np.random.default_rng(seed)
    parts: list[list[set[int]]] = [[], [], []]
    for user in range(num_users):
        items = generator.permutation(num_items - 5)  # the last five items are in no split
        sizes = (
            int(generator.integers(1, 12)),
            int(user % 3 > 0),
            int(user % 4) * int(generator.integers(1, 9)),
        )
        start = 0
        for part, size in zip(parts, sizes, strict=True):
            part.append({int(item) for item in items[start : start + size]})
            start += size
    data = HeteroData()
    data["user"].num_nodes = num_users
    data["user"].ids = np.array([f"user {u}" for u in range(num_users)])
    data["item"].num_nodes = num_items
    edges = data["user", "interacts", "item"]
    edges.edge_index, edges.val_edge_label_index, edges.test_edge_label_index = map(pairs, parts)
    user, item = (torch.from_numpy(generator.integers(-3, 4, (n, 4))).float() for n in (num_users, num_items))
    return World(data, Embeddings(user, item, {}), *parts)


def pairs(sets: list[set[int]]) -> Tensor:
    return torch.tensor([(user, item) for user, items in enumerate(sets) for item in items]).T
