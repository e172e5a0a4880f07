"""`UserItems`: a set of user-item pairs that answers questions about many users at once."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.base import INTERACTS

PAIRS = {"train": "edge_index", "validation": "val_edge_label_index", "test": "test_edge_label_index"}


def with_held_out_of(data: HeteroData, split: str, users: Tensor) -> HeteroData:
    """The same data with the split's pairs of these users only; `data` keeps its own."""
    data = copy.copy(data)
    pairs = data[INTERACTS][PAIRS[split]]
    data[INTERACTS][PAIRS[split]] = pairs[:, torch.isin(pairs[0], users)]
    return data


class UserItems(NamedTuple):
    """E distinct user-item pairs as sorted keys (user * I + item) and row pointers, on the CPU."""

    keys: Tensor  # [E] int64, ascending
    pointers: Tensor  # [U + 1] int64; the keys of user u are keys[pointers[u] : pointers[u + 1]]
    num_items: int

    @classmethod
    def from_pairs(cls, pairs: Tensor, num_users: int, num_items: int) -> UserItems:
        """Index pairs [2, E'] of (user, item) row numbers; duplicates count once."""
        user, item = pairs.cpu().long()
        keys = torch.unique(user * num_items + item)
        counts = torch.bincount(keys // num_items, minlength=num_users)
        return cls(keys, torch.cat([counts.new_zeros(1), counts.cumsum(0)]), num_items)

    @property
    def pairs(self) -> Tensor:
        """[2, E] the distinct pairs in order of user, then item."""
        return torch.stack([self.keys // self.num_items, self.keys % self.num_items])

    def counts(self) -> Tensor:
        """[U] number of items of each user."""
        return self.pointers.diff()

    def select(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """The items of `users` [B], as positions in `users` [M] and items [M]."""
        starts, ends = self.pointers[users], self.pointers[users + 1]
        counts = ends - starts
        rows = torch.repeat_interleave(counts)
        within = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
        return rows, self.keys[starts[rows] + within] % self.num_items

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Whether items[j, r] belongs to users[j]: users [n], items [n, K] -> [n, K] bool.

        The padding -1 belongs to nobody.
        """
        if len(self.keys) == 0:
            return torch.zeros_like(items, dtype=torch.bool)
        wanted = users[:, None] * self.num_items + items
        nearest = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
        return (self.keys[nearest] == wanted) & (items >= 0)


def positives(data: HeteroData, *names: str) -> UserItems:
    """The pairs of the named splits ("train", "validation", "test") together; a split may be missing."""
    edges = data[INTERACTS]
    parts = [edges[PAIRS[name]] for name in names if PAIRS[name] in edges]
    pairs = torch.cat([part.cpu() for part in parts], dim=1) if parts else torch.empty(2, 0, dtype=torch.long)
    return UserItems.from_pairs(pairs, int(data["user"].num_nodes), int(data["item"].num_nodes))
