"""`Catalog`: recommendations from a trained run, real ids in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from anchorrec_graph.serve.explain import view_parts
from anchorrec_graph.settings import unknown_name
from anchorrec_graph.train.fit import load_run
from anchorrec_graph.typing import Embeddings

Filters = Mapping[str, str | float | Sequence[str | float]]


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
        """The k best items of each user.

        Args:
            users: ids as in the source data; default all users.
            exclude_seen: leave out a user's training and validation items.
            filters: column of the item table -> the value, or one of the values, that an item must have.
                A column of lists, or of values joined by `|`, matches if it holds one of them.

        Returns:
            One row per recommendation: user_id, rank (from 1), the item table's columns, score, and
            one `<view>_part` per view. The parts sum to the score (`view_parts`).

        Raises:
            DataError: an unknown user or column, or k < 1.
        """
        if k < 1:
            raise DataError(f"k is {k}; at least 1 item is needed")
        rows = self._rows(users)
        scorer = _Allowed(self.embeddings, self.allowed(filters or {}))
        best = top_k(scorer, rows, k, self._seen if exclude_seen else None)
        place, rank = (best.items >= 0).nonzero(as_tuple=True)
        user, item = rows[place], best.items[place, rank]
        parts = view_parts(self.embeddings, user, item)
        head = pl.DataFrame({"user_id": self.user_ids[user.numpy()], "rank": (rank + 1).numpy()})
        scores = {"score": best.scores[place, rank].numpy()}
        scores |= {f"{name}_part": part.numpy() for name, part in parts.items()}
        return pl.concat([head, self.items[item.numpy()], pl.DataFrame(scores)], how="horizontal")

    def allowed(self, filters: Filters) -> Tensor:
        """Mask [I] of the items that pass every filter.

        Raises:
            DataError: the item table has no such column.
        """
        allowed = pl.repeat(True, len(self.items), eager=True)
        for column, wanted in filters.items():
            if column not in self.items.columns:
                raise DataError("filter: " + unknown_name("item column", column, self.items.columns))
            values = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
            allowed &= _matches(self.items[column], [str(value) for value in values])
        return torch.from_numpy(allowed.to_numpy().copy())

    def _rows(self, users: Sequence[str] | None) -> Tensor:
        if users is None:
            return torch.arange(len(self.user_ids))
        unknown = [user for user in users if str(user) not in self._user_row]
        if unknown:
            raise DataError(
                f"unknown user '{unknown[0]}' ({len(unknown)} of {len(users)} are unknown); "
                f"ids look like '{self.user_ids[0]}'"
            )
        return torch.tensor([self._user_row[str(user)] for user in users], dtype=torch.long)


def _matches(column: pl.Series, wanted: list[str]) -> pl.Series:
    """Whether each value, one of its list, or one of its `|`-joined parts is wanted; missing values are not."""
    if not isinstance(column.dtype, pl.List):
        column = column.cast(pl.String).str.split("|")
    elements = column.list.eval(pl.element().cast(pl.String).is_in(wanted))
    return elements.list.any().fill_null(False)
