"""Weights, strangers, similar items, reasons and new items of a catalog made from a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from shop import make_catalog
from tiny_runs import tiny_config

from anchorrec_graph.data.base import INTERACTS
from anchorrec_graph.errors import ConfigError, DataError
from anchorrec_graph.explain import Explainer
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.train.fit import fit, load_run

Shop = tuple[Catalog, Path]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A trained AnchorRec with a history view and prior."""
    folder = tmp_path_factory.mktemp("uses")
    settings = ["model.name=anchorrec", "model.history.weight=5", "model.history.dim=8", "train.epochs=3"]
    config = tiny_config(folder, *settings)
    fit(config, config.dataset.load(), folder / "run")
    return Catalog.from_run(folder / "run"), folder / "run"


def test_weights_blend_the_parts(shop: Shop) -> None:
    catalog, _ = shop
    weights = {"image": 3.0, "history": 0.0, "id": -0.5}
    user = catalog.user_ids[4]
    plain = catalog.recommend([user], k=40, exclude_seen=False)
    blended = catalog.recommend([user], k=40, exclude_seen=False, weights=weights)
    expected = plain.select(
        "item_id",
        score=pl.sum_horizontal(pl.col(f"{view}_part") * weights.get(view, 1.0) for view in catalog.views),
    ).sort("score", descending=True)
    assert blended["item_id"].to_list() == expected["item_id"].to_list()
    np.testing.assert_allclose(blended["score"], expected["score"], atol=1e-5)
    sums = blended.select(pl.sum_horizontal(pl.col("^.*_part$"))).to_series()
    np.testing.assert_allclose(sums, blended["score"], atol=1e-5)
    assert plain["item_id"].to_list() != blended["item_id"].to_list()


def test_weights_of_one_change_nothing(shop: Shop) -> None:
    catalog, _ = shop
    users = catalog.user_ids[:5].tolist()
    ones = catalog.recommend(users, k=5, weights=dict.fromkeys(catalog.views, 1.0))
    assert ones["item_id"].to_list() == catalog.recommend(users, k=5)["item_id"].to_list()


def test_weights_of_a_view_that_only_items_have() -> None:
    catalog = make_catalog()
    plain = catalog.recommend(["u3"], k=50, exclude_seen=False)
    blended = catalog.recommend(["u3"], k=50, exclude_seen=False, weights={"recovered": 4.0})
    joined = plain.join(blended, on="item_id", suffix="_blended")
    np.testing.assert_allclose(
        joined["score_blended"], joined["score"] + 3 * joined["recovered_part"], atol=1e-4
    )


@pytest.mark.parametrize("weights", [{"look": 1.0}, {"image": float("nan")}, {"image": float("inf")}])
def test_bad_weights(shop: Shop, weights: dict[str, float]) -> None:
    with pytest.raises(DataError, match="weights: "):
        shop[0].recommend([shop[0].user_ids[0]], weights=weights)


def test_a_stranger_with_the_items_of_a_user_gets_nearly_the_users_list(shop: Shop) -> None:
    catalog, folder = shop
    data = load_run(folder).data
    edge_index = data[INTERACTS].edge_index
    overlaps = []
    for row in range(20):
        history = [catalog.item_ids[i] for i in edge_index[1, edge_index[0] == row].tolist()]
        mine = catalog.recommend([catalog.user_ids[row]], k=5)["item_id"].to_list()
        overlaps.append(len({*catalog.recommend_for(history, k=10)["item_id"]} & {*mine}))
    assert np.mean(overlaps) > 3.5  # of 5; a random list of 10 of about 33 items would hold 1.5


def test_what_a_stranger_gets(shop: Shop) -> None:
    catalog, _ = shop
    history = catalog.item_ids[:3]
    table = catalog.recommend_for([*history, history[0]], k=8, weights={"text": 2.0})
    assert "user_id" not in table.columns
    assert not {*table["item_id"]} & {*history}
    assert {*history} <= {*catalog.recommend_for(history, k=40, exclude_seen=False)["item_id"]}
    parts = table.select(pl.sum_horizontal(pl.col("^.*_part$"))).to_series()
    np.testing.assert_allclose(parts, table["score"], atol=1e-5)
    assert len(catalog.recommend_for([], k=5)) == 5  # everyone's: the prior
    with pytest.raises(DataError, match="unknown item 'i999'; ids look like"):
        catalog.recommend_for(["i999"])


def test_similar_items_by_exhaustive_search(shop: Shop) -> None:
    catalog, folder = shop
    features = load_run(folder).data["item"]
    image, text = (torch.nn.functional.normalize(features[m]) for m in ("image", "text"))
    cosine = 0.75 * image @ image.T + 0.25 * text @ text.T
    for by, matrix in (("image", image @ image.T), ({"image": 3.0, "text": 1.0}, cosine)):
        found = catalog.similar_items(catalog.item_ids[:2], by=by, k=4)
        for row in range(2):
            scores = matrix[row].index_fill(0, torch.tensor([row]), -9)
            mine = found.filter(query_id=catalog.item_ids[row])
            assert mine["item_id"].to_list() == [catalog.item_ids[i] for i in scores.topk(4).indices.tolist()]
            np.testing.assert_allclose(mine["similarity"], scores.topk(4).values, atol=1e-5)
    final = catalog.similar_items(catalog.item_ids[:1], k=1)["similarity"][0]
    item = torch.nn.functional.normalize(catalog.space.item)
    assert final == pytest.approx(float((item[0] @ item.T)[1:].max()), abs=1e-5)


def test_across_leaves_the_own_category() -> None:
    catalog = make_catalog()
    genres = dict(zip(catalog.item_ids, catalog.items["genres"], strict=True))
    for item in ("i0", "i1"):
        own = {*str(genres[item]).split("|")}
        found = catalog.similar_items([item], by="image", k=50, across="genres")
        assert len(found) > 5
        assert all(not own & {*str(genres[other]).split("|")} for other in found["item_id"])
    tags = catalog.similar_items(["i1"], by="image", k=50, across="tags")
    assert all(value is None or "red" not in value for value in tags["tags"])
    numbers = catalog.similar_items(["i1"], by="image", k=50, across="year", filters={"new": True})
    assert 1991 not in numbers["year"].to_list()
    assert numbers["new"].all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "looks"}, "unknown similarity 'looks'"),
        ({"by": {"image": -1.0}}, "the share of image is -1.0"),
        ({"by": {"image": 0.0}}, "a share above 0"),
        ({"across": "genre"}, "did you mean 'genres'"),
        ({"k": 0}, "k is 0"),
        ({"items": ["x"]}, "unknown item 'x'"),
        ({"items": "i1"}, "must be a list of ids"),
    ],
)
def test_bad_questions(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_catalog().similar_items(**{"items": ["i1"], **arguments})  # type: ignore[arg-type]


def test_reasons_are_those_of_the_explainer(shop: Shop) -> None:
    catalog, folder = shop
    explainer = Explainer.from_run(folder)
    for user in catalog.user_ids[:3].tolist():
        expected = explainer.explain(user)
        found = catalog.explain(expected.item_id, user=user)
        assert found.rank == expected.rank
        assert [p.item_id for p in found.purchases or []] == [p.item_id for p in expected.purchases or []]
        for ours, theirs in zip(found.purchases or [], expected.purchases or [], strict=True):
            assert ours.value == pytest.approx(theirs.value, abs=1e-6)
            assert ours.rank_without == theirs.rank_without
        assert found.own
        assert expected.own
        assert found.own.views == pytest.approx(expected.own.views, abs=1e-5)


def test_reasons_for_a_stranger_sum_to_the_score(shop: Shop) -> None:
    catalog, _ = shop
    history = catalog.item_ids[3:7]
    best = catalog.recommend_for(history, k=1)
    found = catalog.explain(best["item_id"][0], history=history)
    assert found.rank == 1
    assert found.score == pytest.approx(best["score"][0], abs=1e-5)
    assert {p.item_id for p in found.purchases or []} == {*history}
    assert found.own
    assert sum(p.value for p in found.purchases or []) + found.own.value == pytest.approx(
        found.score, abs=1e-5
    )
    with pytest.raises(DataError, match="one of the two"):
        catalog.explain(history[0], user="u1", history=history)


def test_a_copy_of_an_item_lands_beside_it(shop: Shop) -> None:
    catalog, _ = shop
    features = {m: catalog.contents.features[m][7].numpy() for m in catalog.modalities}
    user = str(catalog.user_ids[1])
    placed = catalog.place(features, k=3, user=user)
    for modality in catalog.modalities:
        assert placed.similar[modality]["item_id"][0] == catalog.item_ids[7]
    assert placed.score == pytest.approx(sum((placed.parts or {}).values()), abs=1e-5)
    table = pl.DataFrame({"item_id": ["fresh"]})
    more = catalog.add_items(table, {m: x[None] for m, x in features.items()})
    ranked = more.recommend([user], k=100)
    assert ranked.filter(item_id="fresh")["rank"][0] == placed.rank
    assert len(ranked) == placed.candidates
    assert more.similar_items(["fresh"], by="image", k=1)["item_id"].to_list() == [catalog.item_ids[7]]
    assert more.explain("fresh", user=user).score == pytest.approx(placed.score, abs=1e-5)
    assert len(catalog.items) == len(more.items) - 1  # the first catalog is as it was


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"item_id": ["i0"]}, "'i0' is in the catalog already"),
        ({"item_id": ["a", "a"]}, "'a' is in the catalog already, or twice"),
        ({"item_id": ["a"], "colour": ["red"]}, "a column 'colour'"),
        ({"title": ["a"]}, "need a column item_id"),
        ({"item_id": ["a", "b", "c"]}, "3 new items and 1 rows"),
    ],
)
def test_bad_new_items(shop: Shop, table: dict[str, list[str]], message: str) -> None:
    catalog, _ = shop
    rows = catalog.contents.features["image"][:1].numpy().repeat(min(len(next(iter(table.values()))), 2), 0)
    rows = rows[:1] if len(next(iter(table.values()))) == 3 else rows
    with pytest.raises(DataError, match=message):
        catalog.add_items(pl.DataFrame(table), {"image": rows})


def test_a_catalog_of_embeddings_alone_says_what_it_cannot(shop: Shop) -> None:
    catalog = make_catalog()
    with pytest.raises(ConfigError, match="made from embeddings alone"):
        catalog.recommend_for(["i1"])
    with pytest.raises(ConfigError, match="made from embeddings alone"):
        catalog.place({"image": np.ones(8, dtype=np.float32)})
    assert catalog.explain("i1", user="u1").no_purchases
