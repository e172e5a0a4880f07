"""What is known of the users and items that are audited, and lists as matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from anchorrec_graph.evaluate.user_items import UserItems


class Known(NamedTuple):
    """The data that lists are audited against."""

    users: Tensor  # [n] row numbers, ascending: those with a held-out item
    train: UserItems
    held_out: UserItems

    @property
    def item_users(self) -> Tensor:
        """[I] training users of every item."""
        return self.train.pairs[1].bincount(minlength=self.train.num_items)

    def history(self) -> csr_array:
        """[n, I] 1.0 for every training item of a user."""
        return _matrix(*self.train.select(self.users), len(self.users), self.train.num_items)

    def relevant(self) -> csr_array:
        """[n, I] 1.0 for every held-out item of a user."""
        return _matrix(*self.held_out.select(self.users), len(self.users), self.held_out.num_items)


def places(items: Tensor, num_items: int, by_rank: bool = False) -> csr_array:
    """[n, I] 1.0 for every item of a list, or 1 / log2(rank + 1). items [n, K], -1 for empty places."""
    row, rank = (items >= 0).nonzero(as_tuple=True)
    weight = 1 / np.log2(rank.numpy() + 2.0) if by_rank else None
    return _matrix(row, items[row, rank], len(items), num_items, weight)


def _matrix(
    row: Tensor, item: Tensor, num_rows: int, num_items: int, weight: NDArray[np.float64] | None = None
) -> csr_array:
    values = np.ones(len(row)) if weight is None else weight
    return csr_array((values, (row.numpy(), item.numpy())), shape=(num_rows, num_items))
