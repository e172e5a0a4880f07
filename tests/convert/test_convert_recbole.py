"""RecBole's format and back.

What does not survive: the order of rows if a split is stored (they come back by part), line breaks and tabs
in values and spaces in categories, blanks around values, empty lists, float64 features.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from odd_shop import column, features, pairs, prepare_again, shops, write_prepared

from anchorrec_graph.convert.pipeline import convert
from anchorrec_graph.errors import DataError

BLANKS = " \t\n\r\f\v"


def plain(value: str | None) -> str | None:
    """A text as the format holds it."""
    return None if value is None else re.sub("[\t\n\r]", " ", value).strip(BLANKS) or None


def category(value: str) -> str:
    return re.sub(r"\s", "_", re.sub(r"\s+", "_", value))


def plain_items(folder: Path) -> dict[str, dict[str, Any]]:
    """Item id -> what the format holds of its metadata."""
    found = {}
    for row in pl.read_parquet(folder / "items.parquet").to_dicts():
        values = {name: plain(value) if isinstance(value, str) else value for name, value in row.items()}
        if row.get("categories") is not None:
            values["categories"] = list(dict.fromkeys(map(category, row["categories"]))) or None
        found[row["item_id"]] = values
    return found


SEPARATORS = {
    "rows": [{"user_id": "1", "item_id": "1"}],
    "items": [{"item_id": "1", "categories": ["\x1f\x85", "a\x1cb"]}],
    "split": False,
}


@settings(max_examples=12)
@given(shops())
@example(SEPARATORS)
def test_there_and_back(shop: dict[str, Any]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        before = write_prepared(folder, shop)
        convert(before, "recbole", folder / "recbole")
        after = prepare_again({"name": "recbole", "files": [str(folder / "recbole/shop")]}, folder / "after")
        both = []
        for path in (before, after):
            users, items = column(path, "users", "user_id"), column(path, "items", "item_id")
            both.append((pairs(path, users, items), features(path, items), plain_items(path)))
    if shop["split"]:
        both[0][0].sort(key=lambda row: row[-1])
    assert both[0] == both[1]


@settings(max_examples=6)
@given(shops())
def test_quotes_open_no_quotation(shop: dict[str, Any]) -> None:
    """RecBole reads its files with pandas, which takes quotes as the csv module does."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        before = write_prepared(folder, shop)
        convert(before, "recbole", folder / "out")
        for table, ids, count in (
            ("inter", "user_id", len(shop["rows"])),
            ("item", "item_id", len(column(before, "items", "item_id"))),
        ):
            with open(folder / f"out/shop/shop.{table}", encoding="utf-8", newline="") as file:
                read = list(csv.DictReader(file, delimiter="\t"))
            assert len(read) == count
            known = column(before, f"{ids.removesuffix('_id')}s", ids)
            assert list(dict.fromkeys(row[f"{ids}:token"] for row in read)) == known


def test_what_it_writes(tmp_path: Path) -> None:
    rows = [
        {"user_id": "u v", "item_id": f"i{n}", "rating": 4.5 if n else None, "timestamp": n} for n in range(3)
    ]
    items = [
        {"item_id": "i0", "title": '"A\tb"', "categories": ["x y", "z"], "price": 2.5, "a:b": "no", "c": "NA"}
    ]
    shop = write_prepared(tmp_path, {"rows": rows, "items": items, "split": True})
    notes = convert(shop, "recbole", tmp_path / "out")
    place = tmp_path / "out/shop"
    assert (place / "shop.inter").read_text() == (
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "u v\ti0\t\t0\nu v\ti1\t4.5\t1\nu v\ti2\t4.5\t2\n"
    )
    assert (place / "shop.item").read_text() == (
        "item_id:token\ttitle:token_seq\tcategories:token_seq\tprice:float\tc:token\n"
        'i0\t "A b"\tx_y z\t2.5\tNA\ni1\t\t\t\t\ni2\t\t\t\t\n'
    )
    assert notes == [
        "items: column 'title': tabs or line breaks in 1 values became spaces",
        "items: column 'categories': spaces in 1 entries became _",
        "items: column 'a:b' left out, as no field:kind can hold it",
        "rating: empty in 1 of 3 rows, where RecBole takes the mean",
    ]
    parts = [(place / f"shop.{part}.inter").read_text().splitlines() for part in ("train", "valid", "test")]
    assert [len(lines) for lines in parts] == [2, 2, 2]
    assert (
        sorted(line for lines in parts for line in lines[1:])
        == ((place / "shop.inter").read_text().splitlines()[1:])
    )
    assert np.load(place / "image.npy").shape == (3, 3)
    assert "benchmark_filename: [train, valid, test]" in (tmp_path / "out/README.txt").read_text()


@pytest.mark.parametrize("bad", ["a\tb", "a\nb", '"a', "NA", "null", "a\rb"])
@pytest.mark.parametrize("kind", ["user", "item"])
def test_ids_that_the_format_cannot_hold(tmp_path: Path, kind: str, bad: str) -> None:
    rows = [{"user_id": "u", "item_id": "i", f"{kind}_id": bad}]
    shop = write_prepared(tmp_path, {"rows": rows, "items": [{"item_id": "i"}], "split": False})
    shown = re.sub(r"\s", " ", bad)
    with pytest.raises(DataError, match=f"the {kind} id '{shown}' cannot stand in RecBole's files"):
        convert(shop, "recbole", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "shop"]
