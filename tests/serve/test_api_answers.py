"""Every address of the API answers what the catalog says, in the form that its description promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from api_world import form, serving, train_run
from pydantic import BaseModel
from starlette.testclient import TestClient

from anchorrec_graph.serve.api import answers, schemas
from anchorrec_graph.serve.catalog import Catalog


def post(api: TestClient, path: str, **body: Any) -> Any:
    answer = api.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def same(cards: list[dict[str, Any]], table: pl.DataFrame, value: str) -> None:
    """The cards of an answer are the rows of a catalog's table."""
    assert [card["item_id"] for card in cards] == table["item_id"].to_list()
    assert [card["rank"] for card in cards] == table["rank"].to_list()
    assert [card[value] for card in cards] == table[value].to_list()
    assert [card["title"] for card in cards] == table["title"].to_list()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"k": 3, "exclude_seen": False},
        {"k": 200, "filters": {"look": [1, 2], "words": 0}},
        {"k": 5, "weights": {"image": 2.5, "id": 0, "history": -1.0}},
    ],
)
def test_recommend(api: TestClient, api_catalog: Catalog, options: dict[str, Any]) -> None:
    for who in ({"user": "u3"}, {"history": ["i5", "i17", "i2"]}):
        answer = post(api, "/api/recommend", **who, **options)
        answers.RecommendAnswer.model_validate(answer, strict=True)
        arguments = {"k": 20, **options}
        if "user" in who:
            table = api_catalog.recommend(["u3"], **arguments)
        else:
            table = api_catalog.recommend_for(["i5", "i17", "i2"], **arguments)
        same(answer["items"], table, "score")
        for card, row in zip(answer["items"], table.to_dicts(), strict=True):
            assert card["parts"] == {view: row[f"{view}_part"] for view in api_catalog.views}
            assert sum(card["parts"].values()) == pytest.approx(card["score"], abs=1e-5)
            assert card["fields"] == {name: row[name] for name in ("look", "words", "behaviour")}


@pytest.mark.parametrize("by", ["final", "image", "text", "id", "fused", {"image": 0.6, "text": 0.4}])
def test_similar(api: TestClient, api_catalog: Catalog, by: Any) -> None:
    answer = post(api, "/api/similar", item="i7", by=by, k=6)
    answers.SimilarAnswer.model_validate(answer, strict=True)
    same(answer["items"], api_catalog.similar_items(["i7"], by=by, k=6), "similarity")


def test_similar_across_and_filtered(api: TestClient, api_catalog: Catalog) -> None:
    answer = post(api, "/api/similar", item="i7", by="image", across="look", filters={"words": [0, 1]})
    table = api_catalog.similar_items(["i7"], by="image", across="look", filters={"words": [0, 1]})
    same(answer["items"], table, "similarity")
    mine = api.get("/api/items/i7").json()["fields"]["look"]
    assert answer["items"]
    assert mine not in {card["fields"]["look"] for card in answer["items"]}


def test_explain(api: TestClient, api_catalog: Catalog) -> None:
    answer = post(api, "/api/explain", user="u3", item="i7", k=100)
    answers.ExplainAnswer.model_validate(answer)
    expected = json.loads(json.dumps(api_catalog.explain("i7", user="u3", num_similar=100).to_dict()))
    assert answer == expected | {"other_purchases": None}
    few = post(api, "/api/explain", user="u3", item="i7", k=2)
    rest = answer["purchases"][2:]
    assert few["purchases"] == answer["purchases"][:2]
    assert few["other_purchases"]["count"] == len(rest) > 0
    assert few["other_purchases"]["value"] == pytest.approx(sum(one["value"] for one in rest))
    assert {len(items) for items in few["similar"].values()} == {2}


def test_explain_to_a_stranger(api: TestClient, api_catalog: Catalog) -> None:
    answer = post(api, "/api/explain", history=["i5", "i17"], item="i7")
    found = api_catalog.explain("i7", history=["i5", "i17"], num_similar=8)
    assert (answer["score"], answer["rank"]) == (found.score, found.rank)


def test_twice_in_a_history_is_once(api: TestClient) -> None:
    once = post(api, "/api/recommend", history=["i5", "i17"])
    assert post(api, "/api/recommend", history=["i5", "i17", "i5"]) == once


def test_new_item(api: TestClient, api_catalog: Catalog) -> None:
    query = {"user": "u3", "k": 4}
    found = api.post("/api/new-item", files=form(text="a bad cab", query=json.dumps(query)))
    assert found.status_code == 200, found.text
    answer = found.json()
    answers.NewItemAnswer.model_validate(answer, strict=True)
    features = {"text": np.array([4, 3, 2, 2, 1, 1], dtype=np.float32)}
    place = api_catalog.place(features, k=4, user="u3")
    assert set(answer["similar"]) == {"text", "final"}
    for name, table in place.similar.items():
        same(answer["similar"][name], table, "similarity")
    assert answer["score"] == pytest.approx(place.score)
    assert (answer["rank"], answer["candidates"], answer["parts"]) == place[2:]


def test_new_item_for_nobody(api: TestClient) -> None:
    answer = api.post("/api/new-item", files=form(text="abc")).json()
    assert [answer[key] for key in ("score", "rank", "candidates", "parts")] == [None] * 4
    assert len(answer["similar"]["text"]) == len(answer["similar"]["final"]) == 10


def test_catalog(api: TestClient, api_catalog: Catalog) -> None:
    answer = api.get("/api/catalog").json()
    answers.CatalogAnswer.model_validate(answer)
    (model,) = answer["models"]
    assert (model["key"], model["name"], model["users"], model["items"]) == ("a", api_catalog.name, 60, 40)
    assert [view["name"] for view in model["views"]] == list(api_catalog.views)
    labels = {view["name"]: view["label"] for view in model["views"]}
    assert (labels["id"], labels["image"], labels["fused"]) == ("behaviour", "look", "look + words")
    assert model["modalities"] == ["image", "text"]
    assert model["card"]["test"] == api_catalog.card["test"]
    assert answer["encoders"] == {"image": True, "text": True}
    assert answer["images"] is False
    assert answer["limits"]["k"] == 200
    assert {column["name"]: column["kind"] for column in answer["columns"]}["look"] == "number"


def test_health(api: TestClient) -> None:
    answer = api.get("/health").json()
    answers.HealthAnswer.model_validate(answer, strict=True)
    assert (answer["status"], answer["users"], answer["items"]) == ("ok", 60, 40)


def test_items_and_users(api: TestClient) -> None:
    everything = api.get("/api/items?limit=100").json()
    answers.ItemsAnswer.model_validate(everything, strict=True)
    assert everything["total"] == len(everything["items"]) == 40
    pages = [api.get(f"/api/items?limit=15&offset={offset}").json()["items"] for offset in (0, 15, 30, 45)]
    assert [card for page in pages for card in page] == everything["items"]
    found = [card["item_id"] for card in api.get("/api/items", params={"q": "NO  3"}).json()["items"]]
    assert found[:11] == ["i3", *(f"i3{digit}" for digit in range(10))]
    assert len(found) > 11  # a 3 stands elsewhere in these titles
    users = api.get("/api/users?q=u5&limit=3").json()
    answers.UsersAnswer.model_validate(users, strict=True)
    assert users == {"total": 11, "users": ["u5", "u50", "u51"]}
    assert api.get("/api/users?q=nobody").json() == {"total": 0, "users": []}
    card = api.get("/api/items/i3").json()
    answers.Card.model_validate(card, strict=True)
    assert card == everything["items"][3]


def test_two_models(api_run: Path, tmp_path: Path) -> None:
    other = train_run(tmp_path, "train.seeds=[3]")
    catalogs = {"a": Catalog.from_run(api_run), "b": Catalog.from_run(other)}
    with serving(api_run, other) as api:
        assert [model["key"] for model in api.get("/api/catalog").json()["models"]] == ["a", "b"]
        for key, catalog in catalogs.items():
            answer = post(api, "/api/recommend", model=key, user="u3")
            same(answer["items"], catalog.recommend(["u3"]), "score")
            assert post(api, "/api/explain", model=key, user="u3", item="i1")["score"] == pytest.approx(
                catalog.explain("i1", user="u3").score
            )


def test_the_description(api: TestClient) -> None:
    """It names every address, every request has an example that is answered, and errors have one form."""
    found = api.get("/openapi.json").json()
    assert set(found["paths"]) == {
        "/health", "/metrics", "/api/catalog", "/api/items", "/api/items/{item_id}", "/api/users",
        "/api/items/{item_id}/image", "/api/recommend", "/api/similar", "/api/explain", "/api/new-item",
    }  # fmt: skip
    error = {"$ref": "#/components/schemas/ErrorAnswer"}
    for path, methods in found["paths"].items():
        for method in methods.values():
            statuses = method["responses"]
            assert path == "/health" or {"200", "401", "413", "422", "503"} <= set(statuses)
            for status in set(statuses) - {"200"}:
                assert statuses[status]["content"]["application/json"]["schema"] == error
    assert "HTTPValidationError" not in json.dumps(found)


@pytest.mark.parametrize("kind", [schemas.RecommendRequest, schemas.SimilarRequest, schemas.ExplainRequest])
def test_examples_of_requests(kind: type[BaseModel]) -> None:
    for example in kind.model_json_schema()["examples"]:
        kind.model_validate_json(json.dumps(example))


ANSWERS = [
    answers.ErrorAnswer, answers.Recommended, answers.Neighbour, answers.UsersAnswer, answers.HealthAnswer,
]  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_examples_of_answers(kind: type[BaseModel]) -> None:
    for example in kind.model_json_schema()["examples"]:
        kind.model_validate(example, strict=True)
