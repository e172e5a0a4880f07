"""Source `table`: CSV, TSV, JSON lines or Parquet in any layout; the settings name the columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import items as item
from anchorrec_graph.prepare.sources.base import ITEM_COLUMNS, SOURCES, ListedFiles
from anchorrec_graph.prepare.sources.interactions import TimeUnit, interactions
from anchorrec_graph.prepare.sources.rows import Fields
from anchorrec_graph.prepare.sources.tables import table_records, table_rows
from anchorrec_graph.text import printable

Described = Literal["title", "description", "brand", "categories", "price", "image"]


class Table(ListedFiles):
    """Any table by its suffix: .csv, .tsv, .jsonl, .json (lines), .parquet; the text ones also with .gz.

    In item files a column called as ours (`title`, ...) is read as that unless `columns` names another.
    All other columns are kept as text, lists and objects as JSON.
    """

    name: Literal["table"] = "table"
    user_column: str = "user_id"
    item_column: str = "item_id"
    rating_column: str | None = None
    time_column: str | None = None
    time_unit: TimeUnit = "s"  # iso: text such as 2014-07-23 or 2014-07-23T10:00:00+02:00
    item_id_column: str | None = None  # in `items`; None: as in item_column
    columns: dict[Described, str] = Field(default_factory=dict)  # in `items`: ours -> the column's name
    categories_separator: str = Field(default="|", min_length=1)  # of categories that are one text

    def read_interactions(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        names = {"user_id": (self.user_column,), "item_id": (self.item_column,)}
        if self.rating_column is not None:
            names["rating"] = (self.rating_column,)
        if self.time_column is not None:
            names["timestamp"] = (self.time_column,)
        hint = "name another with user_column, item_column, rating_column, time_column"
        for rows in table_rows(path, Fields(names, hint=hint), rejects, self.time_unit):
            yield from interactions(rows, path, rejects, self.time_unit)

    def read_items(self, path: Path, rejects: Rejects) -> Iterator[pl.DataFrame]:
        named = {"item_id": self.item_id_column or self.item_column}
        named |= {str(ours): column for ours, column in self.columns.items()}
        hint = "name another with item_id_column, columns"
        fields = Fields({ours: (column,) for ours, column in named.items()}, hint=hint)

        def convert(record: Mapping[str, Any]) -> item.Item:
            return self._item(record, named, path)

        yield from item.item_frames(table_records(path, fields, rejects), path, rejects, convert)

    def _item(self, record: Mapping[str, Any], named: Mapping[str, str], path: Path) -> item.Item:
        values: dict[str, Any] = {}
        taken = set(named.values())
        for ours, column in named.items():
            values[ours] = item.converted(ours, record.get(column), self.categories_separator)
        for column, value in record.items():
            name = item.whole(column)
            if column in taken:
                continue
            if name in values:
                raise DataError(f"{path}: two columns are read as '{printable(name)}'; rename one of them")
            known = name in ITEM_COLUMNS
            values[name] = (
                item.converted(name, value, self.categories_separator) if known else item.kept(value)
            )
        return values


SOURCES.register(Table)(Table)
