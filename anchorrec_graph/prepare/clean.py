"""Which rows stay: items with metadata, rating threshold, one row per user and item, k-core.

Rows are a frame in file order with `user` and `item` (integer codes from 0), `rating` and `timestamp`
(null where a row has none). Every step keeps the order, and what else a row has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.settings import Duplicates

Ints = NDArray[np.int64]


class Dropped(NamedTuple):
    """Rows that a step left out."""

    step: str
    reason: str
    rows: int
    round: int | None = None  # of the k-core


class Cleaned(NamedTuple):
    rows: pl.DataFrame
    dropped: list[Dropped]


def with_metadata(rows: pl.DataFrame, has: NDArray[np.bool_]) -> Cleaned:
    """Leave out rows of items without metadata; `has` [items] tells for each code."""
    kept = rows.filter(pl.Series(has[rows["item"].to_numpy()]))
    return Cleaned(
        kept, [Dropped("require_metadata", "the item files do not list the item", len(rows) - len(kept))]
    )


def threshold(rows: pl.DataFrame, min_rating: float) -> Cleaned:
    """Leave out rows with a rating below `min_rating`, and rows without one."""
    kept = rows.filter(pl.col("rating") >= min_rating)
    missing = rows["rating"].null_count()
    below = len(rows) - len(kept) - missing
    return Cleaned(
        kept,
        [
            Dropped("min_rating", f"rating below {min_rating:g}", below),
            Dropped("min_rating", "no rating", missing),
        ],
    )


def one_per_pair(rows: pl.DataFrame, policy: Duplicates, name: Callable[[int, int], str]) -> Cleaned:
    """Keep one row of each user and item (see `PrepareSettings`), at its own place in the file.

    Args:
        name: from the codes of user and item to the pair's name in an error.

    Raises:
        DataError: `policy` is "refuse" and a pair occurs twice.
    """
    pair, found = _repeated(rows)
    if policy == "refuse" and len(found):
        user, item = rows[int(found.min()), ["user", "item"]].row(0)
        others = len(np.unique(pair)) - 1
        more = f", as {others} more pairs do" if others else ""
        raise DataError(
            f"{name(user, item)} occurs more than once{more}; keep one row per pair, or set --duplicates to "
            "last, first, max_rating or mean_rating"
        )
    kept, rating = np.ones(len(rows), dtype=bool), rows["rating"]
    if len(found):
        order = _best_last(rows[found], pair, policy)
        pair, found = pair[order], found[order]
        last = np.append(pair[1:] != pair[:-1], True)
        kept[found[~last]] = False
        if policy == "mean_rating":
            means = pl.DataFrame({"pair": pair, "rating": rating[found]}).group_by(
                "pair", maintain_order=True
            )
            rating = rating.clone().scatter(found[last], means.agg(pl.col("rating").mean())["rating"])
    cleaned = rows.with_columns(rating).filter(pl.Series(kept))
    return Cleaned(
        cleaned, [Dropped("duplicates", "another row of the user and item stays", int((~kept).sum()))]
    )


def _repeated(rows: pl.DataFrame) -> tuple[Ints, Ints]:
    """(pair, row) of every row whose pair occurs more than once, by pair and then by row."""
    user, item = rows["user"].to_numpy(), rows["item"].to_numpy()
    key = user.astype(np.int64) * (int(item.max(initial=0)) + 1) + item
    order = np.argsort(key, kind="stable")
    same = key[order[1:]] == key[order[:-1]]
    is_repeated = np.append(same, False) | np.insert(same, 0, False)
    repeated = order[is_repeated[: len(order)]]  # without rows there is one mark too many
    return key[repeated], repeated


def _best_last(rows: pl.DataFrame, pair: Ints, policy: Duplicates) -> Ints:
    """An order of rows by pair in which the one that stays is the last of its pair."""
    time = rows["timestamp"].fill_null(np.iinfo(np.int64).min).to_numpy()
    place = np.arange(len(rows))
    if policy == "first":  # backwards: ~x falls as x grows, without overflow
        return np.lexsort((~place, ~time, pair))
    if policy == "max_rating":
        return np.lexsort((place, time, rows["rating"].fill_null(-np.inf).to_numpy(), pair))
    return np.lexsort((place, time, pair))


def k_core(rows: pl.DataFrame, user_core: int, item_core: int) -> Cleaned:
    """The largest part in which every user has `user_core` rows and every item `item_core`.

    In rounds: users with too few rows go, then items with too few, until neither has any. The result
    does not depend on the order of removal; the counts of a round do.
    """
    dropped: list[Dropped] = []
    kept = np.arange(len(rows))
    columns = {"user": (rows["user"].to_numpy(), user_core), "item": (rows["item"].to_numpy(), item_core)}
    number, before = 0, -1
    while len(kept) != before:
        number, before = number + 1, len(kept)
        for kind, (codes, least) in columns.items():
            codes_left = codes[kept]
            enough = (np.bincount(codes_left) >= least)[codes_left]
            gone = len(kept) - int(enough.sum())
            if gone:
                dropped.append(Dropped("core", f"{kind} with fewer than {least} rows", gone, number))
                kept = kept[enough]
    return Cleaned(rows[kept], dropped)
