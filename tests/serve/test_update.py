"""More purchases and fewer users, without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tiny_runs import tiny_config

from anchorrec_graph.errors import DataError
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.export import save_export
from anchorrec_graph.train.fit import fit

MODELS = [
    ["model.name=anchorrec", "model.history.weight=5", "model.history.dim=8"],
    ["model.name=lightgcn"],
]


@pytest.fixture(scope="module", params=MODELS, ids=["anchorrec", "lightgcn"])
def catalog(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("update")
    config = tiny_config(folder, *request.param, "train.epochs=3")
    fit(config, config.dataset.load(), folder / "run")
    return Catalog.from_run(folder / "run")


def pairs(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")


def test_a_new_user_is_folded_in(catalog: Catalog) -> None:
    history = catalog.item_ids[5:9]
    updated, drift = catalog.update(pairs(*(("new", item) for item in history)))
    mine = updated.recommend(["new"], k=6).drop("user_id")
    theirs = catalog.recommend_for(history, k=6)
    assert mine["item_id"].to_list() == theirs["item_id"].to_list()
    np.testing.assert_allclose(mine["score"], theirs["score"], atol=1e-5)
    assert drift.new_users == 1
    assert drift.new_pairs == 4
    assert drift.hits is None
    reasons = updated.explain(mine["item_id"][0], user="new")
    assert {p.item_id for p in reasons.purchases or []} == {*history}


def test_known_pairs_change_nothing(catalog: Catalog) -> None:
    user = int(catalog.contents.known.counts().argmax())
    _, known = catalog.contents.known.select(torch.tensor([user]))
    rows = [(str(catalog.user_ids[user]), catalog.item_ids[i]) for i in known.tolist()]
    updated, drift = catalog.update(pairs(*rows))
    assert drift.new_pairs == drift.changed_users == 0
    assert torch.equal(updated.space.user, catalog.space.user)
    assert updated.recommend().equals(catalog.recommend())


def test_a_purchase_moves_the_user_and_stays_decomposed(catalog: Catalog) -> None:
    user = str(catalog.user_ids[0])
    best = catalog.recommend([user], k=3)["item_id"].to_list()
    updated, drift = catalog.update(pairs((user, best[0]), (user, best[0]), (user, best[1])))
    assert drift.new_pairs == 2
    assert drift.changed_users == 1
    assert drift.hits == 1.0
    assert drift.moved is not None
    assert drift.moved > 0
    after = updated.recommend([user], k=30)
    assert not {best[0], best[1]} & {*after["item_id"]}
    reasons = updated.explain(after["item_id"][0], user=user)
    assert {best[0], best[1]} <= {p.item_id for p in reasons.purchases or []}
    assert reasons.own
    total = sum(p.value for p in reasons.purchases or []) + reasons.own.value
    assert total == pytest.approx(reasons.score, abs=1e-5)


def test_two_updates_are_one(catalog: Catalog) -> None:
    user, items = str(catalog.user_ids[2]), catalog.item_ids
    new = [(user, items[i]) for i in (30, 31, 32)] + [("new", items[i]) for i in (1, 2)]
    once, _ = catalog.update(pairs(*new))
    twice = catalog.update(pairs(*new[:2], new[3]))[0].update(pairs(new[2], new[4]))[0]
    assert twice.user_ids.tolist() == once.user_ids.tolist()
    torch.testing.assert_close(twice.space.user, once.space.user, atol=1e-5, rtol=1e-4)
    assert twice.contents.card["since_training"] == once.contents.card["since_training"]


def test_drift_says_when_to_train_again(catalog: Catalog) -> None:
    few, drift = catalog.update(pairs(("new", catalog.item_ids[0])))
    assert not drift.retrain
    many = [(f"n{user}", catalog.item_ids[item]) for user in range(20) for item in range(3)]
    _, later = few.update(pairs(*many))
    assert later.retrain
    assert later.shares["users"] == pytest.approx(21 / 60)


def test_bad_interactions(catalog: Catalog) -> None:
    with pytest.raises(DataError, match="unknown item 'x'"):
        catalog.update(pairs(("u", "x")))
    with pytest.raises(DataError, match="need a item_id in every row"):
        catalog.update(pl.DataFrame({"user_id": ["u"], "item_id": [None]}))
    with pytest.raises(DataError, match="need a user_id"):
        catalog.update(pl.DataFrame({"item_id": ["i0"]}))


def test_a_forgotten_user_is_nowhere(catalog: Catalog, tmp_path: Path) -> None:
    row, user = 7, str(catalog.user_ids[7])
    mine = catalog.space.user[row]
    left = catalog.forget([user])
    save_export(left.contents, tmp_path / "shop")
    again = Catalog.from_export(tmp_path / "shop")
    for one in (left, again):
        assert not one.knows_user(user)
        assert len(one.user_ids) == len(catalog.user_ids) - 1
        assert not (one.space.user == mine).all(1).any()
        assert len(one.contents.bought.keys) == len(catalog.contents.bought.keys) - int(
            catalog.contents.bought.counts()[row]
        )
        others = [name for name in catalog.user_ids.tolist() if name != user]
        assert one.recommend(others).equals(catalog.recommend(others))
        reasons = one.explain(catalog.item_ids[0], user=others[20])
        assert reasons == catalog.explain(catalog.item_ids[0], user=others[20])
    with pytest.raises(DataError, match=f"unknown user '{user}'"):
        left.recommend([user])
    with pytest.raises(DataError, match="unknown user"):
        catalog.forget(["nobody"])
