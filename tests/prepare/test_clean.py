"""Threshold, duplicates and k-core against loop twins."""

from __future__ import annotations

import naive_prepare
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_prepare import Row

from anchorrec_graph.errors import DataError
from anchorrec_graph.prepare.clean import k_core, one_per_pair, threshold

SCHEMA = {"user": pl.UInt32, "item": pl.UInt32, "rating": pl.Float64, "timestamp": pl.Int64}
row = st.builds(
    Row,
    st.integers(0, 4),
    st.integers(0, 4),
    st.none() | st.integers(1, 10).map(lambda half: half / 2),
    st.none() | st.integers(0, 3),
)
rows = st.lists(row, max_size=40)


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def name(user: int, item: int) -> str:
    return f"{user} with {item}"


@given(rows, st.sampled_from([1.0, 3.0, 3.5, 6.0]))
def test_threshold_is_its_twin(data: list[Row], least: float) -> None:
    kept, dropped = threshold(frame(data), least)
    assert kept.rows() == naive_prepare.threshold(data, least)
    below, missing = dropped
    assert missing.rows == sum(row.rating is None for row in data)
    assert below.rows == len(data) - len(kept) - missing.rows
    assert below.reason == f"rating below {least:g}"


@settings(max_examples=200)
@given(rows, st.sampled_from(["first", "last", "max_rating", "mean_rating"]))
def test_duplicates_are_their_twin(data: list[Row], policy: str) -> None:
    before = frame(data)
    kept, (dropped,) = one_per_pair(before, policy, name)  # type: ignore[arg-type]
    expected = naive_prepare.one_per_pair(data, policy)
    assert kept.drop("rating").rows() == [(r.user, r.item, r.timestamp) for r in expected]
    assert kept["rating"].to_list() == pytest.approx([r.rating for r in expected])
    assert dropped.rows == len(data) - len(expected)
    assert before.rows() == data  # what came in is not changed


def test_duplicates_by_hand() -> None:
    data = frame([Row(0, 0, 5, 7), Row(0, 1, 1, 1), Row(0, 0, 2, 9), Row(0, 0, 3, 9), Row(0, 0, None, None)])

    def kept(policy: str) -> object:
        return one_per_pair(data, policy, name).rows.rows()  # type: ignore[arg-type]

    assert kept("last") == [(0, 1, 1, 1), (0, 0, 3, 9)]
    assert kept("first") == [(0, 1, 1, 1), (0, 0, None, None)]
    assert kept("max_rating") == [(0, 0, 5, 7), (0, 1, 1, 1)]
    assert kept("mean_rating") == [(0, 1, 1, 1), (0, 0, pytest.approx(10 / 3), 9)]


@given(rows)
def test_refuse_names_the_first_pair(data: list[Row]) -> None:
    pairs = [(r.user, r.item) for r in data]
    again = [pair for place, pair in enumerate(pairs) if pair in pairs[place + 1 :]]
    if not again:
        assert one_per_pair(frame(data), "refuse", name).rows.rows() == data
        return
    with pytest.raises(DataError) as error:
        one_per_pair(frame(data), "refuse", name)
    assert str(error.value).startswith(f"{again[0][0]} with {again[0][1]} occurs more than once")
    others = len(set(again)) - 1
    assert (f"as {others} more pairs do" in str(error.value)) == (others > 0)


@settings(max_examples=200)
@given(rows, st.integers(0, 4), st.integers(0, 4))
def test_k_core_is_its_twin(data: list[Row], user_core: int, item_core: int) -> None:
    kept, dropped = k_core(frame(data), user_core, item_core)
    assert kept.rows() == naive_prepare.k_core(data, user_core, item_core)
    assert sum(entry.rows for entry in dropped) == len(data) - len(kept)
    assert all(entry.rows for entry in dropped)
    numbers = [entry.round for entry in dropped]
    assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))


def test_k_core_counts_rounds() -> None:
    """A chain that falls apart from one end: user 0 is alone, then item 0 has too few, then user 1, ..."""
    data = frame([Row(0, 0, None, None), Row(1, 0, None, None), Row(1, 1, None, None), Row(2, 1, None, None)])
    kept, dropped = k_core(data, 2, 2)
    assert kept.is_empty()
    assert [(entry.reason, entry.rows, entry.round) for entry in dropped] == [
        ("user with fewer than 2 rows", 2, 1),
        ("item with fewer than 2 rows", 2, 1),
    ]
    data = pl.concat([data, frame([Row(2, 2, None, None), Row(3, 2, None, None), Row(3, 3, None, None)])])
    assert [entry.rows for entry in k_core(data, 2, 1).dropped] == [1]
    assert [(entry.rows, entry.round) for entry in k_core(data, 2, 2).dropped] == [
        (1, 1),
        (2, 1),
        (2, 2),
        (2, 2),
    ]
