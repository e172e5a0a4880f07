"""Where a score comes from: its exact decomposition into views."""

from __future__ import annotations

from torch import Tensor

from anchorrec_graph.typing import Embeddings


def view_parts(embeddings: Embeddings, users: Tensor, items: Tensor) -> dict[str, Tensor]:
    r"""The part of each view in the scores s = <F_u, F_i> of n user-item pairs; the parts sum to s.

    .. math:: s^m = \tfrac12 \langle u^m, F_i \rangle + \tfrac12 \langle F_u, i^m \rangle

    The score is the sum of <u^a, i^b> over pairs of views; a mixed pair counts
    half for either. This is the Shapley value of view m in the game whose value
    is the score from a subset of the views.

    Shapes: users, items [n] -> each [n]. Parts may be negative.
    """
    user, item = embeddings.user[users], embeddings.item[items]
    parts = {}
    for name, view in embeddings.views.items():
        part = (user * view.item[items]).sum(1) / 2
        parts[name] = part if view.user is None else part + (view.user[users] * item).sum(1) / 2
    return parts
