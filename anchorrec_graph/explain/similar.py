"""The items of a history that look or read most like another item."""

from __future__ import annotations

import torch
from torch import Tensor

from anchorrec_graph.graph.knn import unit_rows


def most_similar(features: Tensor, item: int, others: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k of `others` [n] with the largest cosine to the item, and the cosines: [k'] each.

    Rows without features (zero, or not finite) are left out, so k' may be less than k, and is 0 if the
    item has none. Of equal cosines the one that comes first in `others`. Shapes: features [I, D].
    """
    unit, valid = unit_rows(features[torch.cat([torch.tensor([item]), others])].double())
    place = valid[1:].nonzero().flatten() if valid[0] else torch.empty(0, dtype=torch.long)
    cosine = (unit[1:] @ unit[0])[place]
    best = cosine.sort(descending=True, stable=True).indices[:k]
    return others[place[best]], cosine[best]
