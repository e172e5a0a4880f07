"""Data set `movielens`: the built-in films with poster and text features, described in movielens_posters/."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Literal

import numpy as np
import polars as pl

from anchorrec_graph.data.base import DATASETS, DatasetConfig
from anchorrec_graph.data.features import open_features
from anchorrec_graph.data.raw import Interactions, RawData

FEATURES = {"image": "image_feat.npy", "text": "text_feat.npy"}


class MovieLensConfig(DatasetConfig):
    """MovieLens latest-small, films with poster and plot, 5-core: 597 users, 1,850 films, 56,219 ratings.

    Research use only, on the GroupLens terms in movielens_posters/LICENSE-GroupLens.txt; cite Harper
    and Konstan 2015. User and item ids are MovieLens's own; films have title, year and genres.
    """

    name: Literal["movielens"] = "movielens"

    def read(self) -> RawData:
        with as_file(files("anchorrec_graph.data") / "movielens_posters") as folder:
            table = pl.read_parquet(folder / "interactions.parquet")
            items = pl.read_parquet(folder / "items.parquet")
            features = {
                modality: np.array(open_features(folder / name)) for modality, name in FEATURES.items()
            }
        user_ids, user = np.unique(table["user_id"].to_numpy(), return_inverse=True)
        item = np.searchsorted(items["item_id"].to_numpy(), table["item_id"].to_numpy())
        return RawData(
            interactions=Interactions(
                user=user.astype(np.int64),
                item=item.astype(np.int64),
                rating=table["rating"].to_numpy().astype(np.float32),
                time=table["timestamp"].to_numpy().astype(np.int64),
            ),
            label=None,
            features=features,
            user_ids=user_ids.astype(str),
            items=items.with_columns(pl.col("item_id").cast(pl.String)),
            files={"interactions": "interactions.parquet", "items": "items.parquet", **FEATURES},
        )


DATASETS.register(MovieLensConfig)(MovieLensConfig)
