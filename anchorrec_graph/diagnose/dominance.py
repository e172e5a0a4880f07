"""Dominance: which views are the scores made of?

A score is the sum of <u^a, i^b> over pairs of views (a, b). Shares are taken over pairs of a user and
an item that the caller chooses (held-out pairs, lists, a random sample), or over all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from anchorrec_graph.typing import Embeddings

Name = TypeVar("Name", bound=Hashable)


def pair_parts(embeddings: Embeddings, users: Tensor, items: Tensor) -> dict[tuple[str, str], Tensor]:
    r""":math:`\langle u^a, i^b \rangle` of every pair of views (a, b); they sum to the scores.

    `anchorrec_graph.explain.parts.view_parts` is the same by view, a mixed pair half for either. A view
    without a user side has no pair (a, .).

    Shapes: users, items [n] -> each [n].
    """
    return {
        (a, b): (of_user.user[users] * of_item.item[items]).sum(1)
        for a, of_user in embeddings.views.items()
        if of_user.user is not None
        for b, of_item in embeddings.views.items()
    }


def absolute_shares(parts: Mapping[Name, Tensor]) -> dict[Name, float]:
    r""":math:`\sum |s^m| / \sum_l \sum |s^l|` over n scores, for parts s^m of `view_parts` or `pair_parts`.

    In [0, 1], sums to 1; NaN if all parts are 0. A part that is the same for all items counts, although it
    ranks nothing: see `covariance_shares`. Shapes: parts [n] each.
    """
    sizes = {name: part.double().abs().sum() for name, part in parts.items()}
    total = torch.stack([*sizes.values()]).sum()
    return {name: float(size / total) for name, size in sizes.items()}


def covariance_shares(parts: Mapping[Name, Tensor]) -> dict[Name, float]:
    r""":math:`\operatorname{Cov}(s^m, s) / \operatorname{Var}(s)` over n scores :math:`s = \sum_m s^m`.

    Sums to 1. Negative for a part that works against the score, and then others may exceed 1. NaN if
    the scores are constant. Shapes: parts [n] each, of `view_parts` or `pair_parts`.
    """
    centred = {name: part.double() - part.double().mean() for name, part in parts.items()}
    score = torch.stack([*centred.values()]).sum(0)
    return {name: float(part @ score / (score @ score)) for name, part in centred.items()}


def ranking_shares(embeddings: Embeddings) -> dict[str, float]:
    r"""Covariance shares over all users and all items, of what ranks the items of each user:

    .. math:: \frac{\sum_u \operatorname{Cov}_i(s^m_{ui}, s_{ui})}{\sum_u \operatorname{Var}_i(s_{ui})},
        \qquad s^m = \tfrac12 \langle u^m, i \rangle + \tfrac12 \langle u, i^m \rangle

    The covariance is over the items of one user, so that differences between users, which rank
    nothing, do not count. Sums to 1, may be negative; NaN if every user scores all items alike. Exact without
    the scores, O((U + I) d^2): :math:`\sum_{u,i} \langle a_u, x_i \rangle \langle b_u, y_i \rangle`
    is the sum over entries of :math:`(A^\top B) \odot (X^\top Y)`.
    """
    user, item = embeddings.user.double(), _centred(embeddings.item)
    user_gram, item_gram = user.T @ user, item.T @ item
    total = (user_gram * item_gram).sum()
    shares = {}
    for name, view in embeddings.views.items():
        part = (user_gram * (_centred(view.item).T @ item)).sum()
        if view.user is not None:
            part = part + ((view.user.double().T @ user) * item_gram).sum()
        shares[name] = float(part / (2 * total))
    return shares


def _centred(rows: Tensor) -> Tensor:
    return rows.double() - rows.double().mean(0)
