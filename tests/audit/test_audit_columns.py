"""Columns of every type as groups of rows, and small groups put together."""

from __future__ import annotations

import datetime

import polars as pl
import pytest
import torch
from audit_world import shop
from torch_geometric.data import HeteroData

from anchorrec_graph.audit.columns import Labels, column_labels, fold_small
from anchorrec_graph.audit.groups import Groups, find_groups
from anchorrec_graph.errors import ConfigError


def by_row(labels: Labels, rows: int) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in range(rows)]
    for row, label in labels.rows.rows():
        found[row].append(label)
    return found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a|b", " b ", "", None], [["a", "b"], ["b"], ["(missing)"], ["(missing)"]]),
        (["a||b", "a|a", "|"], [["a", "b"], ["a"], ["(missing)"]]),
        ([["x", "y"], [], None, ["x", None]], [["x", "y"], ["(missing)"], ["(missing)"], ["x"]]),
        ([[1, 2], [2]], [["1", "2"], ["2"]]),
        ([True, None, False], [["true"], ["(missing)"], ["false"]]),
        ([datetime.date(2020, 1, 2)], [["2020-01-02"]]),
        ([3, 1, None, 4, 2], [["3"], ["1"], ["(missing)"], ["4"], ["2"]]),
        (["1", "2", "3", "4", "five"], [["1"], ["2"], ["3"], ["4"], ["five"]]),
    ],
)  # fmt: skip
def test_labels(values: list[object], expected: list[list[str]]) -> None:
    labels = column_labels(pl.Series(values, strict=False))
    assert by_row(labels, len(values)) == expected
    assert sorted(labels.order) == sorted({label for row in expected for label in row})


@pytest.mark.parametrize(
    "values",
    [
        [8, 1.5, None, 2, 3, 4, 5, 7, float("nan")],
        ["8", "1.5", None, "2", " 3", "4", "5.0", "7", ""],
    ],
)
def test_numbers_and_text_of_numbers_fall_into_bands(values: list[object]) -> None:
    labels = column_labels(pl.Series(values, strict=False))
    low, second, third, high, none = "1.5 to 2", "3 to 4", "5", "7 to 8", "(missing)"
    expected = [high, low, none, low, second, second, third, high, none]
    assert by_row(labels, 9) == [[label] for label in expected]
    assert labels.order == [low, second, third, high, none]


def test_bands_of_repeated_values_are_fewer() -> None:
    labels = column_labels(pl.Series([0] * 90 + [1, 2, 3, 4]))
    assert labels.order[:-1] == ["0", "1 to 4"]


def test_labels_are_in_the_order_of_their_size() -> None:
    assert column_labels(pl.Series(["b", "a", "c", "b", "c", "b"])).order == ["b", "c", "a"]


def test_small_groups_are_put_together_and_counted() -> None:
    labels, folded = fold_small(column_labels(pl.Series(["a|x", "a|y|x", "b", "a", "z|y"])), 3)
    assert folded == 4
    assert labels.order == ["a", "(other)"]
    assert by_row(labels, 5) == [["a", "(other)"], ["a", "(other)"], ["(other)"], ["a"], ["(other)"]]
    assert fold_small(column_labels(pl.Series(["a", "b"])), 1)[1] == 0


def groups_of(data: HeteroData, *by: str, least: int = 5) -> list[Groups]:
    counts = torch.arange(60)
    return find_groups(data, by, torch.arange(50), counts, counts, least)


def test_by_default_every_column_with_two_groups() -> None:
    data = shop()
    data["item"].table = data["item"].table.with_columns(same=pl.lit("x"), cold=pl.lit("y"))
    found = groups_of(data)
    assert [(groups.of, groups.by) for groups in found] == [
        ("items", "popularity"), ("items", "cold"), ("users", "activity"),
        ("items", "genres"), ("items", "price"), ("users", "country"),
    ]  # fmt: skip
    assert found[0].names == ["q1", "q2", "q3", "q4"]
    assert found[0].member.toarray().argmax(axis=1).tolist() == [0] * 13 + [1] * 12 + [2] * 12 + [3] * 13
    assert found[1].member.toarray()[:, 0].nonzero()[0].tolist() == [0, 1, 2, 3, 4]


def test_named_columns_in_the_order_given_each_once() -> None:
    found = groups_of(shop(), "country", "price", "country")
    assert [groups.by for groups in found] == ["country", "price"]
    assert found[0].with_all().names == ["dk", "no", "se", "(all)"]
    assert found[0].with_all().member.sum(axis=0).tolist() == [20, 20, 20, 60]


def test_groups_of_users_are_of_those_that_are_evaluated() -> None:
    users = torch.tensor([1, 4, 6])
    (groups,) = find_groups(shop(), ["country"], torch.arange(50), users, torch.tensor([1, 2, 3]), 1)
    assert dict(zip(groups.names, groups.member.sum(axis=0), strict=True)) == {"se": 2, "no": 1}


def test_unknown_columns_and_columns_without_groups_are_refused() -> None:
    data = shop()
    with pytest.raises(ConfigError, match="unknown column 'genre'; did you mean 'genres'"):
        groups_of(data, "genre")
    with pytest.raises(ConfigError, match=r"groups by 'title': none has 5 items; .* --min-size"):
        groups_of(data, "title")


def test_data_without_tables() -> None:
    data = shop()
    del data["item"].table, data["user"].table
    assert [groups.by for groups in groups_of(data)] == ["popularity", "cold", "activity"]
