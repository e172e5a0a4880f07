"""Delimited files whose faults are named by file and row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anchorrec_graph.errors import DataError

SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t"}


def read_table(path: Path) -> pl.DataFrame:
    """A file with a header line as a frame of text columns, `null` where a field is empty.

    The suffix tells the separator: `.csv` comma, with double quotes; `.tsv` and `.inter` tab, without.

    Raises:
        DataError: the file is missing or empty, is not UTF-8, has a row with too many fields,
            or repeats a column.
    """
    separator = SEPARATORS.get(path.suffix)
    if separator is None:
        raise DataError(f"{path}: unknown suffix '{path.suffix}'; known: {', '.join(SEPARATORS)}")
    if not path.is_file():
        raise DataError(f"{path}: no such file; check the folder and file name in dataset")
    quote = '"' if separator == "," else None
    try:
        frame = pl.read_csv(path, separator=separator, infer_schema=False, quote_char=quote)
    except pl.exceptions.NoDataError as error:
        raise DataError(f"{path}: the file is empty; it needs a header line and one line per row") from error
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: {_first_fault(path, separator, str(error))}") from error
    repeated = [name for name in frame.columns if "_duplicated_" in name]
    if repeated:
        raise DataError(f"{path}: the column '{repeated[0].split('_duplicated_')[0]}' occurs twice; keep one")
    return frame


def whole_numbers(frame: pl.DataFrame, column: str, path: Path) -> NDArray[np.int64]:
    """A text column as int64 [n]; digits only, so `1.0` and `1e3` are refused.

    Raises:
        DataError: a field is empty or not a whole number (file, data row, value).
    """
    return _numbers(frame, column, path, pl.Int64(), "a whole number").astype(np.int64)


def decimal_numbers(frame: pl.DataFrame, column: str, path: Path) -> NDArray[np.float64]:
    """A text column as float64 [n].

    Raises:
        DataError: a field is empty, not a number, or not finite (file, data row, value).
    """
    return _numbers(frame, column, path, pl.Float64(), "a finite number").astype(np.float64)


def _numbers(
    frame: pl.DataFrame, column: str, path: Path, dtype: pl.DataType, what: str
) -> NDArray[np.generic]:
    text = frame.get_column(column)
    values = text.cast(dtype, strict=False)
    bad = values.is_null() if dtype.is_integer() else ~values.is_finite().fill_null(False)
    rows = bad.arg_true()
    if len(rows):
        value = text[int(rows[0])]
        more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        raise DataError(
            f"{path}: row {rows[0] + 1}: column '{column}' "
            f"{'is empty' if value is None else f'holds {value!r}'}, not {what}{more}; correct the file"
        )
    return values.to_numpy()


def _first_fault(path: Path, separator: str, reason: str) -> str:
    """The first row that is not UTF-8 or has too many fields, else the reader's reason."""
    with open(path, "rb") as file:
        width = file.readline().count(separator.encode()) + 1
        for row, line in enumerate(file, start=1):
            try:
                fields = line.decode("utf-8").count(separator) + 1
            except UnicodeDecodeError as error:
                return f"row {row}: not UTF-8 ({error.reason} at byte {error.start}); save the file as UTF-8"
            if fields > width and b'"' not in line:
                return f"row {row}: {fields} fields where the header names {width}; remove the extra ones"
    return f"cannot be read ({reason.splitlines()[0]})"
