"""How much a further score counts: the weight under which the training pairs are likeliest."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 256  # users whose scores of all items exist at a time
USERS = 2_048  # at most so many, evenly spaced, decide
STEPS, TOLERANCE = 30, 1e-3


def likeliest_weight(
    user: Tensor, item: Tensor, further: Tensor, edge_index: Tensor, logit_scale: float
) -> float:
    r"""The weight of further scores that makes the training pairs likeliest:

    .. math::
        g = \arg\max_{g \ge 0} \sum_{(u, j)}
        \log \frac{e^{s_{uj}}}{e^{s_{uj}} + \sum_{k \notin u} e^{s_{uk}}}, \quad
        s_{uj} = \langle F_u, a_j + g\, b_j \rangle / \tau

    A pair competes with the items that the user does not have. The sum is concave in g: Newton's method, kept
    between the nearest weights that are known to be too small and too large.

    Args:
        user: F_u [U, d].
        item: a_j [I, d].
        further: b_j [I, d].
        edge_index: [2, E] training pairs of user and item.
        logit_scale: 1 / tau.
    """
    chosen = torch.linspace(0, len(user) - 1, min(USERS, len(user))).round().long()
    place = torch.full((len(user),), -1).scatter_(0, chosen, torch.arange(len(chosen)))[edge_index[0]]
    user, edge_index = user[chosen], torch.stack([place, edge_index[1]])[:, place >= 0]
    weight, low, high = 0.0, 0.0, torch.inf
    for _ in range(STEPS):
        slope, bend = _derivatives(user, item, further, edge_index, logit_scale, weight)
        if slope > 0:
            low = weight
        else:
            high = weight
        if high == 0 or bend <= 0:
            return weight
        step = weight + slope / bend
        if not low < step < high:
            step = (low + high) / 2 if high < torch.inf else step
        if abs(step - weight) <= TOLERANCE * step:
            return step
        weight = step
    return weight


def _derivatives(
    user: Tensor, item: Tensor, further: Tensor, edge_index: Tensor, logit_scale: float, weight: float
) -> tuple[float, float]:
    """The slope of the mean log-likelihood at `weight`, and how fast it falls."""
    slope, bend, count = 0.0, 0.0, 0
    for start in range(0, len(user), BLOCK):
        rows = user[start : start + BLOCK]
        inside = (edge_index[0] >= start) & (edge_index[0] < start + len(rows))
        u, j = edge_index[0, inside] - start, edge_index[1, inside]
        more = rows @ further.T * logit_scale
        score = rows @ item.T * logit_scale + weight * more
        target, own = score[u, j], more[u, j]
        score[u, j] = -torch.inf
        others = score.logsumexp(1)[u]
        free = others > -torch.inf  # a user who has everything says nothing
        share = score.softmax(1).nan_to_num()
        mean = (share * more).sum(1)
        spread = ((share * more.square()).sum(1) - mean.square())[u]
        miss = torch.sigmoid(others - target)  # chance of another item than the one that was bought
        gap = own - mean[u]
        slope += float((miss * gap)[free].double().sum())
        bend += float((miss * spread + miss * (1 - miss) * gap.square())[free].double().sum())
        count += int(free.sum())
    return slope / max(count, 1), bend / max(count, 1)
