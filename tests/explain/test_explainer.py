"""`Explainer`: real ids in, numbers that sum out."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from tiny_runs import tiny_config
from worlds import COLD_USER, DATA, LINEAR, NOT_LINEAR, bought, built, encoded

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import DataError
from anchorrec_graph.explain import Explainer, Explanation
from anchorrec_graph.models import MODELS
from anchorrec_graph.models.anchorrec import AnchorRecConfig
from anchorrec_graph.models.freedom import FREEDOMConfig
from anchorrec_graph.models.popularity import PopularityConfig
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.testing import tiny_data
from anchorrec_graph.train.fit import fit


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(built(AnchorRecConfig()), DATA)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_views_pairs_and_purchases_each_sum_to_the_score(name: str) -> None:
    explainer = Explainer(built(MODELS.config_class(name)()), DATA)
    for user, item in (("user 0", None), ("user 3", "item 5"), (f"user {COLD_USER}", "item 0")):
        found = explainer.explain(user, item)
        tolerance = 1e-5 * max(1.0, abs(found.score))
        assert sum(part.value for part in found.views) == pytest.approx(found.score, abs=tolerance)
        assert sum(part.value for part in found.pairs) == pytest.approx(found.score, abs=tolerance)
        if found.purchases is None or found.own is None:
            assert name in NOT_LINEAR
            assert str(found.no_purchases).startswith(f"{name}: a user is no sum over its purchases")
            continue
        assert name in LINEAR
        parts = [found.own, *found.purchases]
        assert sum(part.value for part in parts) == pytest.approx(found.score, abs=tolerance)
        for view in found.views:
            by_view = sum(part.views[view.view] for part in parts)
            assert by_view == pytest.approx(view.value, abs=tolerance)
        for part in parts:
            assert sum(part.views.values()) == pytest.approx(part.value, abs=tolerance)
            assert part.share == (part.value / found.score if found.score > 0 else None)


def test_what_is_named(explainer: Explainer) -> None:
    found = explainer.explain("user 3", "item 5")
    assert (found.user_id, found.item_id, found.title) == ("user 3", "item 5", "Item 5")
    assert found.purchases is not None
    assert {part.item_id for part in found.purchases} == {f"item {j}" for j in bought(3).tolist()}
    assert found.similar.keys() == {"image", "text"}
    items = [part.title for part in found.similar["text"]]
    assert len(items) == 3
    assert set(items) <= {f"Item {j}" for j in bought(3).tolist()}
    for parts in (found.views, found.purchases, found.pairs):
        values = [part.value for part in parts]
        assert values == sorted(values, reverse=True)
    assert len(found.pairs) == 36


def test_ranks_are_among_items_that_the_user_does_not_have(explainer: Explainer) -> None:
    scores = encoded(explainer.model).scores(torch.tensor([3]))[0]
    edges = DATA[INTERACTS]
    known = {
        int(item)
        for pairs in (edges.edge_index, edges.val_edge_label_index)
        for user, item in pairs.T
        if user == 3
    }
    for item in range(24):
        found = explainer.explain("user 3", f"item {item}")
        candidates = [other for other in range(24) if other not in known or other == item]
        assert found.rank == sum(bool(scores[other] >= scores[item]) for other in candidates)
        assert (found.candidates, found.known) == (len(candidates), item in known)


def test_each_purchase_has_the_rank_without_itself(explainer: Explainer) -> None:
    user, item = 3, 5
    embeddings, items = explainer.embeddings, bought(user)
    with torch.no_grad():
        parts = explainer.model.user_parts(user, items)
    edges = DATA[INTERACTS]
    known = torch.cat([items, edges.val_edge_label_index[1, edges.val_edge_label_index[0] == user]])
    expected = {}
    for place, j in enumerate(items.tolist(), start=1):
        without = embeddings.user[user] - sum(part[place] for part in parts.values())
        scores = embeddings.item @ without
        scores[known] = -torch.inf
        expected[f"item {j}"] = 1 + int((scores > scores[item]).sum())
    assert len(set(expected.values())) > 1
    found = explainer.explain("user 3", "item 5").purchases
    assert {part.item_id: part.rank_without for part in found or ()} == expected


def test_an_item_is_not_said_to_be_like_itself(explainer: Explainer) -> None:
    item = f"item {int(bought(3)[0])}"
    found = explainer.explain("user 3", item)
    assert found.known
    assert item not in [part.item_id for items in found.similar.values() for part in items]


def test_the_default_item_is_the_best_recommendation(explainer: Explainer) -> None:
    catalog = Catalog.from_embeddings(explainer.embeddings, DATA)
    for user in ("user 0", f"user {COLD_USER}"):
        best = catalog.recommend([user], k=1)
        found = explainer.explain(user)
        assert (found.item_id, found.rank) == (best["item_id"][0], 1)
        assert found.score == pytest.approx(best["score"][0], abs=1e-5)
        for part in found.views:
            assert part.value == pytest.approx(best[f"{part.view}_part"][0], abs=1e-5)


def test_a_user_without_purchases_has_only_its_own_part(explainer: Explainer) -> None:
    found = explainer.explain(f"user {COLD_USER}")
    assert found.purchases == []
    assert found.own is not None
    assert found.own.value == pytest.approx(found.score, abs=1e-5)
    assert found.similar == {"image": [], "text": []}


def test_models_of_one_view_and_of_views_without_users() -> None:
    popular = Explainer(built(PopularityConfig()), DATA).explain("user 0")
    assert [(part.view, part.rank_without) for part in popular.views] == [("popularity", None)]
    found = Explainer(built(FREEDOMConfig()), DATA).explain("user 0")
    assert {pair.user_view for pair in found.pairs} == {"id"}
    assert {pair.item_view for pair in found.pairs} == {"id", "image", "text"}
    assert {part.view: part.rank_without is None for part in found.views} == {
        "id": True, "image": False, "text": False
    }  # fmt: skip


def test_a_score_that_is_not_positive_has_no_shares() -> None:
    explainer = Explainer(built(PopularityConfig()), DATA)
    found = explainer.explain("user 0", "item 23")  # nobody has it
    assert found.score == 0
    assert {part.share for part in [*found.views, *(found.purchases or ())]} == {None}


def test_json(explainer: Explainer) -> None:
    found = explainer.explain("user 3")
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(read) == list(Explanation._fields)
    assert read["views"][0] == found.views[0]._asdict()
    assert read["own"]["views"] == found.own.views if found.own else False
    assert read["similar"]["image"][0]["cosine"] == found.similar["image"][0].cosine


@pytest.mark.parametrize(
    ("user", "item", "message"),
    [
        ("x", None, "unknown user 'x'; ids look like 'user 0'"),
        ("user 0", "x", "unknown item 'x'; ids look like 'item 0'"),
    ],
)
def test_unknown_ids(explainer: Explainer, user: str, item: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        explainer.explain(user, item)


def test_a_user_with_every_item_must_name_one() -> None:
    data = tiny_data()
    everything = torch.stack([torch.zeros(24, dtype=torch.long), torch.arange(24)])
    data[INTERACTS].edge_index = torch.cat([bought_by_others(), everything], dim=1)
    explainer = Explainer(built(PopularityConfig(), data), data)
    with pytest.raises(DataError, match="user 'user 0' has every item; name the item to explain"):
        explainer.explain("user 0")
    assert explainer.explain("user 0", "item 3").known


def bought_by_others() -> torch.Tensor:
    pairs: torch.Tensor = DATA[INTERACTS].edge_index
    return pairs[:, pairs[0] != 0]


def test_titles_may_be_missing_and_ids_numbers() -> None:
    data = tiny_data()
    titles = ["A", None, *(f"T{n}" for n in range(22))]
    data["item"].table = pl.DataFrame({"item_id": [str(n) for n in range(24)], "title": titles})
    explainer = Explainer(built(PopularityConfig(), data), data)
    assert explainer.explain("user 0", "1").title == "1"
    data["item"].table = data["item"].table.drop("title")
    assert Explainer(explainer.model, data).explain("user 0", "0").title == "0"


def test_from_run_reads_weights_and_metrics(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "model={name: anchorrec, embedding_dim: 8}", "train.epochs=1")
    run = fit(config, config.dataset.load(), tmp_path / "run").folder
    explainer = Explainer.from_run(run)
    assert explainer.evaluate == config.evaluate
    best = Catalog.from_run(run).recommend(["u3"], k=1)
    assert explainer.explain("u3").item_id == best["item_id"][0]
