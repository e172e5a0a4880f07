"""Text columns as interactions, against a loop."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import frame_of

from anchorrec_graph.prepare.rejects import Rejects
from anchorrec_graph.prepare.sources import interactions as module
from anchorrec_graph.prepare.sources.base import INTERACTION_COLUMNS
from anchorrec_graph.prepare.sources.interactions import PER_SECOND, TimeUnit, interactions
from anchorrec_graph.prepare.sources.rows import Rows

DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def run(columns: dict[str, list[str | None]], unit: TimeUnit = "s", ids: str | None = None) -> Any:
    frame, rejects = frame_of(columns), Rejects()
    rows = Rows(frame, np.arange(1, len(frame) + 1), lambda position: f"line {position + 1}")
    frames = list(interactions(rows, Path("f"), rejects, unit, ids))
    for found in frames:
        assert dict(found.schema) == INTERACTION_COLUMNS
    kept = [row for found in frames for row in found.iter_rows()]
    assert all(reject.text == f"line {reject.row}" for reject in rejects.samples)
    return kept, sorted((reject.row, reject.reason) for reject in rejects.samples)


def naive(row: tuple[str | None, ...], unit: TimeUnit) -> tuple[Any, ...] | str:
    """The cleaned row, or the reason why it is none."""
    user, item, rating, time = ((field or "").strip(" \t\n\r\f\v") for field in row)
    for name, value in (("user_id", user), ("item_id", item)):
        if not value:
            return f"no {name}"
        if "\0" in value:
            return f"{name} holds a NUL"
    if rating and (not DECIMAL.fullmatch(rating) or not math.isfinite(float(rating))):
        return "rating is no finite number"
    seconds = None
    if time:
        if not DECIMAL.fullmatch(time):
            return "timestamp is no number within 64 bits"
        whole = re.fullmatch(r"[+-]?\d+", time)
        number = Fraction(int(time)) if whole else Fraction(min(max(float(time), -1e300), 1e300))
        if not -(2**63) <= number < 2**63:
            return "timestamp is no number within 64 bits"
        seconds = math.floor(number / PER_SECOND[unit])
    return user, item, float(rating) if rating else None, seconds


ids = st.none() | st.text("ab 0\0\t é", max_size=4) | st.sampled_from(["007", " x ", "a b", "\u00a0"])
numbers = (
    st.none()
    | st.integers(-(10**4), 10**4).map(str)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        ["", " 5 ", "+5", ".5", "5.", "1e3", "1e400", "nan", "inf", "1_0", "0x1", "٣", "1,5", "true"]
    )
    | st.sampled_from(
        ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "9.3e18", "-9.3e18"]
    )
)


@settings(max_examples=200)
@given(st.lists(st.tuples(ids, ids, numbers, numbers), max_size=8), st.sampled_from(["s", "ms"]))
def test_rows_are_those_of_a_loop(table: list[tuple[str | None, ...]], unit: TimeUnit) -> None:
    columns = {name: [row[place] for row in table] for place, name in enumerate(INTERACTION_COLUMNS)}
    kept, rejects = run(columns, unit)
    expected = [naive(row, unit) for row in table]
    assert kept == [row for row in expected if not isinstance(row, str)]
    assert rejects == [(number, row) for number, row in enumerate(expected, start=1) if isinstance(row, str)]


@pytest.mark.parametrize(("text", "seconds"), [
    ("-5e-324", -1), ("-0.0", 0), ("999.999", 0), ("9.2233720368547e18", 9223372036854700),
])  # fmt: skip
def test_fractions_round_down_exactly(text: str, seconds: int) -> None:
    assert run({"user_id": ["a"], "item_id": ["b"], "timestamp": [text]}, "ms")[0] == [
        ("a", "b", None, seconds)
    ]


def test_absent_columns_are_null() -> None:
    assert run({"user_id": ["a"], "item_id": ["b"]})[0] == [("a", "b", None, None)]


@pytest.mark.parametrize(("text", "seconds"), [
    ("2014-07-23", datetime(2014, 7, 23, tzinfo=UTC).timestamp()),
    ("2014-07-23 10:11:12.9", datetime(2014, 7, 23, 10, 11, 12, tzinfo=UTC).timestamp()),
    ("2014-07-23T10:11:12Z", datetime(2014, 7, 23, 10, 11, 12, tzinfo=UTC).timestamp()),
    ("2014-07-23T10:11:12+02:00", datetime(2014, 7, 23, 8, 11, 12, tzinfo=UTC).timestamp()),
    ("1969-12-31T23:59:59.5", -1),
    ("0001-01-01T00:00:00+23:59", -62135683140),
    (" ", None),
])  # fmt: skip
def test_iso_dates(text: str, seconds: int | None) -> None:
    assert run({"user_id": ["a"], "item_id": ["b"], "timestamp": [text]}, "iso")[0] == [
        ("a", "b", None, seconds)
    ]


@pytest.mark.parametrize("text", ["2014-13-01", "yesterday", "23.07.2014", "2014-07-23T25:00", "1400000000"])
def test_other_dates_are_rejected(text: str) -> None:
    assert run({"user_id": ["a"], "item_id": ["b"], "timestamp": [text]}, "iso") == (
        [],
        [(1, "timestamp is no ISO date")],
    )


def test_ids_may_have_to_match() -> None:
    kept, rejects = run({"user_id": ["0", "01", "1"], "item_id": ["7", "7", "x"]}, ids=r"^(0|[1-9][0-9]*)$")
    assert kept == [("0", "7", None, None)]
    assert rejects == [(2, "user_id is no row number"), (3, "item_id is no row number")]


def test_frames_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 3)
    frame = frame_of({"user_id": ["a"] * 7, "item_id": ["b"] * 7})
    rows = Rows(frame, np.arange(7), str)
    assert [len(found) for found in interactions(rows, Path("f"), Rejects())] == [3, 3, 1]
    assert list(interactions(rows._replace(frame=frame.clear()), Path("f"), Rejects())) == []
    assert isinstance(frame, pl.DataFrame)
