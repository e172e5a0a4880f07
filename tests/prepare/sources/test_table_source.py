"""Tables of any layout: every kind of file gives the same rows."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from reading import read, write

from anchorrec_graph.errors import DataError

LOG = [
    {"buyer": "u", "sku": "007", "stars": "4.5", "when": "1000"},
    {"buyer": "v", "sku": "a b", "stars": None, "when": "2999"},
    {"buyer": "v", "sku": "c", "stars": "bad", "when": "1"},
]
ROWS = [("u", "007", 4.5, 1), ("v", "a b", None, 2)]
NAMES = {
    "name": "table",
    "user_column": "buyer",
    "item_column": "sku",
    "rating_column": "stars",
    "time_column": "when",
    "time_unit": "ms",
}


def delimited(rows: list[dict[str, Any]], separator: str) -> bytes:
    lines = [list(rows[0]), *(["" if value is None else value for value in row.values()] for row in rows)]
    return "".join(separator.join(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz", "a.jsonl", "a.json.gz", "a.parquet"]
)
def test_kinds(tmp_path: Path, name: str) -> None:
    path, kind = tmp_path / name, name.split(".")[1]
    if kind == "parquet":
        pl.DataFrame(LOG).write_parquet(path)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in LOG).encode()
        data = lines if kind.startswith("json") else delimited(LOG, "," if kind == "csv" else "\t")
        write(path, gzip.compress(data) if name.endswith(".gz") else data)
    found = read(**NAMES, files=[path])
    assert found.interactions == ROWS
    assert found.rejects == [(name, 3, "rating is no finite number")]


def test_types_of_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame(
        {
            "buyer": pl.Series(["u", "v"], dtype=pl.Categorical),
            "sku": [7, None],
            "stars": [float("nan"), 1.0],
            "when": [date(1970, 1, 2), date(1970, 1, 1)],
        }
    )
    frame.write_parquet(path)
    found = read(**NAMES, files=[path])
    assert found.interactions == [("u", "7", None, 86400)]
    assert found.rejects == [("a.parquet", 2, "no item_id")]
    frame.with_columns(when=pl.Series([datetime(1970, 1, 1, 0, 0, 7, 999), None])).write_parquet(path)
    for unit in ("s", "ms", "us", "iso"):
        assert read(**{**NAMES, "time_unit": unit}, files=[path]).interactions == [("u", "7", None, 7)]
    for column, values in (("sku", [1.5, 2.0]), ("buyer", [["a"], ["b"]]), ("stars", [True, False])):
        frame.with_columns(pl.Series(column, values)).write_parquet(path)
        with pytest.raises(DataError, match=f"a.parquet: column '{column}' is .*, which cannot be read as"):
            read(**NAMES, files=[path])


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame(LOG).write_parquet(path)
    for data in (path.read_bytes()[:-20], b"PAR1", b"", b"buyer,sku\n"):
        write(path, data)
        with pytest.raises(DataError, match=r"a.parquet: not a whole Parquet file \(.*\); write it again"):
            read(**NAMES, files=[path])
    with pytest.raises(DataError, match=r"none.parquet: no such file"):
        read(**NAMES, files=[tmp_path / "none.parquet"])


def test_items(tmp_path: Path) -> None:
    log = write(tmp_path / "a.csv", delimited(LOG, ","))
    items = write(
        tmp_path / "i.csv",
        (
            'id,name,genres,cost,description,colour\n007,"Pen, blue",a;b; a,$3.50,'
            '"two\nlines",red\n,x,,,,\n8,,,,,\n'
        ),
    )
    settings = {
        **NAMES,
        "files": [log],
        "items": [items],
        "item_id_column": "id",
        "columns": {"title": "name", "categories": "genres", "price": "cost"},
        "categories_separator": ";",
    }
    found = read(**settings)
    one, two = found.items
    assert one == {
        "item_id": "007",
        "title": "Pen, blue",
        "categories": ["a", "b"],
        "price": 3.5,
        "description": "two\nlines",
        "colour": "red",
    }
    assert two == dict.fromkeys(one) | {"item_id": "8"}
    assert ("i.csv", 3, "no item_id") in found.rejects  # the third line after the header
    with pytest.raises(
        DataError, match=r"i.csv: no column 'sku'; it has: id, name, .*; name another with item_id_column"
    ):
        read(**{**settings, "item_id_column": None})
    with pytest.raises(DataError, match=r"i.csv: two columns are read as 'description'"):
        read(**{**settings, "columns": {"description": "name"}})


def test_items_of_json_and_parquet(tmp_path: Path) -> None:
    log = write(tmp_path / "a.csv", delimited(LOG, ","))
    lines = write(
        tmp_path / "i.jsonl",
        '{"sku": 7, "categories": ["a", "b"], "size": {"x": [1.50]}}\n{"sku": "8", "n": 1.0}\n',
    )
    table = tmp_path / "i.parquet"
    pl.DataFrame(
        {"sku": [9], "categories": [["a"]], "price": [1.5], "day": [date(2020, 1, 2)]}
    ).write_parquet(table)
    found = read(**NAMES, files=[log], items=[lines, table])
    assert found.items == [
        {"item_id": "7", "categories": ["a", "b"], "size": '{"x": ["1.50"]}', "n": None},
        {"item_id": "8", "categories": None, "size": None, "n": "1.0"},
        {"item_id": "9", "categories": ["a"], "price": 1.5, "day": "2020-01-02"},
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"user_column": "who"},
            r"a.csv: no column 'who'; it has: buyer, sku, stars, when; name another with user_column",
        ),
        ({"rating_column": "who"}, r"a.csv: no column 'who'"),
        ({"files": ["a.xlsx"]}, r"a.xlsx: unknown suffix '.xlsx'; known: .csv, .tsv"),
    ],
)
def test_what_is_absent_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    log = write(tmp_path / "a.csv", delimited(LOG, ","))
    with pytest.raises(DataError, match=message):
        read(**{**NAMES, "files": [log], **change})


def test_columns_that_are_not_named_are_not_read(tmp_path: Path) -> None:
    log = write(tmp_path / "a.csv", "user_id,item_id,rating\na,b,5\n")
    assert read(name="table", files=[log]).interactions == [("a", "b", None, None)]
