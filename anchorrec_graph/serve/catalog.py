"""`Catalog`: what a trained model is good for, real ids in and out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.data.ids import Ids
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.explain.explanation import Explanation
from anchorrec_graph.explain.of_user import Asked, Items, explain_to
from anchorrec_graph.nn.attachment import Attachment
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.additions import with_items
from anchorrec_graph.serve.contents import Contents, contents_of, run_contents
from anchorrec_graph.serve.export import is_export, load_export
from anchorrec_graph.serve.filters import Filters, share_value
from anchorrec_graph.serve.placement import Placement, placed_for, placed_near
from anchorrec_graph.serve.ranking import Wish, nearest_table, recommended_table
from anchorrec_graph.serve.similar import FINAL, By, Similarity
from anchorrec_graph.serve.space import Query, Weights, sum_query
from anchorrec_graph.serve.update import Drift, named_pairs, with_interactions, without_users
from anchorrec_graph.typing import Embeddings


class Catalog:
    """Recommendations, similar items, reasons and new items from one trained model.

    It never changes, so any number of threads may read it; methods that change something return another.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.space, self.items, self.user_ids = contents.space, contents.items, contents.user_ids
        self._user_ids = Ids("user", self.user_ids)
        self._item_ids = Ids("item", self.items["item_id"].cast(pl.String))
        self.item_ids = self._item_ids.names
        self._similarity = Similarity(contents.space, contents.features)

    @classmethod
    def from_embeddings(cls, embeddings: Embeddings, data: HeteroData) -> Catalog:
        """Of any model's embeddings on the data that it was trained on."""
        return cls(contents_of(embeddings, data))

    @classmethod
    def from_run(cls, folder: str | Path, seed: int | None = None) -> Catalog:
        """The catalog of a run folder. Raises what `load_run` raises."""
        return cls(run_contents(folder, seed))

    @classmethod
    def from_export(cls, folder: str | Path) -> Catalog:
        """The catalog of an export, memory-mapped. Raises what `load_export` raises."""
        return cls(load_export(folder))

    @classmethod
    def open(cls, folder: str | Path, seed: int | None = None) -> Catalog:
        """Of an export or a run folder, whichever it is."""
        return cls.from_export(folder) if is_export(folder) else cls.from_run(folder, seed)

    @property
    def card(self) -> dict[str, Any]:
        return self.contents.card

    @property
    def name(self) -> str:
        return str(self.card["name"])

    @property
    def views(self) -> tuple[str, ...]:
        return tuple(self.space.views)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.contents.features)

    @cached_property
    def _named_items(self) -> Items:
        """For `explain`: made when it is first asked for."""
        return Items.of(self.items, self.contents.features)

    def knows_user(self, user: str) -> bool:
        return user in self._user_ids

    def knows_item(self, item: str) -> bool:
        return item in self._item_ids

    def item_row(self, item: str) -> int:
        """The row of an item in `items`. Raises DataError if there is no such item."""
        return self._item_ids.row(item)

    def user_rows(self, users: Sequence[str] | None) -> Tensor:
        """Row numbers of users, or of all. Raises DataError for an unknown one."""
        return torch.arange(len(self._user_ids)) if users is None else self._user_ids.rows(users)

    def recommend(
        self,
        users: Sequence[str] | None = None,
        k: int = 20,
        exclude_seen: bool = True,
        filters: Filters | None = None,
        weights: Weights | None = None,
    ) -> pl.DataFrame:
        """The k best items of each user, fewer where fewer are left.

        Args:
            users: ids as in the source data; default all users.
            exclude_seen: leave out a user's training and validation items.
            filters: column of the item table -> the value, or one of the values, that an item must have
                (`allowed_items`).
            weights: view -> how much its part of every score counts, 1 if not named (`Space.scores`).

        Returns:
            One row per recommendation: user_id, rank (from 1), the item table's columns, score, and
            one `<view>_part` per view. The parts sum to the score (`view_parts`). A column of the item
            table with one of these names gets `item_` before it.

        Raises:
            DataError: an unknown user, column, value or view, or k < 1.
        """
        rows = self.user_rows(users)
        seen, ids = self.contents.known if exclude_seen else None, {"user_id": self.user_ids[rows.numpy()]}
        return recommended_table(self.contents, None, rows, Wish(k, filters, weights), seen, ids)

    def recommend_for(
        self,
        history: Sequence[str],
        k: int = 20,
        exclude_seen: bool = True,
        filters: Filters | None = None,
        weights: Weights | None = None,
    ) -> pl.DataFrame:
        """`recommend` for a user whom the model never saw, from the ids of their items (`FoldIn`).

        Nothing is trained. Returns the same columns without user_id.

        Raises:
            DataError: an unknown item, column, value or view, or k < 1.
            ConfigError: the model cannot make a user from items.
        """
        items, wish = self._item_ids.rows(history).unique(), Wish(k, filters, weights)
        query = sum_query(self._fold_in().parts(items))
        pairs = torch.stack([torch.zeros_like(items), items])
        seen = UserItems.from_pairs(pairs, 1, len(self.items)) if exclude_seen else None
        return recommended_table(self.contents, query, torch.tensor([0]), wish, seen, {})

    def similar_items(
        self,
        items: Sequence[str],
        by: By = FINAL,
        k: int = 20,
        across: str | None = None,
        filters: Filters | None = None,
    ) -> pl.DataFrame:
        """The k items most like each of `items`.

        Args:
            by: a modality (cosine of native features), a view, "final" (cosine of their item rows), or a
                mixture such as {"image": 0.6, "text": 0.4}, which is the weighted mean of the cosines.
            across: a column; only items that share none of their own values there, such as those of another
                category.

        Returns:
            query_id, rank, the item table's columns, similarity.

        Raises:
            DataError: an unknown item, name, column or value, k < 1, or an item that has no such features.
        """
        rows = self._item_ids.rows(items)
        similarity = self._similarity.between(self._similarity.shares(by), rows, self.item_ids)
        if across is not None:
            for place, row in enumerate(rows.tolist()):
                similarity[place, share_value(self.items, across, row)] = -torch.inf
        ids = {"query_id": np.array([self.item_ids[row] for row in rows])}
        return nearest_table(similarity, self.items, Wish(k, filters), ids)

    def explain(
        self,
        item: str,
        user: str | None = None,
        history: Sequence[str] | None = None,
        num_similar: int = 3,
    ) -> Explanation:
        """Why a user, or a stranger with a history, would get an item (`Explanation`).

        Raises:
            DataError: an unknown user or item, or not one of `user` and `history`.
            ConfigError: the model cannot make a user from items, for a history.
        """
        row, fold = self.item_row(item), self.contents.fold_in
        query, bought, known = self._asked(user, history)
        rows, reason = None, fold if isinstance(fold, str) else None
        if isinstance(fold, FoldIn):
            user_row = None if user is None else self._user_ids.row(user)
            rows = fold.parts(bought, user_row)
            for name, part in rows.items():
                part[0] = query.views[name][0] - part[1:].sum(0)
        asked = Asked(
            "" if user is None else str(user), self.space.embeddings(query), bought, known, rows, reason
        )
        return explain_to(asked, self._named_items, row, num_similar)

    def place(
        self,
        features: Mapping[str, NDArray[np.float32]],
        k: int = 10,
        user: str | None = None,
        history: Sequence[str] | None = None,
    ) -> Placement:
        """Where a new item would land, from its features alone, [D] by modality (`Attachment`).

        Raises:
            DataError: features of another name or width, or what `explain` refuses.
            ConfigError: the model cannot place new items, or make a user from items.
        """
        given = {
            m: torch.from_numpy(np.array(x, dtype=np.float32)).reshape(1, -1) for m, x in features.items()
        }
        rows = self._attachment().rows(given)
        placement = Placement(placed_near(self._similarity, self.items, given, rows, k))
        if user is None and history is None:
            return placement
        asked, _, known = self._asked(user, history)
        return placed_for(placement, self.space, rows, asked, known)

    def add_items(self, table: pl.DataFrame, features: Mapping[str, NDArray[np.float32]]) -> Catalog:
        """A catalog with new items at the end, which are recommended, found and explained like the others.

        Args:
            table: item_id and any columns of `items`; what it lacks is null.
            features: [n, D] by modality; a row of zeros for an item without. Items keep these until the model
                is trained again; purchases of them say nothing about a user before that.

        A shortlist is renewed: it holds the new items, too.

        Raises:
            DataError: an id that is there already or twice, another column or type, or what `place` refuses.
            ConfigError: the model cannot place new items, or the shortlist misses too much (`renewed`).
        """
        rows = {m: torch.from_numpy(np.array(x, dtype=np.float32, ndmin=2)) for m, x in features.items()}
        return Catalog(with_items(self.contents, self._attachment(), table, rows))

    def update(self, interactions: pl.DataFrame) -> tuple[Catalog, Drift]:
        """A catalog after more purchases, and how far it has drifted from training.

        New users are folded in; what a known user's purchases bring is made anew, and what is the user's own
        stays. Items do not change: add new ones with `add_items` before. The recall of a shortlist is new.

        Args:
            interactions: user_id and item_id; pairs that are known already change nothing.

        Raises:
            DataError: a column is missing, or an unknown item.
            ConfigError: the model cannot make a user from items, or the shortlist misses too much.
        """
        users, items = named_pairs(interactions)
        contents, drift = with_interactions(self.contents, self._fold_in(), users, self._item_ids.rows(items))
        return Catalog(contents), drift

    def forget(self, users: Sequence[str]) -> Catalog:
        """A catalog without these users: no id, row or history is left, also not in exports made from it.

        What training learned from them is in the item rows until the model is trained again without them.
        The run folder and its data are not touched.

        Raises:
            DataError: an unknown user.
        """
        return Catalog(without_users(self.contents, self.user_rows(users)))

    def _asked(self, user: str | None, history: Sequence[str] | None) -> tuple[Query, Tensor, Tensor]:
        """The rows of a user or a stranger, the items that they are a sum over, and those that they have."""
        if (user is None) == (history is None):
            raise DataError("give a user or a history, one of the two")
        if user is None:
            items = self._item_ids.rows(history or []).unique()
            return sum_query(self._fold_in().parts(items)), items, items
        row = self.user_rows([user])
        _, bought = self.contents.bought.select(row)
        _, known = self.contents.known.select(row)
        return self.space.query(row), bought, known

    def _fold_in(self) -> FoldIn:
        if isinstance(self.contents.fold_in, str):
            raise ConfigError(self.contents.fold_in)
        return self.contents.fold_in

    def _attachment(self) -> Attachment:
        if isinstance(self.contents.attachment, str):
            raise ConfigError(self.contents.attachment)
        return self.contents.attachment
