"""Checks and alignment of top-k lists that another program made."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.errors import DataError


def align_lists(
    users: Tensor, items: Tensor, wanted: Tensor, k: int, num_users: int, num_items: int
) -> Tensor:
    """The first k items of the lists of the users `wanted`, in that order.

    Args:
        users: [m] int64 row numbers, each once.
        items: [m, K] int64 row numbers, best first, each once per list, -1 for empty places.
        wanted: [n] row numbers.

    Returns:
        [n, k] rows of `items`.

    Raises:
        DataError: a wanted user is missing, a user or an item of a list is repeated or out of
            range, or the lists are shorter than k.
    """
    if items.dim() != 2 or len(items) != len(users):
        raise DataError(f"lists {list(items.shape)} do not fit {len(users)} users")
    if items.shape[1] < k:
        raise DataError(f"the lists hold {items.shape[1]} items, the metrics need {k}; pad with -1")
    _check_range(users, 0, num_users - 1, "a user")
    _check_range(items, -1, num_items - 1, "an item")
    row = torch.full((num_users,), -1)
    row[users] = torch.arange(len(users))
    if int((row >= 0).sum()) < len(users):
        raise DataError("the lists name a user twice")
    ordered = items.sort(dim=1).values
    repeated = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(dim=1).nonzero()
    if len(repeated) > 0:
        raise DataError(f"the list of user row {int(users[repeated[0]])} names an item twice")
    missing = wanted[row[wanted] < 0]
    if len(missing) > 0:
        raise DataError(
            f"the lists lack {len(missing)} users with held-out items, first user row {int(missing[0])}; "
            "a user without recommendations needs a list of -1"
        )
    return items[row[wanted], :k]


def _check_range(rows: Tensor, low: int, high: int, what: str) -> None:
    outside = rows[(rows < low) | (rows > high)]
    if len(outside) > 0:
        raise DataError(f"the lists name {what} row {int(outside[0])}, outside {low}..{high}")
