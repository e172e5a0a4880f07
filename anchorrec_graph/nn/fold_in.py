"""`FoldIn`: users who did not train, made from their items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class FoldIn(NamedTuple):
    r"""How a user with n items and no row in any table is made, view by view:

    .. math:: u^m = o^m + n^{-1/2} \sum_j s^m_j

    with what the last step of propagation brings from item j (s) and what everyone has (o, for example a
    prior). Under a cosine score the `learned` views are then scaled together to length 1. Nothing is trained,
    and items stay as they are: the user is what training would have given to someone with these items whose
    own table row is zero.
    """

    sent: Mapping[str, Tensor]  # s by view, [I, w]
    own: Mapping[str, Tensor]  # o by view, [w]; a view in neither has no users
    start: Mapping[str, int]  # of each view: its first column in the final embeddings
    dim: int  # columns of the final embeddings
    learned: tuple[str, ...]  # views with users that are scaled together
    length: Tensor | None  # [U] what training users were divided by; None: nothing is scaled

    def parts(self, items: Tensor, user: int | None = None) -> dict[str, Tensor]:
        """The own part and the part of each of n items, in the final columns: [1 + n, dim] by view.

        Args:
            user: a user of training, whose length is the divisor; what is the user's own stays unknown.
        """
        parts = {name: torch.zeros(1 + len(items), self.dim) for name in self.start}
        for name, start in self.start.items():
            rows = parts[name]
            if name in self.own:
                rows[0, start : start + len(self.own[name])] = self.own[name]
            if name in self.sent:
                sent = self.sent[name][items]
                rows[1:, start : start + sent.shape[1]] = sent * max(len(items), 1) ** -0.5
        if self.length is not None:
            total = torch.stack([parts[name].sum(0) for name in self.learned]).sum(0)
            length = total.norm() if user is None else self.length[user]
            length = length.clamp(min=torch.finfo(total.dtype).tiny)
            parts |= {name: parts[name] / length for name in self.learned}
        return parts
