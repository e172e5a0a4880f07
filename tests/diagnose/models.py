"""A model whose embeddings are given, for the tests of diagnoses."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from spaces import random_space
from torch import Tensor

from anchorrec_graph.models.base import Recommender
from anchorrec_graph.models.scoring import sum_views
from anchorrec_graph.testing.tiny import NUM_ITEMS, NUM_USERS
from anchorrec_graph.typing import Batch, Embeddings, View


class Given(Recommender):
    """Scores by `embeddings`, or by views whose items are given and whose users are random."""

    def __init__(self, views: Mapping[str, Tensor] | Embeddings) -> None:
        super().__init__()
        if not isinstance(views, Embeddings):
            places = enumerate(views.items())
            views = sum_views(
                {m: View(random_space(NUM_USERS, x.shape[1], seed=90 + place), x) for place, (m, x) in places}
            )
        self.embeddings = views

    def encode(self) -> Embeddings:
        return self.embeddings

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        return {}


def item_space(seed: int, dim: int = 8) -> Tensor:
    return random_space(NUM_ITEMS, dim, seed)


def value(table: pl.DataFrame, measure: str, space: str, against: str = "", group: str = "all") -> float:
    """The one number of that row."""
    row = (measure, space, against, group)
    names = ("measure", "space", "against", "group")
    found = table.filter(*(pl.col(name) == wanted for name, wanted in zip(names, row, strict=True)))
    return float(found["value"].item())
