"""Every fault is named by file, row and ids; every harmless oddity is counted."""

from __future__ import annotations

import naive_data
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorrec_graph.data.checks import DataWarning, check_raw_data, check_split
from anchorrec_graph.data.raw import Interactions, RawData
from anchorrec_graph.errors import DataError


def make(users: list[int] | None = None, items: list[int] | None = None) -> RawData:
    """Three users, four items, one clean feature."""
    user = np.array([0, 0, 1, 2, 2] if users is None else users, dtype=np.int64)
    item = np.array([0, 1, 2, 3, 0] if items is None else items, dtype=np.int64)
    return RawData(
        interactions=Interactions(user, item),
        label=None,
        features={"text": np.ones((4, 3), dtype=np.float32)},
        user_ids=np.array(["a", "b", "c"]),
        items=pl.DataFrame({"item_id": ["w", "x", "y", "z"]}),
        files={"interactions": "shop.inter", "items": "items.csv", "text": "text.npy"},
    )


def feature(rows: object, name: str = "text") -> RawData:
    return make()._replace(features={name: np.asarray(rows)})


def test_clean_data_passes_in_silence() -> None:
    check_raw_data(make())
    check_split(make([0, 0, 1, 2, 2], [0, 1, 1, 0, 1]), np.array([0, 1, 0, 0, 2]))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (make([0, 1, 3], [0, 1, 2]), r"shop.inter: row 3: user 3 is outside 0\.\.2"),
        (make([0, -1, 2], [0, 1, 2]), r"shop.inter: row 2: user -1 is outside 0\.\.2"),
        (make([0, 1, 2], [9, 1, 4]), r"shop.inter: row 1: item 9 is outside 0\.\.3 \(and 1 more rows\)"),
        (make([0, 1, 0], [1, 1, 1]), r"shop.inter: row 3: user 0 with item 1 is already in row 1"),
        (make([], []), r"shop.inter: no interactions"),
        (make([0, 1, 2], [0, 1]), r"shop.inter: 2 values of 'item' for 3 of 'user'"),
        (make()._replace(user_ids=np.array(["a", "b", "a"])), r"shop.inter: the user id 'a' occurs 2 times"),
        (
            make()._replace(items=pl.DataFrame({"item_id": ["w", "x", "x", "z"]})),
            r"items.csv: the item id 'x' occurs 2 times",
        ),
        (feature(np.ones((5, 3))), r"text.npy: 5 feature rows for 4 items"),
        (feature(np.ones(4)), r"text.npy: features must be floating numbers of shape \[items, dim\]"),
        (feature(np.ones((4, 3), dtype=np.int64)), r"text.npy: .* got int64 \[4, 3\]"),
        (feature([[1.0], [2.0], [np.nan], [1.0]]), r"text.npy: row 3 \(item 2\) holds NaN or infinity"),
        (feature([[1.0], [np.inf], [np.nan], [1.0]]), r"text.npy: row 2 \(item 1\) holds NaN or infinity"),
        (feature(np.ones((4, 3)), "num_nodes"), r"'num_nodes' cannot name a modality"),
        (feature(np.ones((4, 3)), "v1.5"), r"'v1.5' cannot name a modality"),
    ],
)
def test_raw_faults_are_named(raw: RawData, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_raw_data(raw)


@pytest.mark.parametrize(
    ("raw", "label", "message"),
    [
        (make(), [0, 1, 3, 0, 2], r"shop.inter: row 3: split label 3 is not 0"),
        (make(), [0, -1, 0, 0, 2], r"shop.inter: row 2: split label -1 is not 0"),
        (make(), [0, 1], r"shop.inter: 2 split labels for 5 interactions"),
        (make(), [1, 1, 2, 2, 1], r"shop.inter: no interaction is labelled train"),
        (make([2, 0, 0, 0], [1, 1, 2, 1]), [0, 2, 0, 0], r"row 2: user 0 with item 1 is held out, but row 4"),
    ],
)
def test_split_faults_are_named(raw: RawData, label: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_split(raw, np.array(label))


def test_zero_feature_rows_are_counted_across_blocks() -> None:
    rows = np.ones((20_000, 2), dtype=np.float32)
    rows[[1, 9_000, 19_999, 5]] = 0
    raw = feature(rows)._replace(items=pl.DataFrame({"item_id": [str(i) for i in range(20_000)]}))
    with pytest.warns(
        DataWarning, match=r"text.npy: 4 items \(1, 5, 9000, \.\.\.\) with an all-zero 'text' row"
    ):
        check_raw_data(raw)
    rows[9_001, 1] = np.nan
    with pytest.raises(DataError, match=r"row 9002 \(item 9001\)"):
        check_raw_data(raw)


def test_users_and_items_without_training_rows_are_counted() -> None:
    with pytest.warns(DataWarning) as caught:
        check_split(make(), np.array([0, 1, 0, 2, 2]))
    assert [str(warning.message).split(":")[1].strip() for warning in caught] == [
        "1 user (2) without a training row",
        "2 held-out items (1, 3) without a training row",
    ]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12))
def test_repeated_pairs_are_found_as_a_loop_finds_them(pairs: list[tuple[int, int]]) -> None:
    users, items = map(list, zip(*pairs, strict=True))
    expected = naive_data.first_repeated_pair(users, items)
    if expected is None:
        check_raw_data(make(users, items))
    else:
        with pytest.raises(DataError, match=rf"row {expected[0] + 1}: .* row {expected[1] + 1}\D"):
            check_raw_data(make(users, items))
