"""DA-MRS: two sides of the items give the users the same preferences."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from anchorrec_graph.losses.blockwise import blockwise_sum


def preference_divergence(user: Tensor, first: Tensor, second: Tensor, block_size: int = 256) -> Tensor:
    r"""Mean symmetric KL divergence of two Bernoulli preferences over all pairs of a user and an item:

    .. math::
        \frac{1}{UI} \sum_{u, i} KL(p \| q) + KL(q \| p)
        = \frac{1}{UI} \sum_{u, i} (\sigma(a_{ui}) - \sigma(b_{ui})) (a_{ui} - b_{ui})

    with :math:`p = \sigma(a), a_{ui} = \langle u, f_i / \|f_i\| \rangle` for one side of the items and
    :math:`q = \sigma(b)` likewise for the other. Memory is O(block_size I).

    Shapes: user [U, d], first and second [I, d] -> scalar.
    """

    def loss(block: Tensor, user: Tensor, first: Tensor, second: Tensor) -> Tensor:
        a, b = user[block] @ first.T, user[block] @ second.T
        return ((a.sigmoid() - b.sigmoid()) * (a - b)).sum()

    sides = functional.normalize(first, dim=1), functional.normalize(second, dim=1)
    rows = torch.arange(len(user), device=user.device)
    return blockwise_sum(loss, rows.split(block_size), user, *sides) / (len(user) * len(first))
