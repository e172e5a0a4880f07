"""Filters on the item table: a column, and the values that an item may have there."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import torch
from torch import Tensor

from anchorrec_graph.errors import DataError
from anchorrec_graph.settings import unknown_name

Value = str | float
Filters = Mapping[str, Value | Sequence[Value]]


def allowed_items(items: pl.DataFrame, filters: Filters) -> Tensor:
    """Mask [I] of the items that pass every filter.

    An item passes if it has one of the values given. Of a list, and of text joined by `|`, one part is
    enough. Numbers are compared as numbers, "1994" with 1994.0; an item without a value does not pass.

    Raises:
        DataError: there is no such column, or no item has one of the values.
    """
    allowed = pl.repeat(True, len(items), eager=True)
    for column, wanted in filters.items():
        if column not in items.columns:
            raise DataError("filter: " + unknown_name("item column", column, items.columns))
        values = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
        passes = pl.repeat(False, len(items), eager=True)
        for value in values:
            found = _has(items[column], str(value))
            if not found.any():
                raise DataError(
                    f"filter: no item has {column} '{value}'; {_others(items[column], str(value))}"
                )
            passes |= found
        allowed &= passes
    return torch.from_numpy(allowed.to_numpy().copy())


def share_value(items: pl.DataFrame, column: str, row: int) -> Tensor:
    """Mask [I] of the items that have a value of this item, or a part of one (`allowed_items`), in a column.

    An item without a value shares none.

    Raises:
        DataError: there is no such column.
    """
    if column not in items.columns:
        raise DataError("across: " + unknown_name("item column", column, items.columns))
    value = items[column][row]
    parts = value if isinstance(value, pl.Series) else str(value).split("|") if value is not None else []
    shared = pl.repeat(False, len(items), eager=True)
    for part in parts:
        shared |= _has(items[column], str(part))
    return torch.from_numpy(shared.to_numpy().copy())


def _has(column: pl.Series, value: str) -> pl.Series:
    """Whether each entry is, or holds, the value."""
    if column.dtype.is_numeric():
        found = column.cast(pl.Float64).is_in(_numbers(value))
    elif isinstance(column.dtype, pl.List):
        found = column.list.eval(pl.element().cast(pl.String)).list.contains(value)
    elif column.dtype == pl.Boolean:
        found = column.cast(pl.String) == value.lower()
    else:
        text = column.cast(pl.String)
        found = (text == value) | text.str.split("|").list.contains(value)
    return found.fill_null(False)


def _numbers(value: str) -> list[float]:
    """The number, or none."""
    try:
        return [float(value)]
    except ValueError:
        return []


def _others(column: pl.Series, value: str) -> str:
    """Values that items do have: the nearest one, the first few, or the range of numbers."""
    if column.dtype.is_numeric():
        return f"its numbers run from {column.min()!r} to {column.max()!r}"
    if not isinstance(column.dtype, pl.List):
        column = column.cast(pl.String).str.split("|")
    parts: list[Any] = column.explode().unique().drop_nulls().sort().to_list()
    known = {str(part).lower(): str(part) for part in parts}
    near = difflib.get_close_matches(value.lower(), known, n=1)
    return f"did you mean '{known[near[0]]}'?" if near else f"for example {', '.join([*known.values()][:5])}"
