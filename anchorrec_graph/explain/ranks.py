"""The rank of an item for a user, and what it would be without a view or without a purchase."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from anchorrec_graph.typing import Embeddings

BLOCK = 64  # purchases whose scores of all items exist at once


def rank(scores: Tensor, item: int, candidates: Tensor) -> int:
    """1 + the number of candidates before the item; of equal scores the lower number comes first.

    Shapes: scores [I], candidates [I] bool.
    """
    before = scores > scores[item]
    before[:item] |= scores[:item] == scores[item]
    return 1 + int((before & candidates).sum())


def ranks_without_views(
    embeddings: Embeddings, user: int, item: int, candidates: Tensor
) -> dict[str, int | None]:
    """The item's rank if the user's and all items' rows of a view are taken out, for each view.

    Nothing is trained again, and a length that a cosine score divides by stays that of all views. None
    where nothing is left to rank by.
    """
    views = [*embeddings.views.values()]
    nothing = torch.zeros_like(embeddings.user[user])
    rows = torch.stack([nothing if view.user is None else view.user[user] for view in views])
    pairs = torch.stack([view.item @ rows.T for view in views])  # [M, I, M], see `pair_parts`
    ranks: dict[str, int | None] = {}
    for place, name in enumerate(embeddings.views):
        others = [other for other in range(len(views)) if other != place]
        scores = pairs[others][:, :, others].sum((0, 2))
        ranks[name] = rank(scores, item, candidates) if (scores != scores[0]).any() else None
    return ranks


def ranks_without_purchases(
    rows: Mapping[str, Tensor], embeddings: Embeddings, user: int, item: int, candidates: Tensor
) -> list[int]:
    r"""The item's rank if purchase j is taken out of the user, for each j: scores of all items by
    :math:`F_u - \sum_m p_j^m`, with the rows p_j of `Recommender.user_parts`.

    What is left stays as it is: the other purchases keep their weights, which depend on their number, a
    cosine score divides by the same length, items keep their embeddings, and the candidates are the same.
    So it is not the rank of a model that never saw the purchase, but what the decomposition says of it.
    """
    purchases = torch.stack([part[1:] for part in rows.values()]).sum(0)
    return [
        rank(scores, item, candidates)
        for block in purchases.split(BLOCK)
        for scores in (embeddings.user[user] - block) @ embeddings.item.T
    ]
