"""The best items of a catalog, and how they are shown: ids, rank, the items' own columns, values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.evaluate.ranking import TopK, best_columns, top_k
from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.filters import Filters, allowed_items
from anchorrec_graph.serve.shortlist import Shortlist
from anchorrec_graph.serve.space import Query, Space, Weights

BLOCK = 8_192  # recommendations whose view parts are computed at once


class Wish(NamedTuple):
    """What is asked of a list."""

    k: int
    filters: Filters | None = None
    weights: Weights | None = None


class _Scorer(NamedTuple):
    """Scores of a space's users, or of one query, with -inf for items that are not allowed."""

    space: Space
    query: Query | None  # the users' rows are its places; None: those of the space
    weights: Weights | None
    allowed: Tensor | None  # [I] bool

    def scores(self, users: Tensor) -> Tensor:
        query = self.query
        if query is None:
            query = self.space.query(users) if self.weights else Query(self.space.user[users], {})
        scores = self.space.scores(query, self.weights)
        return scores if self.allowed is None else scores.masked_fill_(~self.allowed, -torch.inf)


def best_for_users(
    space: Space,
    items: pl.DataFrame,
    query: Query | None,
    users: Tensor,
    wish: Wish,
    seen: UserItems | None,
    shortlist: Shortlist | None = None,
) -> TopK:
    """The best items of users of the space, or, with a query, of its places `users`.

    With a shortlist, and without filters and weights, only its candidates are scored; a user for whom they
    are too few gets the best of all items.

    Raises:
        DataError: the wish cannot be met: k < 1, or an unknown column, value or view.
    """
    _check_k(wish.k)
    space.check_weights(wish.weights)
    allowed = allowed_items(items, wish.filters) if wish.filters else None
    scorer, k = _Scorer(space, query, wish.weights, allowed), min(wish.k, len(items))
    if shortlist is None or wish.filters or wish.weights:
        return top_k(scorer, users, k, seen)
    rows = space.user[users] if query is None else query.user
    best = shortlist.best(space.item, rows, users, k, seen)
    few = (best.items < 0).any(1)
    if few.any():
        part = query and Query(query.user[few], {name: row[few] for name, row in query.views.items()})
        every = top_k(scorer._replace(query=part), users[few], k, seen)
        best.scores[few], best.items[few] = every.scores, every.items
    return best


def recommended_table(
    contents: Contents,
    query: Query | None,
    users: Tensor,
    wish: Wish,
    seen: UserItems | None,
    ids: Mapping[str, NDArray[Any]],
) -> pl.DataFrame:
    """The best items of users (`best_for_users`) with their ids [n]: score, and each view's part of it.

    Raises:
        DataError: as `best_for_users`.
    """
    space, items = contents.space, contents.items
    best = best_for_users(space, items, query, users, wish, seen, contents.shortlist)
    tables = []
    for place, rank in (block.T for block in (best.items >= 0).nonzero().split(BLOCK)):
        asked, row = query, users[place]
        if asked is None:
            rows, row = row.unique(return_inverse=True)
            asked = space.query(rows)
        item = best.items[place, rank]
        parts = space.parts(asked, row, item, wish.weights)
        values = {"score": best.scores[place, rank]} | {f"{view}_part": part for view, part in parts.items()}
        named = {name: column[place.numpy()] for name, column in ids.items()}
        tables.append(ranked_table(items, named, rank, item, values))
    return pl.concat(tables)


def nearest_table(
    similarity: Tensor, items: pl.DataFrame, wish: Wish, ids: Mapping[str, NDArray[Any]]
) -> pl.DataFrame:
    """The best items of each row of similarities [n, I] with the ids [n] of the rows; -inf is no candidate.

    Raises:
        DataError: as `best_for_users`.
    """
    _check_k(wish.k)
    if wish.filters:
        similarity.masked_fill_(~allowed_items(items, wish.filters), -torch.inf)
    best = best_columns(similarity, min(wish.k, len(items)))
    place, rank = (best.items >= 0).nonzero(as_tuple=True)
    named = {name: values[place.numpy()] for name, values in ids.items()}
    return ranked_table(items, named, rank, best.items[place, rank], {"similarity": best.scores[place, rank]})


def ranked_table(
    items: pl.DataFrame,
    ids: Mapping[str, NDArray[Any]],
    rank: Tensor,
    item: Tensor,
    values: Mapping[str, Tensor],
) -> pl.DataFrame:
    """ids and rank, then the items' own columns, then the values; theirs give way where names meet."""
    ours = pl.DataFrame(
        {**ids, "rank": (rank + 1).numpy()} | {name: value.numpy() for name, value in values.items()}
    )
    theirs = items[item.numpy()].rename(
        {name: f"item_{name}" for name in items.columns if name in ours.columns}
    )
    first = len(ids) + 1
    return pl.concat([ours[:, :first], theirs, ours[:, first:]], how="horizontal")


def _check_k(k: int) -> None:
    if k < 1:
        raise DataError(f"k is {k}; at least 1 item is needed")
