"""The values that models, losses, evaluation and serving hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from torch import Tensor
from torch.nn import functional


class Batch(NamedTuple):
    """B training triples: user i interacted with positive i and not with negative i."""

    users: Tensor  # [B] int64
    positive_items: Tensor  # [B] int64
    negative_items: Tensor  # [B] int64


class View(NamedTuple):
    """One additive part of the final embeddings. `user` is None for a part that only items have."""

    user: Tensor | None  # [U, d]
    item: Tensor  # [I, d]


class Embeddings(NamedTuple):
    """Final embeddings and the named views that they are the sum of.

    The score is s(u, i) = <user_u, item_i>. It is bilinear in the views, so it
    decomposes exactly (`anchorrec_graph.explain.parts`).
    """

    user: Tensor  # [U, d]
    item: Tensor  # [I, d]
    views: Mapping[str, View]

    def scores(self, users: Tensor) -> Tensor:
        """Scores of all items for `users` [B]: [B, I]."""
        return self.user[users] @ self.item.T


def in_columns(rows: Tensor, start: int, dim: int) -> Tensor:
    """Rows [n, w] at columns `start` to `start` + w of `dim`, 0 elsewhere: [n, dim]."""
    return functional.pad(rows, (start, dim - start - rows.shape[1]))


class Scorer(Protocol):
    """Anything that scores all items for a block of users."""

    def scores(self, users: Tensor) -> Tensor:
        """[B] user ids -> [B, I] scores."""
        ...
