"""A catalog of random embeddings over a small planted shop, with item columns of every type."""

from __future__ import annotations

import polars as pl
import torch
from torch_geometric.data import HeteroData

from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.typing import Embeddings, View

GENRES = ["Comedy", "Drama|Comedy", "Drama", "Sci-Fi", None]


def shop_data(num_items: int = 50) -> HeteroData:
    config = PlantedConfig(num_users=40, num_items=num_items, interactions_per_user=10, num_clusters=4)
    data = config.load()
    numbers = range(num_items)
    data["item"].table = data["item"].table.with_columns(
        year=pl.Series([1990 + n % 10 if n % 7 else None for n in numbers]),
        price=pl.Series([n / 2 for n in numbers]),
        genres=pl.Series([GENRES[n % 5] for n in numbers]),
        tags=pl.Series([["red", "big"] if n % 2 else ([] if n % 4 else None) for n in numbers]),
        sizes=pl.Series([[n % 3, 10] for n in numbers]),
        new=pl.Series([n % 3 == 0 for n in numbers]),
    )
    return data


def random_embeddings(num_users: int, num_items: int, dim: int = 6) -> Embeddings:
    """Three views, the last one of items only."""
    generator = torch.Generator().manual_seed(0)

    def rows(count: int) -> torch.Tensor:
        return torch.randn(count, dim, generator=generator)

    views = {
        "id": View(rows(num_users), rows(num_items)),
        "image": View(rows(num_users), rows(num_items)),
        "recovered": View(None, rows(num_items)),
    }
    user = sum((view.user for view in views.values() if view.user is not None), torch.zeros(()))
    item = sum((view.item for view in views.values()), torch.zeros(()))
    return Embeddings(user, item, views)


def make_catalog() -> Catalog:
    data = shop_data()
    return Catalog.from_embeddings(random_embeddings(40, 50), data)
