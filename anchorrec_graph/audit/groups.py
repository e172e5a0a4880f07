"""`Groups`: named groups of items or of users, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.audit.columns import ALL, MISSING, OTHER, column_labels, fold_small
from anchorrec_graph.errors import ConfigError
from anchorrec_graph.evaluate.slices import activity_quartiles
from anchorrec_graph.settings import unknown_name

POPULARITY, COLD, ACTIVITY = "popularity", "cold", "activity"
COLD_USERS = 5  # an item with fewer training users is cold
Of = Literal["lists", "items", "users"]


class Groups(NamedTuple):
    """G groups of n rows. A row in several groups counts in full in each of them."""

    of: Of
    by: str  # what tells the groups apart: a column, or one of popularity, cold, activity
    names: list[str]  # [G]
    member: csr_array  # [n, G] 1.0 where the row is in the group
    folded: int = 0  # how many small groups were put together as `(other)`

    def with_all(self) -> Groups:
        """The same with one more group `(all)` of all rows, the last."""
        everyone = csr_array(np.ones((self.member.shape[0], 1)))
        return self._replace(names=[*self.names, ALL], member=hstack([self.member, everyone], format="csr"))

    def comparable(self) -> list[bool]:
        """Which groups stand for themselves: `(all)` and the mixture `(other)` do not. [G]"""
        return [name not in (ALL, OTHER) for name in self.names]


def find_groups(
    data: HeteroData, by: Sequence[str], item_users: Tensor, users: Tensor, user_counts: Tensor, least: int
) -> list[Groups]:
    """The groups that `by` names, or by default all that the data has.

    `popularity`: quartiles of items, q1 with the fewest training users. `cold`: items with fewer than 5
    training users, and the others (warm). `activity`: quartiles of users, q1 with the fewest training
    items. Any other name is a column of the item table, else of the user table (`data["user"].table`, if
    the data has one); see `column_labels`. By default these three and every column with at least two groups.

    Args:
        item_users: [I] training users.
        users: [n] the users that are evaluated; user groups are groups of these.
        user_counts: [n] their training items.
        least: smaller groups are put together as `(other)`.

    Raises:
        ConfigError: an unknown name, or a column without a group of `least` rows.
    """
    items: pl.DataFrame | None = data["item"].get("table")
    people: pl.DataFrame | None = data["user"].get("table")
    tables: dict[Of, pl.DataFrame] = {}
    if items is not None:
        tables["items"] = items
    if people is not None:
        tables["users"] = people[users.numpy()]
    built_in: dict[str, tuple[Of, pl.Series]] = {
        POPULARITY: ("items", _quartiles(item_users)),
        COLD: ("items", pl.Series(np.where(item_users.numpy() < COLD_USERS, "cold", "warm"))),
        ACTIVITY: ("users", _quartiles(user_counts)),
    }
    if not by:
        found = [_group(of, name, column, least) for name, (of, column) in built_in.items()]
        columns = [(of, name) for of, table in tables.items() for name in table.columns[1:]]
        own = [_group(of, name, tables[of][name], least) for of, name in columns if name not in built_in]
        return found + [groups for groups in own if sum(groups.comparable()) > 1]
    return [_named(name, built_in, tables, least) for name in dict.fromkeys(by)]


def _named(
    name: str, built_in: dict[str, tuple[Of, pl.Series]], tables: dict[Of, pl.DataFrame], least: int
) -> Groups:
    if name in built_in:
        return _group(built_in[name][0], name, built_in[name][1], least)
    for of, table in tables.items():
        if name in table.columns:
            groups = _group(of, name, table[name], least)
            if not any(groups.comparable()):
                raise ConfigError(
                    f"groups by '{name}': none has {least} {of}; take another column or a smaller --min-size"
                )
            return groups
    known = [*built_in, *(column for table in tables.values() for column in table.columns)]
    raise ConfigError("groups by " + unknown_name("column", name, known))


def _group(of: Of, by: str, column: pl.Series, least: int) -> Groups:
    labels, folded = fold_small(column_labels(column), least)
    names = labels.order if by not in (POPULARITY, COLD, ACTIVITY) else sorted(labels.order, key=_last)
    place = {name: number for number, name in enumerate(names)}
    rows = labels.rows["row"].to_numpy()
    groups = labels.rows["label"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    member = csr_array((np.ones(len(rows)), (rows, groups)), shape=(len(column), len(names)))
    return Groups(of, by, names, member, folded)


def _last(name: str) -> tuple[bool, str]:
    return name in (OTHER, MISSING), name


def _quartiles(counts: Tensor) -> pl.Series:
    quartile: NDArray[np.int64] = activity_quartiles(counts).numpy()
    return pl.Series([f"q{number + 1}" for number in quartile])
