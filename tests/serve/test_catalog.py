"""Recommendations: real ids in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from shop import make_catalog, random_embeddings, shop_data
from tiny_runs import tiny_config

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import DataError
from anchorrec_graph.serve import ranking
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.train.fit import fit, load_run


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return make_catalog()


def test_columns_and_ranks(catalog: Catalog) -> None:
    table = catalog.recommend(["u3", "u0"], k=4)
    views = ["id_part", "image_part", "recovered_part"]
    assert table.columns == ["user_id", "rank", *catalog.items.columns, "score", *views]
    assert table["user_id"].to_list() == ["u3"] * 4 + ["u0"] * 4
    assert table["rank"].to_list() == [1, 2, 3, 4] * 2
    for user in ("u3", "u0"):
        scores = table.filter(user_id=user)["score"].to_list()
        assert scores == sorted(scores, reverse=True)
    joined = table.join(catalog.items, on="item_id", suffix="_again", maintain_order="left")
    assert joined["title"].to_list() == joined["title_again"].to_list()


def test_the_best_items_by_exhaustive_search(catalog: Catalog) -> None:
    table = catalog.recommend(k=5)
    data = shop_data()
    for user in range(40):
        scores = catalog.space.scores(catalog.space.query(torch.tensor([user])))[0]
        for name in ("edge_index", "val_edge_label_index"):
            pairs = data[INTERACTS][name]
            scores[pairs[1][pairs[0] == user]] = -torch.inf
        best = [f"i{item}" for item in scores.topk(5).indices.tolist()]
        assert table.filter(user_id=f"u{user}")["item_id"].to_list() == best


def test_parts_sum_to_the_score(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = catalog.recommend()
    assert len(whole) == 40 * 20
    parts = whole.select(pl.sum_horizontal(pl.col("^.*_part$")))
    np.testing.assert_allclose(parts.to_series(), whole["score"], atol=1e-5)
    monkeypatch.setattr(ranking, "BLOCK", 7)
    assert catalog.recommend().equals(whole)


def test_seen_items_are_never_returned(catalog: Catalog) -> None:
    data, num_items = shop_data(), 50
    seen = {
        (f"u{user}", f"i{item}")
        for name in ("edge_index", "val_edge_label_index")
        for user, item in data[INTERACTS][name].T.tolist()
    }
    unseen = catalog.recommend(k=num_items)
    pairs = set(zip(unseen["user_id"], unseen["item_id"], strict=True))
    assert pairs.isdisjoint(seen)
    assert len(pairs) == len(unseen) == 40 * num_items - len(seen)  # test items are not yet known
    everything = catalog.recommend(k=num_items, exclude_seen=False)
    assert len(everything) == 40 * num_items


def test_k_beyond_the_candidates(catalog: Catalog) -> None:
    table = catalog.recommend(["u0"], k=10**9, filters={"item_id": ["i1", "i2", "i3"]}, exclude_seen=False)
    assert sorted(table["item_id"]) == ["i1", "i2", "i3"]
    assert table["rank"].to_list() == [1, 2, 3]


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one(catalog: Catalog, k: int) -> None:
    with pytest.raises(DataError, match=f"k is {k}; at least 1 item is needed"):
        catalog.recommend(["u0"], k=k)


def test_unknown_users(catalog: Catalog) -> None:
    with pytest.raises(DataError, match=r"unknown user 'x' \(2 of 3 are unknown\); ids look like 'u0'"):
        catalog.recommend(["u0", "x", "y"])
    with pytest.raises(DataError, match=r"users must be a list of ids: \['u10'\]"):
        catalog.recommend("u10")


def test_no_users(catalog: Catalog) -> None:
    table = catalog.recommend([])
    assert len(table) == 0
    assert table.columns == catalog.recommend(["u0"]).columns


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"item_id": "i7"}, lambda row: row["item_id"] == "i7"),
    ({"genres": "Comedy"}, lambda row: "Comedy" in (row["genres"] or "").split("|")),
    ({"genres": "Drama|Comedy"}, lambda row: row["genres"] == "Drama|Comedy"),
    ({"genres": ["Comedy", "Sci-Fi"]}, lambda row: row["genres"] in ("Comedy", "Drama|Comedy", "Sci-Fi")),
    ({"year": 1994}, lambda row: row["year"] == 1994),
    ({"year": "1994"}, lambda row: row["year"] == 1994),
    ({"year": [1994.0, "1995"]}, lambda row: row["year"] in (1994, 1995)),
    ({"price": 2}, lambda row: row["price"] == 2),
    ({"price": "2.50"}, lambda row: row["price"] == 2.5),
    ({"tags": "red"}, lambda row: "red" in (row["tags"] or [])),
    ({"sizes": 2}, lambda row: 2 in row["sizes"]),
    ({"new": True}, lambda row: row["new"]),
    ({"new": "false"}, lambda row: not row["new"]),
    (
        {"genres": "Drama", "year": [1992, 1993]},
        lambda row: row["genres"] == "Drama" and row["year"] in (1992, 1993),
    ),
    ({"genres": []}, lambda row: False),
]


@pytest.mark.parametrize(
    ("filters", "passes"), FILTERS, ids=lambda value: str(value) if isinstance(value, dict) else ""
)
def test_filters(catalog: Catalog, filters: dict[str, Any], passes: Any) -> None:
    table = catalog.recommend(["u0", "u1"], k=50, exclude_seen=False, filters=filters)
    expected = {row["item_id"] for row in catalog.items.to_dicts() if passes(row)}
    assert set(table["item_id"]) == expected
    assert len(table) == 2 * len(expected)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"genre": "Comedy"}, "filter: unknown item column 'genre'; did you mean 'genres'?"),
        ({"genres": "comedy"}, "filter: no item has genres 'comedy'; did you mean 'Comedy'?"),
        ({"genres": ["Drama", "Western"]}, "no item has genres 'Western'; for example Comedy, Drama, Sci-Fi"),
        ({"genres": "com"}, "filter: no item has genres 'com'"),
        ({"year": 1889}, "filter: no item has year '1889'; its numbers run from 1990 to 1999"),
        ({"year": "soon"}, "filter: no item has year 'soon'; its numbers run from 1990 to 1999"),
        ({"tags": "redd"}, "filter: no item has tags 'redd'; did you mean 'red'?"),
        ({"new": "yes"}, "filter: no item has new 'yes'; for example false, true"),
    ],
)
def test_wrong_filters(catalog: Catalog, filters: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        catalog.recommend(["u0"], filters=filters)
    assert message in str(caught.value)


def test_item_columns_named_like_ours_are_renamed() -> None:
    data = shop_data()
    data["item"].table = data["item"].table.select(
        "item_id", rank=pl.lit(9), score=pl.lit("A"), id_part=pl.lit("B")
    )
    table = Catalog.from_embeddings(random_embeddings(40, 50), data).recommend(["u0"], k=2)
    assert table["rank"].to_list() == [1, 2]
    assert table["item_rank"].to_list() == [9, 9]
    assert table["item_score"].to_list() == ["A", "A"]
    assert table["item_id_part"].to_list() == ["B", "B"]


def test_from_a_run(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "model={name: anchorrec, embedding_dim: 8}", "train.seeds=[0, 1]")
    fit(config, config.dataset.load(), tmp_path / "run")
    tables = [Catalog.from_run(tmp_path / "run", seed).recommend(k=3) for seed in (0, 1)]
    assert not tables[0].equals(tables[1])
    assert "image_part" in tables[0].columns
    run = load_run(tmp_path / "run")
    scores = run.model.encode().scores(torch.arange(60))
    for user, item, score in tables[0].select("user_id", "item_id", "score").rows()[::17]:
        assert score == pytest.approx(float(scores[int(user[1:]), int(item[1:])].detach()), abs=1e-5)
