"""Metadata and features of the items that stay, in their order."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from anchorrec_graph.data.checks import BLOCK
from anchorrec_graph.data.features import open_features
from anchorrec_graph.errors import DataError
from anchorrec_graph.files import replacing
from anchorrec_graph.prepare.sources.base import ITEM_COLUMNS
from anchorrec_graph.text import first_line


class Aligned(NamedTuple):
    """The item table, and where each item stands in the metadata."""

    items: pl.DataFrame  # [I] item_id, metadata
    row: NDArray[np.int64]  # [I] row in the item files, -1 where they lack the item
    counts: dict[str, int]


def listed_items(pieces: list[Path]) -> pl.Series:
    """The item id of every row of the item files, in order."""
    empty = pl.DataFrame(schema={"item_id": pl.String})
    frames = [empty, *(pl.read_parquet(piece, columns=["item_id"]) for piece in pieces)]
    return pl.concat(frames)["item_id"]


def align_items(item_ids: pl.Series, pieces: list[Path], keep_all: bool) -> Aligned:
    """One row per item in the order of `item_ids`, with the metadata of its first row in the pieces.

    Args:
        item_ids: [I] of the items with interactions.
        pieces: of the item files, in row order.
        keep_all: append the items that only the metadata has.

    Raises:
        DataError: a column has types that do not go together.
    """
    ids = item_ids.alias("item_id").to_frame()
    known = listed_items(pieces).to_frame()
    first = known.with_row_index("row").unique("item_id", keep="first", maintain_order=True)
    alone = first.join(ids, on="item_id", how="anti", maintain_order="left")
    counts = {
        "metadata_rows": len(known),
        "repeated_metadata_rows": len(known) - len(first),
        "items_without_interactions": len(alone),
    }
    if keep_all:
        ids = pl.concat([ids, alone.select("item_id")])
    row = ids.join(first, on="item_id", how="left", maintain_order="left")["row"].cast(pl.Int64)
    counts["items_without_metadata"] = row.null_count()
    numbers = row.fill_null(-1).to_numpy()
    return Aligned(_table(ids["item_id"], numbers, pieces), numbers, counts)


def _table(ids: pl.Series, row: NDArray[np.int64], pieces: list[Path]) -> pl.DataFrame:
    """The rows of the pieces with the given numbers, one piece in memory at a time."""
    picked, start, wanted = [], 0, np.unique(row[row >= 0])
    for piece in pieces:
        frame = pl.read_parquet(piece)
        here = wanted[(wanted >= start) & (wanted < start + len(frame))]
        picked.append(frame[here - start].drop("item_id"))
        start += len(frame)
    try:
        table = pl.concat(picked, how="diagonal_relaxed") if picked else pl.DataFrame()
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"item metadata: a column changes its type between rows or files ({first_line(error)})"
        ) from error
    order = [name for name in ITEM_COLUMNS if name in table.columns]
    order += [name for name in table.columns if name not in order]
    position = pl.Series(np.searchsorted(wanted, row)).set(pl.Series(row < 0), None)
    columns = [table[name].gather(position) for name in order]
    return pl.DataFrame([ids, *(_known_type(column) for column in columns)])


def _known_type(column: pl.Series) -> pl.Series:
    """A column that is empty in every row has no type of its own."""
    if column.dtype != pl.Null:
        return column
    return column.cast(ITEM_COLUMNS.get(column.name, pl.String))  # type: ignore[arg-type]  # a dict of several


def write_features(source: Path, target: Path, row: NDArray[np.int64], metadata_rows: int) -> None:
    """Write the feature rows of the items as `.npy`; items without metadata have a row of zeros.

    Raises:
        DataError: the matrix is malformed, or does not have one row per metadata row.
    """
    rows = open_features(source)
    if len(rows) != metadata_rows:
        raise DataError(
            f"{source}: {len(rows)} feature rows for {metadata_rows} item rows; give each item one"
        )
    with replacing(target) as temporary:
        aligned = open_memmap(temporary, "w+", rows.dtype, (len(row), rows.shape[1]))
        for start in range(0, len(row), BLOCK):
            block = row[start : start + BLOCK]
            has_row = block >= 0
            aligned[start : start + BLOCK][has_row] = rows[block[has_row]]
        aligned.flush()
