"""Which of a user's training items a score came from: its exact decomposition into purchases."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.models.scoring import sum_views
from anchorrec_graph.typing import Embeddings, View


def purchase_parts(rows: Mapping[str, Tensor], embeddings: Embeddings, item: int) -> dict[str, Tensor]:
    r"""What the user's own part and each of its n purchases bring to the score of an item, by view:

    .. math:: s_j^m = \tfrac12 \langle p_j^m, F_i \rangle + \tfrac12 \langle \sum_a p_j^a, i^m \rangle

    with the rows p_j of `Recommender.user_parts`, whose sum over j is the user's row. Over purchases and
    own part they sum to view m's part of the score (`view_parts`), over all to the score.

    The attribution is through the last step of propagation: what purchase j adds to the user. What
    reached item j before that, also from other users over deeper layers, is part of item j.

    Shapes: rows [1 + n, d] for each view with users -> [1 + n] float64 for each view.
    """
    views = {
        name: View(rows[name].double() if name in rows else None, view.item[item : item + 1].double())
        for name, view in embeddings.views.items()
    }
    parts = sum_views(views)
    place = torch.arange(len(parts.user))
    return view_parts(parts, place, torch.zeros_like(place))
