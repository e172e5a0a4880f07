"""Raw values as columns of items."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import items
from anchorrec_graph.prepare.sources.items import Unfit, converted, item_frames, kept
from anchorrec_graph.prepare.sources.rows import Records


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12.99", 12.99),
        ("$12.99", 12.99),
        (" $ 1,299.50 ", 1299.5),
        ("€5", 5.0),
        (".5", 0.5),
        (7, 7.0),
        (3.5, 3.5),
        ("1e2", 100.0),
        ("$12.99 - $15.00", None),
        ("from 9.99", None),
        ("", None),
        ("$", None),
        ("-1", None),
        ("nan", None),
        ("1,2", None),
        ("e5", None),
        ("1e999", None),
        (None, None),
        ({}, None),
        ([1], None),
        (True, None),
        (math.nan, None),
    ],
)
def test_prices(value: Any, expected: float | None) -> None:
    assert converted("price", value) == expected


@pytest.mark.parametrize(
    ("value", "separator", "expected"),
    [
        (None, None, None),
        ("a", None, ["a"]),
        ("a|b", "|", ["a", "b"]),
        (" a | |a|b", "|", ["a", "b"]),
        (["a", "b", "a"], None, ["a", "b"]),
        ([["a", "b"], ["a", "c"]], None, ["a", "b", "c"]),
        ([], None, []),
        ([None, "", "a"], None, ["a"]),
        ([1, "b"], None, ["1", "b"]),
        ("", "|", []),
    ],
)
def test_categories(value: Any, separator: str | None, expected: list[str] | None) -> None:
    assert converted("categories", value, separator) == expected


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("title", "a  b", "a  b"),
        ("title", ["a", "b"], "a b"),
        ("title", 7, "7"),
        ("title", "", None),
        ("title", None, None),
        ("title", "x\ud83d\ude00\ud800", "x\U0001f600\ufffd"),
        ("image", ["", "u"], None),
        ("image", ["u", "v"], "u"),
        ("image", "u", "u"),
        ("image", [], None),
        ("image", {"a": 1}, None),
        ("item_id", " a b ", "a b"),
        ("item_id", 7, "7"),
    ],
)
def test_texts(column: str, value: Any, expected: str | None) -> None:
    assert converted(column, value) == expected


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("item_id", None, "no item_id"),
        ("item_id", " ", "no item_id"),
        ("item_id", ["a"], "neither text nor"),
        ("item_id", "a\0", "holds a NUL"),
        ("item_id", "\ud800", "half a surrogate"),
        ("title", {"a": 1}, "title is neither"),
        ("title", True, "title is neither"),
        ("categories", [[["a"]]], "categories is neither"),
    ],
)
def test_what_is_unfit(column: str, value: Any, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        converted(column, value)


def test_other_values_are_kept_as_text() -> None:
    assert [kept(value) for value in (None, "", "a", 1.5, True, {"é": ["1"]})] == [
        None,
        None,
        "a",
        "1.5",
        "true",
        '{"é": ["1"]}',
    ]
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(Unfit, match="nested too deeply"):
        kept(deep)


@given(st.text())
def test_whole_text_is_not_changed(text: str) -> None:
    assert items.whole(text) == text


def records(values: list[dict[str, Any]]) -> list[Records]:
    return [Records(values, np.arange(1, len(values) + 1), lambda position: str(values[position]))]


def test_frames_have_the_columns_of_their_items() -> None:
    rejects = Rejects()

    def convert(record: dict[str, Any]) -> dict[str, Any]:
        return {name: converted(name, value) for name, value in record.items()}

    rows = [{"item_id": "a", "price": "$1"}, {"item_id": ""}, {"item_id": "b", "categories": None}]
    (frame,) = item_frames(records(rows), Path("f"), rejects, convert)
    assert frame.schema == {"item_id": pl.String, "price": pl.Float64, "categories": pl.List(pl.String)}
    assert frame.rows() == [("a", 1.0, None), ("b", None, None)]
    assert [(reject.row, reject.reason) for reject in rejects.samples] == [(2, "no item_id")]


def test_many_columns_are_refused() -> None:
    rows = [{"item_id": "a", f"x{number}": "1"} for number in range(300)]
    with pytest.raises(DataError, match="f: more than 256 different fields"):
        list(item_frames(records(rows), Path("f"), Rejects(), dict))
