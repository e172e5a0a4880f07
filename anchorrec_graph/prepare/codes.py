"""Ids as integers: 10^7 rows of strings would not fit beside the steps that follow."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.prepare.sources.base import INTERACTION_COLUMNS, LABEL

KINDS = ("user", "item")
COLUMNS = {**INTERACTION_COLUMNS, **LABEL}


class Coded(NamedTuple):
    """Rows with ids as codes, and the id of every code. Codes have no meaningful order."""

    rows: pl.DataFrame  # user and item UInt32, rating, timestamp, label; in file order
    ids: dict[str, pl.Series]  # "user" and "item" -> [codes] ids


def encode(pieces: list[Path]) -> Coded:
    """Read pieces of interactions as a stream, so that the strings of all rows never meet in memory.

    Rows of pieces without a column `label` have none.
    """
    scan = (
        pl.scan_parquet(pieces, schema=COLUMNS, missing_columns="insert")
        if pieces
        else pl.LazyFrame(schema=COLUMNS)
    )
    ids, rows = {}, scan
    for kind in KINDS:
        column = f"{kind}_id"
        table = scan.select(column).unique().collect(engine="streaming").with_row_index(kind)
        ids[kind] = table[column]
        rows = rows.join(table.lazy(), on=column, how="left", maintain_order="left")
    return Coded(rows.select(*KINDS, "rating", "timestamp", "label").collect(engine="streaming"), ids)


def number_by_appearance(codes: NDArray[np.unsignedinteger]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Renumber codes [n] in the order in which they first occur.

    Returns the new numbers [n], and the code of each number.
    """
    first = np.full(int(codes.max(initial=0)) + 1, len(codes))
    first[codes[::-1]] = np.arange(len(codes))[::-1]  # of repeated indices the last, so the first row, stays
    by_number = np.argsort(first, kind="stable")[: int((first < len(codes)).sum())]
    number = np.empty(len(first), dtype=np.int32)
    number[by_number] = np.arange(len(by_number), dtype=np.int32)
    return number[codes], by_number
