"""Which kind of item each dot of a map is: one value of one column of the item table."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import polars as pl

from anchorrec_graph.audit.columns import MISSING, column_labels
from anchorrec_graph.errors import DataError
from anchorrec_graph.graph.drawing import PALETTE
from anchorrec_graph.settings import unknown_name

OTHER = "other"
MOST_NUMBERS = 12  # columns with more different numbers are shown as bands
ENOUGH = 0.5  # share of the items that the shown values of a column chosen here must have
NAMES = ("item_id", "title")  # columns that tell items, not kinds


class Categories(NamedTuple):
    """`labels` has one for each item, which is one of `shown` or `OTHER`."""

    column: str
    labels: list[str]
    shown: list[str]  # most frequent first


def item_categories(items: pl.DataFrame, column: str | None = None) -> Categories | None:
    """The most frequent values of a column, at most one for each colour.

    Of a list, and of text joined by `|`, the first part counts. By default the first column is taken whose
    shown values cover half of the items, text before numbers; None if there is none.

    Raises:
        DataError: there is no such column.
    """
    if column is not None:
        if column not in items.columns:
            raise DataError("--color: " + unknown_name("item column", column, items.columns))
        return _most_frequent(items[column])
    columns = [name for name in items.columns if name not in NAMES]
    for name in sorted(columns, key=lambda name: items[name].dtype.is_numeric()):
        found = _most_frequent(items[name])
        covered = sum(label != OTHER for label in found.labels) / max(len(items), 1)
        if len(found.shown) > 1 and covered >= ENOUGH:
            return found
    return None


def _most_frequent(column: pl.Series) -> Categories:
    values = _first_values(column)
    counts = Counter(value for value in values if value != MISSING)
    shown = sorted(counts, key=lambda value: (-counts[value], value))[: len(PALETTE)]
    return Categories(column.name, [value if value in shown else OTHER for value in values], shown)


def _first_values(column: pl.Series) -> list[str]:
    if column.dtype.is_numeric() and column.n_unique() <= MOST_NUMBERS:
        return column.cast(pl.String).fill_null(MISSING).to_list()
    first = column_labels(column).rows.unique("row", keep="first", maintain_order=True)
    return first.sort("row")["label"].to_list()
