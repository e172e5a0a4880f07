"""A column of a table as groups of its rows: parts of text and lists, bands of numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

MISSING, OTHER, ALL = "(missing)", "(other)", "(all)"
BANDS = 4


class Labels(NamedTuple):
    """Which rows have which label; a row may have several."""

    rows: pl.DataFrame  # row, label: one line for each label of each row, each once
    order: list[str]  # of the labels


def column_labels(column: pl.Series) -> Labels:
    """The labels of every row of a column.

    Numbers fall into 4 bands of about equally many rows (fewer where values repeat), and so does text
    that holds nothing but numbers; at most 4 different numbers stay as they are. Of a list, and of text
    joined by `|`, every part is a label. A row without a value is `(missing)`. Bands are in the order of
    their numbers, other labels by their number of rows, largest first.
    """
    numbers = _numbers(column)
    if numbers is not None and numbers.drop_nulls().n_unique() > BANDS:
        labels, order = _bands(numbers)
        return Labels(_rows(labels), [*order, MISSING])
    rows = _rows(_parts(column))
    sizes = rows.group_by("label").len().sort(["len", "label"], descending=[True, False])
    return Labels(rows, sizes["label"].to_list())


def fold_small(labels: Labels, least: int) -> tuple[Labels, int]:
    """Labels of fewer than `least` rows become `(other)`, last in order; and how many these were."""
    sizes = dict(labels.rows.group_by("label").len().rows())
    kept = [label for label in labels.order if sizes.get(label, 0) >= least]
    folded = sum(label not in kept for label in sizes)
    if not folded:
        return Labels(labels.rows, kept), 0
    is_kept = pl.col("label").is_in(kept)
    rows = labels.rows.with_columns(pl.when(is_kept).then(pl.col("label")).otherwise(pl.lit(OTHER)))
    return Labels(rows.unique(["row", "label"], maintain_order=True), [*kept, OTHER]), folded


def _numbers(column: pl.Series) -> pl.Series | None:
    """A column of numbers, or of text that is all numbers, as Float64; None for any other."""
    if column.dtype.is_numeric():
        numbers = column.cast(pl.Float64)
    elif column.dtype == pl.String:
        text = column.str.strip_chars().replace("", None)
        numbers = text.cast(pl.Float64, strict=False)
        if numbers.null_count() > text.null_count():
            return None
    else:
        return None
    return numbers.set(~numbers.is_finite().fill_null(False), None)


def _bands(numbers: pl.Series) -> tuple[pl.Series, list[str]]:
    """The band of every number, written `lowest to highest` of the numbers in it, and all bands in order."""
    values = numbers.to_numpy()
    known = ~np.isnan(values)
    bounds = np.unique(np.quantile(values[known], np.arange(1, BANDS) / BANDS))
    band = np.searchsorted(bounds, values)
    names: dict[int, str] = {}
    for number in np.unique(band[known]).tolist():
        inside = values[known & (band == number)]
        low, high = f"{inside.min():g}", f"{inside.max():g}"
        names[number] = low if low == high else f"{low} to {high}"
    labels = [names[number] if here else None for number, here in zip(band.tolist(), known, strict=True)]
    return pl.Series(labels, dtype=pl.String), [*names.values()]


def _parts(column: pl.Series) -> pl.Series:
    """Text, or lists of text, as lists of labels."""
    if isinstance(column.dtype, pl.List | pl.Array):
        return column.cast(pl.List(pl.String))
    return column.cast(pl.String).str.split("|")


def _rows(labels: pl.Series) -> pl.DataFrame:
    table = pl.DataFrame({"label": labels}).with_row_index("row")
    if isinstance(labels.dtype, pl.List):
        filled = pl.when(pl.col("label").list.len() > 0).then("label")  # polars 2 drops empty lists
        table = table.with_columns(filled).explode("label")
    text = pl.col("label").str.strip_chars().replace("", None).fill_null(MISSING)
    table = table.with_columns(text, pl.col("row").cast(pl.Int64)).unique(maintain_order=True)
    several = pl.len().over("row") > 1  # an empty part beside others says nothing
    return table.filter(~(several & (pl.col("label") == MISSING)))
