"""`NegativeSampler`: items that a user has not interacted with, drawn exactly uniformly."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.errors import DataError


class NegativeSampler:
    """Draws one negative item per user, uniformly over the items that are not its training positives.

    No rejection. With a user's sorted positives p_0 < p_1 < ..., p_j - j negatives lie below p_j, so
    the r-th negative (from 0) is

        item(r) = r + |{j : p_j - j <= r}|,    r uniform on 0 .. I - deg(u) - 1.

    The keys u (I + 1) + p_j - j of all users form one sorted array, so a batch is one binary search.
    r is a 63-bit integer modulo I - deg(u): probabilities differ by less than I / 2^63.

    Args:
        edge_index: [2, E] training pairs (user, item); repeated pairs count once.
        num_users, num_items: U and I.

    Raises:
        DataError: an id out of range, or a user who has interacted with every item.
    """

    def __init__(self, edge_index: Tensor, num_users: int, num_items: int) -> None:
        user, item = edge_index
        if not ((edge_index >= 0).all() and (user < num_users).all() and (item < num_items).all()):
            raise DataError(f"edge_index has ids outside {num_users} users or {num_items} items")
        pairs = torch.unique(user * num_items + item)
        user, item = pairs // num_items, pairs % num_items
        degree = torch.bincount(user, minlength=num_users)
        full = torch.nonzero(degree == num_items).flatten().tolist()
        if full:
            raise DataError(
                f"user {full[0]} has interacted with all {num_items} items, so it has no negative "
                f"({len(full)} such users); remove the user or hold out some of its interactions"
            )
        self._start = degree.cumsum(0) - degree  # [U] where each user's keys begin
        self._free = num_items - degree  # [U] number of negatives
        self._stride = num_items + 1
        rank = torch.arange(len(pairs), device=pairs.device) - self._start[user]
        self._keys = user * self._stride + item - rank  # [E], sorted

    def sample(self, users: Tensor, generator: torch.Generator) -> Tensor:
        """One negative item for each of `users` [B]: [B] int64. `generator` is on the device of `users`."""
        bits = torch.randint(2**63 - 1, users.shape, generator=generator, device=users.device)
        rank = bits % self._free[users]
        below = torch.searchsorted(self._keys, users * self._stride + rank, right=True) - self._start[users]
        return rank + below
