"""Cards: what the API tells of an item, and the search for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import polars as pl

from anchorrec_graph.serve.api.columns import json_ready

Card = dict[str, Any]


class Cards:
    """The item table, one card per row: {"item_id", "title", "fields", "image"}."""

    def __init__(self, items: pl.DataFrame, row: Callable[[str], int], pictures: Mapping[str, Any]) -> None:
        self._row, self._pictures = row, pictures
        ids = items["item_id"].cast(pl.String).rename("item_id")
        titles = items["title"].cast(pl.String, strict=False) if "title" in items.columns else ids
        table = json_ready(items).drop("item_id", "title", strict=False)
        self._fields = table if table.width else None
        named = pl.DataFrame({"item_id": ids, "title": titles}).with_columns(
            pl.coalesce(pl.when(pl.col("title") != "").then(pl.col("title")), "item_id").alias("title")
        )
        self._names = named
        self._lower = named.select(pl.all().str.to_lowercase())

    def of_rows(self, rows: Sequence[int]) -> list[Card]:
        wanted = pl.Series(rows, dtype=pl.UInt32)
        names = self._names[wanted].rows()
        fields: list[dict[str, Any]] = (
            self._fields[wanted].to_dicts() if self._fields is not None else [{} for _ in rows]
        )
        return [
            {"item_id": item, "title": title, "fields": values, "image": item in self._pictures}
            for (item, title), values in zip(names, fields, strict=True)
        ]

    def of_items(self, items: Sequence[str]) -> list[Card]:
        return self.of_rows([self._row(item) for item in items])

    def search(
        self, query: str, allowed: pl.Series | None, limit: int, offset: int
    ) -> tuple[int, list[Card]]:
        """Items whose title or id has every word of the query.

        First those that are the query, then those that begin with it, then those that hold it as it is.
        """
        table = self._lower.with_row_index("row")
        if allowed is not None:
            table = table.filter(allowed)
        text = " ".join(query.lower().split())
        for word in text.split():
            table = table.filter(
                pl.any_horizontal(_has(name, word, "anywhere") for name in ("title", "item_id"))
            )
        if text:
            first = pl.any_horizontal(_has(name, text, "whole") for name in ("title", "item_id"))
            second = _has("title", text, "start")
            third = _has("title", text, "anywhere")
            place = pl.when(first).then(0).when(second).then(1).when(third).then(2).otherwise(3)
            table = table.sort(place, maintain_order=True)
        return len(table), self.of_rows(table["row"].slice(offset, limit).to_list())


def _has(name: str, text: str, where: Literal["anywhere", "start", "whole"]) -> pl.Expr:
    column = pl.col(name)
    if where == "anywhere":
        return column.str.contains(text, literal=True)
    return column.str.starts_with(text) if where == "start" else column == text
