"""`Catalog`: recommendations from a trained run, real ids in and out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.ranking import top_k
from anchorrec_graph.evaluate.user_items import positives
from anchorrec_graph.explain.parts import view_parts
from anchorrec_graph.serve.filters import Filters, allowed_items
from anchorrec_graph.train.fit import load_run
from anchorrec_graph.typing import Embeddings

BLOCK = 65_536  # recommendations whose view parts are computed at once


class _Allowed(NamedTuple):
    """A scorer that gives -inf to items that are not allowed."""

    embeddings: Embeddings
    allowed: Tensor  # [I] bool

    def scores(self, users: Tensor) -> Tensor:
        return self.embeddings.scores(users).masked_fill_(~self.allowed, -torch.inf)


class Catalog:
    """The users, items and embeddings of a trained model.

    Args:
        embeddings: of `Recommender.encode`.
        data: the container that the model was trained on; its ids are what callers use.
    """

    def __init__(self, embeddings: Embeddings, data: HeteroData) -> None:
        self.embeddings = embeddings
        self.items: pl.DataFrame = data["item"].table
        self.user_ids = np.asarray(data["user"].ids).astype(str)
        self._user_row = {str(user): row for row, user in enumerate(self.user_ids)}
        self._seen = positives(data, "train", "validation")

    @classmethod
    def from_run(cls, folder: str | Path, seed: int | None = None) -> Catalog:
        """The catalog of a run folder. Raises what `load_run` raises."""
        run = load_run(folder, seed)
        with torch.no_grad():
            return cls(run.model.encode(), run.data)

    def recommend(
        self,
        users: Sequence[str] | None = None,
        k: int = 20,
        exclude_seen: bool = True,
        filters: Filters | None = None,
    ) -> pl.DataFrame:
        """The k best items of each user, fewer where fewer are left.

        Args:
            users: ids as in the source data; default all users.
            exclude_seen: leave out a user's training and validation items.
            filters: column of the item table -> the value, or one of the values, that an item must have
                (`allowed_items`).

        Returns:
            One row per recommendation: user_id, rank (from 1), the item table's columns, score, and
            one `<view>_part` per view. The parts sum to the score (`view_parts`). A column of the item
            table with one of these names gets `item_` before it.

        Raises:
            DataError: an unknown user, column or value, or k < 1.
        """
        if k < 1:
            raise DataError(f"k is {k}; at least 1 item is needed")
        rows = self._rows(users)
        scorer = _Allowed(self.embeddings, allowed_items(self.items, filters or {}))
        best = top_k(scorer, rows, min(k, len(self.items)), self._seen if exclude_seen else None)
        place, rank = (best.items >= 0).nonzero(as_tuple=True)
        user, item = rows[place], best.items[place, rank]
        ours = pl.DataFrame(
            {"user_id": self.user_ids[user.numpy()], "rank": (rank + 1).numpy()}
            | {"score": best.scores[place, rank].numpy()}
            | {f"{name}_part": part.numpy() for name, part in self._parts(user, item).items()}
        )
        theirs = self.items[item.numpy()].rename(
            {name: f"item_{name}" for name in self.items.columns if name in ours.columns}
        )
        return pl.concat([ours[:, :2], theirs, ours[:, 2:]], how="horizontal")

    def _parts(self, user: Tensor, item: Tensor) -> dict[str, Tensor]:
        blocks = [
            view_parts(self.embeddings, *pair)
            for pair in zip(user.split(BLOCK), item.split(BLOCK), strict=True)
        ]
        return {name: torch.cat([block[name] for block in blocks]) for name in blocks[0]}

    def _rows(self, users: Sequence[str] | None) -> Tensor:
        if users is None:
            return torch.arange(len(self.user_ids))
        if isinstance(users, str):
            raise DataError(f"users must be a list of ids: ['{users}']")
        unknown = [user for user in users if str(user) not in self._user_row]
        if unknown:
            raise DataError(
                f"unknown user '{unknown[0]}' ({len(unknown)} of {len(users)} are unknown); "
                f"ids look like '{self.user_ids[0]}'"
            )
        return torch.tensor([self._user_row[str(user)] for user in users], dtype=torch.long)
