"""Every measure against loops over users, places and pairs."""

from __future__ import annotations

import math

import polars as pl
import pytest
from audit_world import (
    ITEMS,
    Naive,
    audit_of,
    distances,
    item_measures,
    mean,
    naive,
    random_model,
    shop,
    user_measures,
)
from torch_geometric.data import HeteroData

from anchorrec_graph.audit import Audit


@pytest.fixture(scope="module")
def data() -> HeteroData:
    return shop()


@pytest.fixture(scope="module")
def world(data: HeteroData) -> Naive:
    return naive(data, random_model())


@pytest.fixture(scope="module")
def found(data: HeteroData) -> Audit:
    return audit_of(data, random_model())


def genre_groups(data: HeteroData) -> dict[str, set[int]]:
    groups: dict[str, set[int]] = {}
    for item, genres in enumerate(data["item"].table["genres"]):
        for genre in genres.split("|") if genres else ["(missing)"]:
            groups.setdefault(genre, set()).add(item)
    return groups


def price_groups(data: HeteroData) -> dict[str, set[int]]:
    prices = data["item"].table["price"].to_list()
    bounds = [pl.Series(prices).quantile(q, "linear") for q in (0.25, 0.5, 0.75)]
    groups: dict[int, set[int]] = {}
    for item, price in enumerate(prices):
        groups.setdefault(sum(price > bound for bound in bounds), set()).add(item)
    names = {
        band: f"{min(prices[i] for i in own):g} to {max(prices[i] for i in own):g}"
        for band, own in groups.items()
    }
    return {names[band]: own for band, own in groups.items()}


def cold_groups(world: Naive) -> dict[str, set[int]]:
    cold = {item for item in range(ITEMS) if world.item_users[item] < 5}
    return {"cold": cold, "warm": set(range(ITEMS)) - cold}


@pytest.mark.parametrize("by", ["genres", "price", "cold"])
def test_groups_of_items_equal_loops(found: Audit, data: HeteroData, world: Naive, by: str) -> None:
    groups = {
        "genres": genre_groups(data), "price": price_groups(data), "cold": cold_groups(world)
    }[by]  # fmt: skip
    table = found.wide("items", by, "model")
    assert sorted(table["group"]) == sorted([*groups, "(all)"])
    assert table["group"][-1] == "(all)"
    for row in table.iter_rows(named=True):
        expected = item_measures(world, groups.get(row.pop("group"), set(range(ITEMS))))
        assert row == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("by", ["country", "activity"])
def test_groups_of_users_equal_loops(found: Audit, data: HeteroData, world: Naive, by: str) -> None:
    if by == "country":
        label = [data["user"].table["country"][user] for user in world.users]
    else:
        sizes = pl.Series([len(items) for items in world.train])
        bounds = [sizes.quantile(q, "linear") for q in (0.25, 0.5, 0.75)]
        label = [f"q{1 + sum(size > bound for bound in bounds)}" for size in sizes]
    table = found.wide("users", by, "model")
    assert table["group"].to_list()[:-1] == sorted(
        set(label), key=lambda g: (-label.count(g) * (by == "country"), g)
    )
    for row in table.iter_rows(named=True):
        group = row.pop("group")
        places = [place for place, own in enumerate(label) if group in (own, "(all)")]
        assert row == pytest.approx(user_measures(world, data, places), abs=1e-12)


def test_lists_and_calibration_equal_loops(found: Audit, data: HeteroData, world: Naive) -> None:
    lists = found.groups.filter(of="lists")
    values = {(by, measure): value for by, measure, value in lists.select("by", "measure", "value").rows()}
    everyone = user_measures(world, data, list(range(len(world.users))))
    for measure in ("recall", "ndcg", "popularity_lift", "diversity image", "diversity text"):
        assert values["(all)", measure] == pytest.approx(everyone[measure], abs=1e-12)
    for by, groups in (("genres", genre_groups(data)), ("price", price_groups(data))):
        each = [distances(own, listed, groups) for own, listed in zip(world.train, world.lists, strict=True)]
        assert values[by, "kl"] == pytest.approx(mean(kl for kl, _ in each), abs=1e-12)
        assert values[by, "js"] == pytest.approx(mean(js for _, js in each), abs=1e-12)
    counts = sorted(sum(item in items for items in world.lists) for item in range(ITEMS))
    assert values["(all)", "coverage"] == mean(count > 0 for count in counts)
    gini = sum((2 * (j + 1) - ITEMS - 1) * count for j, count in enumerate(counts)) / (ITEMS * sum(counts))
    assert values["(all)", "gini"] == pytest.approx(gini)


def test_the_columns_that_make_groups_are_found(found: Audit) -> None:
    """Titles are all different, but here one item makes a group."""
    assert [by for _, by, _ in found.about.groups] == [
        "popularity", "cold", "activity", "title", "genres", "price", "country"
    ]  # fmt: skip
    assert found.about.users == 60
    assert not found.groups["value"].is_nan().any()
    assert math.isclose(found.groups.filter(measure="exposure", by="cold", group="(all)")["value"].item(), 1)
