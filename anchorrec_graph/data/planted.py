"""Data set `planted`: a generated shop whose truth is known, of any size, for tests and scaling."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field, model_validator

from anchorrec_graph.data.base import DATASETS, DatasetConfig
from anchorrec_graph.data.planted_pairs import CORE, PlantedTruth, draw_pairs
from anchorrec_graph.data.raw import Interactions, RawData

ASPECTS = ("look", "words", "behaviour")
TASTES = 2  # preferred clusters of a user per aspect
OPENED = 1_600_000_000  # unix time of the first interaction


class PlantedConfig(DatasetConfig):
    """Settings of the shop.

    Each item has a cluster per aspect: its look (seen in feature "image"), its words (feature "text")
    and what it is bought with (behaviour, in no feature). Each of the three is the item's hidden kind
    with probability `agreement` and else uniform, on its own, so that two of them are equal with
    probability agreement^2 + (1 - agreement^2) / num_clusters. Features are

        x_i = centre_c + noise * e_i,    centre and e ~ N(0, 1 / dim): expected squared length 1 each.

    Each interaction of user u draws an aspect from u's mixture ~ Dirichlet(1, 1, 1), one of u's two
    preferred clusters of that aspect, and an item of it in proportion to rank^-popularity.
    Pairs are distinct. Users draw 5 or more, `interactions_per_user` on average (geometric), unless
    their clusters hold fewer; then items with fewer than 5 get more from users who prefer a cluster
    of theirs. Time and memory grow with users, items and interactions, not with a product of them.
    """

    name: Literal["planted"] = "planted"
    num_users: int = Field(default=1000, ge=2 * CORE)
    num_items: int = Field(default=600, ge=2 * CORE)
    interactions_per_user: float = Field(default=12.0, ge=CORE)
    num_clusters: int = Field(default=24, ge=2)
    agreement: float = Field(default=0.5, ge=0, le=1)
    popularity: float = Field(default=0.5, ge=0)
    noise: float = Field(default=1.0, ge=0)
    image_dim: int = Field(default=48, ge=1)
    text_dim: int = Field(default=32, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _fit_the_shop(self) -> Self:
        if self.num_clusters > self.num_items:
            raise ValueError("num_clusters must not exceed num_items")
        if self.interactions_per_user > self.num_items / 2:
            raise ValueError("interactions_per_user must not exceed half of num_items")
        return self

    def read(self) -> RawData:
        truth = planted_truth(self)
        rng = np.random.default_rng([self.seed, 1])
        extra = rng.geometric(1 / (self.interactions_per_user - CORE + 1), size=self.num_users) - 1
        user, item = draw_pairs(truth, np.minimum(CORE + extra, self.num_items // 2), rng)
        return RawData(
            interactions=Interactions(user, item, time=OPENED + rng.integers(1, 60, size=len(user)).cumsum()),
            label=None,
            features={
                "image": self._features(truth.item_clusters[:, 0], self.image_dim, stream=2),
                "text": self._features(truth.item_clusters[:, 1], self.text_dim, stream=3),
            },
            user_ids=np.array([f"u{number}" for number in range(self.num_users)]),
            items=_items_table(truth),
            files={"interactions": "planted interactions", "image": "planted image", "text": "planted text"},
        )

    def _features(self, cluster: NDArray[np.int64], dim: int, stream: int) -> NDArray[np.floating[Any]]:
        rng = np.random.default_rng([self.seed, stream])
        centre = rng.standard_normal((self.num_clusters, dim), dtype=np.float32)
        rows = rng.standard_normal((len(cluster), dim), dtype=np.float32)
        rows *= np.float32(self.noise)
        rows += centre[cluster]
        rows /= np.float32(np.sqrt(dim))
        return rows


DATASETS.register(PlantedConfig)(PlantedConfig)


def planted_truth(config: PlantedConfig) -> PlantedTruth:
    """The truth behind `config`: the same for equal sizes, num_clusters, agreement and seed."""
    rng = np.random.default_rng([config.seed, 0])
    num_users, num_items, num_aspects = config.num_users, config.num_items, len(ASPECTS)
    kind = rng.permutation(num_items) % config.num_clusters
    own = rng.integers(config.num_clusters, size=(num_items, num_aspects))
    clusters = np.where(rng.random(own.shape) < config.agreement, kind[:, None], own)
    weight = rng.permutation(np.arange(1, num_items + 1) ** -config.popularity)
    # a user's preferred cluster is that of a random item, so it is never empty
    models = rng.integers(num_items, size=(num_users, num_aspects, TASTES))
    return PlantedTruth(
        item_clusters=clusters,
        popularity=weight / weight.sum(),
        user_mixture=rng.dirichlet(np.ones(num_aspects), size=num_users),
        user_clusters=clusters[models, np.arange(num_aspects)[:, None]],
    )


def _items_table(truth: PlantedTruth) -> pl.DataFrame:
    rows = enumerate(truth.item_clusters.tolist())
    titles = [f"look {a} / words {b} / bought-with {c}, no {number}" for number, (a, b, c) in rows]
    clusters = dict(zip(ASPECTS, truth.item_clusters.T, strict=True))
    return pl.DataFrame(
        {"item_id": [f"i{number}" for number in range(len(titles))], "title": titles, **clusters}
    )
