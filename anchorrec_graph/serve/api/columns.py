"""The item table as the API shows it: which columns can be filtered, and values that JSON can hold."""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl
from polars import selectors

MOST_VALUES = 200  # that are listed of a column
MOST_CATEGORIES = 1000  # a text column of more values is text
LONGEST_TEXT = 2000  # letters of a field
NAMED = (pl.String, pl.Boolean, pl.Categorical, pl.Enum)
JSON_TYPES = (pl.String, pl.Boolean, pl.Date, pl.Datetime, pl.Null)


class Column(NamedTuple):
    """A column that filters can name. `values` are the most frequent ones of a category."""

    name: str
    kind: str  # category, number or text
    values: list[Any]
    min: float | None = None
    max: float | None = None


def columns_of(items: pl.DataFrame) -> list[Column]:
    """Every column but the ids."""
    return [_column(items[name]) for name in items.columns if name != "item_id"]


def _column(column: pl.Series) -> Column:
    if column.dtype.is_numeric():
        low, high = column.cast(pl.Float64).min(), column.cast(pl.Float64).max()
        return Column(column.name, "number", [], _number(low), _number(high))
    if column.dtype == pl.Boolean:
        return Column(column.name, "category", ["true", "false"])
    listed = isinstance(column.dtype, pl.List)
    parts = as_text(column.explode() if listed else as_text(column).str.split("|").explode()).drop_nulls()
    counts = parts.value_counts(name="count").sort("count", column.name, descending=[True, False])
    values = counts[column.name].head(MOST_VALUES).to_list()
    few = len(counts) <= MOST_CATEGORIES and 2 * len(counts) <= len(parts)
    return Column(column.name, "category", values) if listed or few else Column(column.name, "text", [])


def _number(value: Any) -> float | None:
    return float(value) if value is not None else None


def can_filter(dtype: Any) -> bool:
    """Whether a value can be looked for in a column of this type."""
    if isinstance(dtype, pl.List):
        return can_filter(dtype.inner)
    return bool(
        dtype.is_numeric() or (dtype.is_temporal() and dtype != pl.Duration) or isinstance(dtype, NAMED)
    )


def as_text(column: pl.Series) -> pl.Series:
    """The values as Polars writes them, or as Python does where Polars does not."""
    try:
        return column.cast(pl.String, strict=False)
    except pl.exceptions.PolarsError:
        values = [None if value is None else str(value) for value in column.to_list()]
        return pl.Series(column.name, values, dtype=pl.String)


def json_ready(items: pl.DataFrame) -> pl.DataFrame:
    """The columns as types that JSON has; long texts are cut."""
    columns = [column if _plain(column.dtype) else as_text(column) for column in items.get_columns()]
    return pl.DataFrame(columns).with_columns(
        selectors.string().exclude("item_id").str.slice(0, LONGEST_TEXT)
    )


def _plain(dtype: Any) -> bool:
    if isinstance(dtype, pl.List):
        return _plain(dtype.inner)
    wide = dtype in (pl.Int128, pl.UInt128)  # no JSON writer takes more than 64 bits
    return not wide and bool(dtype.is_integer() or dtype.is_float() or isinstance(dtype, JSON_TYPES))
