"""Parquet tables as rows of text fields, and as rows of raw values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.sources.base import BLOCK
from anchorrec_graph.prepare.sources.interactions import PER_SECOND, TimeUnit
from anchorrec_graph.prepare.sources.rows import Fields, Records, Rows
from anchorrec_graph.text import first_line, printable

T = TypeVar("T")


def parquet_rows(path: Path, fields: Fields, unit: TimeUnit) -> Iterator[Rows]:
    """The wanted columns as text; NaN counts as missing, and dates become text in `unit`.

    Raises:
        DataError: the file is missing or damaged, or a column is absent or of another kind than text,
            numbers and, for times, dates. An id is text or a whole number.
    """
    schema = _schema(path)
    columns = [
        _as_text(path, ours, column, schema[column], unit)
        for ours, column in fields.choose(path, schema).items()
    ]
    for start, frame in _frames(path, columns):
        number = np.arange(start + 1, start + len(frame) + 1)
        yield Rows(frame, number, _text_of(frame))


def parquet_records(path: Path, fields: Fields) -> Iterator[Records]:
    """All columns as Python values.

    Raises:
        DataError: the file is missing or damaged, or a column is absent.
    """
    fields.choose(path, _schema(path))
    for start, frame in _frames(path, [pl.all()]):
        number = np.arange(start + 1, start + len(frame) + 1)
        yield Records(_guarded(path, frame.to_dicts), number, _text_of(frame))


def _schema(path: Path) -> pl.Schema:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file")
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the folder and the file name")
    return _guarded(path, pl.scan_parquet(path, glob=False).collect_schema)


def _frames(path: Path, columns: list[pl.Expr]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Row number of the first row, from 0, and at most BLOCK rows."""
    table = pl.scan_parquet(path, glob=False)
    count = int(_guarded(path, table.select(pl.len()).collect).item())
    for start in range(0, count, BLOCK):
        yield start, _guarded(path, table.slice(start, BLOCK).select(columns).collect)


def _as_text(path: Path, ours: str, column: str, dtype: pl.DataType, unit: TimeUnit) -> pl.Expr:
    values = pl.col(column)
    if ours == "timestamp" and isinstance(dtype, pl.Date | pl.Datetime):
        time = values.cast(pl.Datetime("us"))
        iso = time.dt.to_string("%Y-%m-%dT%H:%M:%S")
        values = iso if unit == "iso" else time.cast(pl.Int64) // (1_000_000 // PER_SECOND[unit])
    elif dtype.is_float() and not ours.endswith("_id"):
        values = values.fill_nan(None)
    elif not (dtype.is_integer() or isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null)):
        raise DataError(
            f"{path}: column '{printable(column)}' is {dtype}, which cannot be read as {ours}; "
            "make it text or whole numbers"
        )
    return values.cast(pl.String).alias(ours)


def _text_of(frame: pl.DataFrame) -> Callable[[int], str]:
    return lambda position: json.dumps(frame.row(position, named=True), ensure_ascii=False, default=str)


def _guarded(path: Path, read: Callable[[], T]) -> T:
    """What polars reads. On some damaged files it panics, which is no ordinary exception."""
    try:
        return read()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        reason = printable(first_line(error))
        raise DataError(f"{path}: not a whole Parquet file ({reason}); write it again") from error
