"""How much the scores of new items must rise for these to be shown as often as old ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 256  # users whose scores of all items exist at a time


def level_of_new_items(
    user: Tensor, item: Tensor, attached: Tensor, edge_index: Tensor, logit_scale: float
) -> float:
    r"""The shift of all scores of new items that gives these the exposure of old ones:

    .. math::
        \delta = -\tau \log \frac{1}{|U|} \sum_u
        \frac{\sum_{j \notin u} e^{\langle F_u, a_j \rangle / \tau}}
        {\sum_{j \notin u} e^{\langle F_u, F_j \rangle / \tau}}

    a_j is the row that old item j would get if it were new. With the shift, the old items placed like that
    hold, on average over users, as much of the softmax that the model trains with as they hold by
    their own rows. Sums are over the items that the user does not have; a user who has all is left out.

    Args:
        user: F_u [U, d].
        item: F_j [I, d].
        attached: a_j [I, d].
        edge_index: [2, E] training pairs of user and item.
        logit_scale: 1 / tau.
    """
    ratios = []
    for start in range(0, len(user), BLOCK):
        rows = user[start : start + BLOCK]
        inside = (edge_index[0] >= start) & (edge_index[0] < start + len(rows))
        place, bought = edge_index[0, inside] - start, edge_index[1, inside]
        old, new = (rows @ table.T * logit_scale for table in (item, attached))
        old[place, bought], new[place, bought] = -torch.inf, -torch.inf
        held = old.logsumexp(1)
        ratios.append((new.logsumexp(1) - held)[held > -torch.inf])
    every = torch.cat(ratios)
    if not len(every):
        return 0.0
    return -(float(every.logsumexp(0)) - math.log(len(every))) / logit_scale
