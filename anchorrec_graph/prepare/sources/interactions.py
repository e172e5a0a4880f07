"""Rows of text as interactions: ids cleaned, ratings and times as numbers, the rest rejected."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources.base import BLOCK, INTERACTION_COLUMNS, LABEL
from anchorrec_graph.prepare.sources.rows import Rows

TimeUnit = Literal["s", "ms", "us", "iso"]
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
BLANKS = " \t\n\r\f\v"  # taken off around ids and numbers
LABELS, BAD_LABEL = ("0", "1", "2"), "x_label is not 0, 1 or 2"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def interactions(
    rows: Rows, path: Path, rejects: Rejects, unit: TimeUnit = "s", ids: str | None = None
) -> Iterator[pl.DataFrame]:
    """Frames with the columns of INTERACTION_COLUMNS from text columns of the same names.

    Ids keep their text, without blanks around it. A rating is a finite decimal number; a time a number of
    `unit`s (fractions of a second are cut off) or an ISO 8601 date, in UTC unless it says otherwise.
    Ratings and times that are empty or absent are null. `ids` is a pattern that ids must match. A column
    `label` of the rows, 0, 1, 2 or empty, comes along.
    """
    label = [name for name in LABEL if name in rows.frame.columns]
    absent = [name for name in INTERACTION_COLUMNS if name not in rows.frame.columns]
    stripped = [pl.col(name).str.strip_chars(BLANKS) for name in (*INTERACTION_COLUMNS, *label)]
    rating = pl.col("rating").cast(pl.Float64, strict=False)
    finite = rating.is_finite().fill_null(False)
    time = pl.col("timestamp")
    wrong_time = "timestamp is no ISO date" if unit == "iso" else "timestamp is no number within 64 bits"
    reasons = [
        *(pl.when(~pl.col(name).is_in(LABELS)).then(pl.lit(BAD_LABEL)) for name in label),
        *_id_faults("user_id", ids),
        *_id_faults("item_id", ids),
        pl.when(pl.col("rating").is_not_null() & ~finite).then(pl.lit("rating is no finite number")),
        pl.when(time.is_not_null() & pl.col("seconds").is_null()).then(pl.lit(wrong_time)),
    ]
    read = (
        rows.frame.lazy()
        .with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
        .select(pl.when(text != "").then(text) for text in stripped)
        .with_columns(_iso(time) if unit == "iso" else _seconds(time, PER_SECOND[unit]))
        .select(
            "user_id",
            "item_id",
            rating.alias("rating"),
            pl.col("seconds").alias("timestamp"),
            *(pl.col(name).cast(pl.Int8, strict=False) for name in label),
            pl.coalesce(reasons).alias("reason"),
        )
        .collect()
    )
    bad = np.flatnonzero(read["reason"].is_not_null().to_numpy())
    for position in bad.tolist():
        rejects.add(path, int(rows.number[position]), read["reason"][position], rows.text(position))
    if len(bad):
        read = read.filter(pl.col("reason").is_null())
    yield from read.drop("reason").iter_slices(BLOCK)


def _id_faults(column: str, pattern: str | None) -> list[pl.Expr]:
    faults: list[pl.Expr] = [
        pl.when(pl.col(column).is_null()).then(pl.lit(f"no {column}")),
        pl.when(pl.col(column).str.contains("\0", literal=True)).then(pl.lit(f"{column} holds a NUL")),
    ]
    if pattern is not None:
        wrong = ~pl.col(column).str.contains(pattern)
        faults.append(pl.when(wrong).then(pl.lit(f"{column} is no row number")))
    return faults


def _seconds(text: pl.Expr, per_second: int) -> pl.Expr:
    """Whole seconds; null for what is no number, or where the number is outside int64."""
    decimal = text.cast(pl.Float64, strict=False)
    decimal = pl.when(decimal.is_between(-(2.0**63), 2.0**63, closed="left")).then(decimal)
    units = pl.coalesce(text.cast(pl.Int64, strict=False), decimal.floor().cast(pl.Int64, strict=False))
    return (units // per_second).alias("seconds")  # dividing integers: exact also near 0 and near 2^63


def _iso(text: pl.Expr) -> pl.Expr:
    def epochs(values: pl.Series) -> pl.Series:
        seconds = {value: _epoch(value) for value in values.unique() if value is not None}
        return pl.Series([seconds.get(value) for value in values], dtype=pl.Int64)

    return text.map_batches(epochs, return_dtype=pl.Int64).alias("seconds")


def _epoch(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(text)
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (time - EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
