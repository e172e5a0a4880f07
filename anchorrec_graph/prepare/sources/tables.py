"""Tables of any kind by their suffix: delimited text, JSON lines, Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources.csv_rows import CSV, TSV, Dialect, csv_rows
from anchorrec_graph.prepare.sources.interactions import TimeUnit
from anchorrec_graph.prepare.sources.items import as_records
from anchorrec_graph.prepare.sources.json_rows import json_records, json_rows
from anchorrec_graph.prepare.sources.parquet_rows import parquet_records, parquet_rows
from anchorrec_graph.prepare.sources.rows import Fields, Records, Rows

DIALECTS = {".csv": CSV, ".tsv": Dialect("\t"), ".inter": TSV, ".item": TSV}
SUFFIXES = (*DIALECTS, ".jsonl", ".json", ".parquet")


def table_rows(path: Path, fields: Fields, rejects: Rejects, unit: TimeUnit) -> Iterator[Rows]:
    """The wanted fields of a table as text, times of Parquet's date types as text in `unit`."""
    kind = _suffix(path)
    if kind == ".parquet":
        return parquet_rows(path, fields, unit)
    if kind in DIALECTS:
        return csv_rows(path, DIALECTS[kind], lambda columns: fields.choose(path, columns), rejects)
    return json_rows(path, fields, rejects)


def table_records(path: Path, fields: Fields, rejects: Rejects) -> Iterator[Records]:
    """All columns of a table under the names in the file; `fields` must be among them."""

    def everything(columns: tuple[str, ...]) -> dict[str, str]:
        fields.choose(path, columns)
        return {column: column for column in columns}

    kind = _suffix(path)
    if kind == ".parquet":
        return parquet_records(path, fields)
    if kind in DIALECTS:
        return as_records(csv_rows(path, DIALECTS[kind], everything, rejects))
    return json_records(path, fields, rejects)


def _suffix(path: Path) -> str:
    """The suffix that tells the kind of table, passing over a final `.gz`.

    Raises:
        DataError: an unknown suffix.
    """
    found = Path(path.name.removesuffix(".gz")).suffix
    if found not in SUFFIXES:
        raise DataError(f"{path}: unknown suffix '{found}'; known: {', '.join(SUFFIXES)}, also with .gz")
    return found
