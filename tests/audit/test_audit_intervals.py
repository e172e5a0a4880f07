"""Bootstrap over users, gaps between groups, means over seeds and removed views."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
import torch
from audit_world import EVALUATE, audit_of, mean, naive, random_model, recall_ndcg, shop
from scipy.sparse import csr_array

from anchorrec_graph.audit import Audited, audit_models
from anchorrec_graph.audit.bootstrap import RESAMPLES, interval, resamples
from anchorrec_graph.audit.ratios import Ratio, user_ratio
from anchorrec_graph.diagnose import with_views
from anchorrec_graph.errors import ConfigError


def draws(num_users: int) -> np.ndarray:
    return np.concatenate([*resamples(num_users)])


def test_resamples_are_fixed_and_have_n_users_each(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = draws(30)
    assert counts.shape == (RESAMPLES, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert counts.var() == pytest.approx(29 / 30, rel=0.05)
    monkeypatch.setattr("anchorrec_graph.audit.bootstrap.BLOCK", 7 * 30)
    assert [len(block) for block in resamples(30)][-2:] == [7, 6]
    assert (draws(30) == counts).all()


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = interval(draws(400) @ values / 400) or (0, 0)
    error = values.std() / 20
    assert (low - values.mean()) / error == pytest.approx(-1.96, abs=0.15)
    assert (high - values.mean()) / error == pytest.approx(1.96, abs=0.15)


def test_draws_without_a_value_are_left_out() -> None:
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1, 1)
    assert interval(np.array([np.nan])) is None


def test_ratios_with_weights_equal_loops() -> None:
    rng = np.random.default_rng(0)
    above, below = rng.random((5, 3)), rng.random((5, 3))
    below[:, 2] = 0
    weights = rng.integers(3, size=(5, 4)).astype(float)
    ratio = Ratio(csr_array(above), csr_array(below), np.array([1.0, 2, 3]), -1.0)
    found = ratio.values(weights)
    for draw in range(4):
        for group in range(2):
            top = sum(weights[user, draw] * above[user, group] for user in range(5))
            bottom = sum(weights[user, draw] * below[user, group] for user in range(5))
            assert found[draw, group] == pytest.approx((group + 1) * top / bottom - 1)
    assert np.isnan(found[:, 2]).all()
    member = csr_array(np.array([[1.0], [1], [1]]))
    one = np.ones((3, 1))
    assert user_ratio(np.array([1, np.nan, 4]), np.array([1.0, 5, 2]), member).values(one) == pytest.approx(3)


def test_gaps_and_their_intervals_equal_loops() -> None:
    data, model = shop(), random_model()
    world, found = naive(data, model), audit_of(data, model, by=["country"])
    values = [recall_ndcg(items, own)[0] for items, own in zip(world.lists, world.held_out, strict=True)]
    country = [data["user"].table["country"][user] for user in world.users]

    def group_mean(name: str, counts: list[float]) -> float:
        users = [user for user in range(len(values)) if name in (country[user], "(all)")]
        return sum(values[user] * counts[user] for user in users) / sum(counts[user] for user in users)

    plain = [1.0] * len(values)
    means = {name: group_mean(name, plain) for name in ("no", "se", "dk")}
    best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    gaps = found.gaps.filter(measure="recall").rows(named=True)
    pairs = [(gap["group"], gap["against"]) for gap in gaps]
    assert pairs == [(best, worst), ("dk", "(all)"), ("no", "(all)"), ("se", "(all)")]
    counts = draws(len(values)).tolist()
    for gap in gaps:
        group, against = gap["group"], gap["against"]
        drawn = sorted(group_mean(group, draw) - group_mean(against, draw) for draw in counts)
        assert gap["value"] == pytest.approx(group_mean(group, plain) - group_mean(against, plain))
        assert drawn[24] <= gap["low"] <= drawn[25]
        assert drawn[974] <= gap["high"] <= drawn[975]
        assert gap["sd"] is None


def test_the_mixture_of_small_groups_is_in_no_gap_of_largest_and_smallest() -> None:
    data = shop()
    label = ["alone"] * 5 + ["a"] * 20 + ["b"] * 25
    data["item"].table = data["item"].table.with_columns(kind=pl.Series(label))
    found = audit_of(data, random_model(), by=["kind"], least=20)
    assert found.about.groups == [("items", "kind", 1)]
    assert found.wide("items", "kind", "model")["group"].to_list() == ["b", "a", "(other)", "(all)"]
    whole = found.gaps.filter(pl.col("against") != "(all)")
    assert {*whole["group"], *whole["against"]} == {"a", "b"}
    assert "(other)" in found.gaps.filter(against="(all)")["group"].to_list()


def test_several_seeds_give_mean_spread_and_one_interval() -> None:
    data = shop()
    models = [random_model(seed) for seed in range(3)]
    found, single = audit_of(data, *models), [audit_of(data, model) for model in models]
    assert found.about.seeds == {"model": [0, 1, 2]}
    keys = ["of", "by", "measure", "group"]
    for place, row in enumerate(found.groups.rows(named=True)):
        each = [one.groups.row(place, named=True) for one in single]
        assert all([of_one[key] for key in keys] == [row[key] for key in keys] for of_one in each)
        values = [of_one["value"] for of_one in each]
        if None in values:
            assert row["value"] is row["sd"] is row["low"] is None
            continue
        assert row["value"] == pytest.approx(mean(values), abs=1e-12)
        if row["measure"] not in ("size", "share", "train_share", "held_out_share"):
            assert row["sd"] == pytest.approx(float(np.std(values, ddof=1)), abs=1e-12)
        if row["measure"] == "recall" and row["of"] == "lists":
            assert row["low"] < row["value"] < row["high"]
            widths = [of_one["high"] - of_one["low"] for of_one in each]
            assert row["high"] - row["low"] < max(widths)
    (gap,) = found.gaps.filter(pl.col("against") != "(all)", measure="recall", by="country").rows(named=True)
    tables = [one.groups.filter(measure="recall", by="country") for one in single]
    of_pair = [dict(table.select("group", "value").rows()) for table in tables]
    differences = [values[gap["group"]] - values[gap["against"]] for values in of_pair]
    assert gap["value"] == pytest.approx(mean(differences))
    assert gap["sd"] == pytest.approx(float(np.std(differences, ddof=1)))


def test_a_removed_view_is_audited_like_the_model_without_it() -> None:
    data, model = shop(), random_model()
    found = audit_models([Audited("m", 0, model)], data, EVALUATE, without="each", least=1)
    assert found.groups["without"].unique(maintain_order=True).to_list() == ["", "id", "image", "extra"]
    for view in model.views:
        rest = with_views(model, [name for name in model.views if name != view])
        alone = audit_models([Audited("m", 0, rest)], data, EVALUATE, least=1)
        for table in ("groups", "gaps"):
            removed = getattr(found, table).filter(without=view).drop("without")
            assert removed.equals(getattr(alone, table).drop("without"))
    one = audit_models([Audited("m", 0, model)], data, EVALUATE, without=["image"], least=1)
    assert one.groups["without"].unique(maintain_order=True).to_list() == ["", "image"]


def test_an_unknown_view_and_groups_of_nothing_are_refused() -> None:
    data = shop()
    with pytest.raises(ConfigError, match="--without: unknown view 'imag'; did you mean 'image'"):
        audit_of(data, random_model(), without=["imag"])
    with pytest.raises(ConfigError, match="at least 1 member, not 0"):
        audit_of(data, random_model(), least=0)


def test_users_without_training_items_do_not_count_in_what_needs_a_history() -> None:
    data, model = shop(), random_model()
    edges = data["user", "interacts", "item"]
    edges.edge_index = edges.edge_index[:, edges.edge_index[0] != 0]
    world, found = naive(data, model), audit_of(data, model, by=["country"])
    assert world.train[0] == set()
    lists = dict(found.groups.filter(of="lists").select("measure", "value").rows())
    own = [
        (mean(world.item_users[i] for i in listed), mean(world.item_users[i] for i in items))
        for listed, items in zip(world.lists, world.train, strict=True)
        if items
    ]
    assert lists["popularity_lift"] == pytest.approx(sum(a for a, _ in own) / sum(b for _, b in own) - 1)
    assert math.isfinite(lists["recall"])
    assert torch.bincount(edges.edge_index[0], minlength=60)[0] == 0
