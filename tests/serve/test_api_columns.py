"""The item table as the API shows it, whatever its columns hold."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import polars as pl
from api_world import client_of, error_of, shop_service
from shop import random_embeddings, shop_data
from starlette.testclient import TestClient

from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.cards import Cards
from anchorrec_graph.serve.api.columns import LONGEST_TEXT, MOST_VALUES, columns_of
from anchorrec_graph.serve.api.service import to_json
from anchorrec_graph.serve.catalog import Catalog

COUNT = 600
NUMBERS = range(COUNT)
ODD = pl.DataFrame(
    {
        "item_id": [f"i{n}" for n in NUMBERS],
        "title": [None if n == 0 else "" if n == 1 else f"Film {n}" for n in NUMBERS],
        "day": [datetime.date(2000, 1, 1)] * COUNT,
        "when": [datetime.datetime(2000, 1, 1, 12)] * COUNT,
        "clock": [datetime.time(12)] * COUNT,
        "long": [datetime.timedelta(days=1)] * COUNT,
        "money": [Decimal("1.50")] * COUNT,
        "bytes": [b"\xff\x00"] * COUNT,
        "nan": [float("nan") if n else 1.0 for n in NUMBERS],
        "null": [None] * COUNT,
        "huge": [2**63 - 1] * COUNT,
        "story": [f"story {n} " + "x" * 3000 for n in NUMBERS],
        "nested": [{"a": [1, 2], "b": {"c": None}}] * COUNT,
        "lists": [[datetime.date(2000, 1, 1)]] * COUNT,
        "kind": [f"k{n % 300}" for n in NUMBERS],
        "quality": pl.Series([["low", "high"][n % 2] for n in NUMBERS], dtype=pl.Enum(["low", "high"])),
    }
).with_columns(beyond=pl.col("huge").cast(pl.Int128) * 4)


def cards_of(items: pl.DataFrame) -> Cards:
    rows = {item: row for row, item in enumerate(items["item_id"])}
    return Cards(items, rows.__getitem__, {"i3": None})


def test_every_type_is_json() -> None:
    cards = cards_of(ODD).of_rows([0, 1, 5])
    found = orjson.loads(to_json(cards))
    assert [card["title"] for card in found] == ["i0", "i1", "Film 5"]
    fields = found[2]["fields"]
    assert set(fields) == set(ODD.columns) - {"item_id", "title"}
    assert fields["day"] == "2000-01-01"
    assert fields["huge"] == 2**63 - 1
    assert fields["beyond"] == str((2**63 - 1) * 4)
    assert fields["nan"] is None
    assert fields["money"] == "1.50"
    assert fields["quality"] == "high"
    assert len(fields["story"]) == LONGEST_TEXT


def test_columns() -> None:
    columns = {column.name: column for column in columns_of(ODD)}
    assert "item_id" not in columns
    kinds = {name: column.kind for name, column in columns.items()}
    assert kinds["story"] == kinds["title"] == "text"
    assert kinds["huge"] == kinds["money"] == "number"
    assert kinds["kind"] == kinds["quality"] == kinds["lists"] == "category"
    assert len(columns["kind"].values) == MOST_VALUES
    assert columns["quality"].values == ["high", "low"]
    assert orjson.loads(to_json([column._asdict() for column in columns.values()]))


def test_columns_of_the_shop(shop_api: TestClient) -> None:
    columns = {column["name"]: column for column in shop_api.get("/api/catalog").json()["columns"]}
    assert columns["genres"]["kind"] == "category"
    assert columns["genres"]["values"] == ["Comedy", "Drama", "Sci-Fi"]  # the parts, most frequent first
    assert (columns["year"]["kind"], columns["year"]["min"], columns["year"]["max"]) == ("number", 1990, 1999)
    assert columns["tags"]["values"] == ["big", "red"]
    assert columns["new"]["values"] == ["true", "false"]
    for name, column in columns.items():  # every value that is offered is one that filters take
        for value in column["values"]:
            answer = shop_api.get("/api/items", params={"filter": f"{name}:{value}"})
            assert answer.status_code == 200
            assert answer.json()["total"] > 0


def test_filters_of_the_list(shop_api: TestClient) -> None:
    def total(*filters: str) -> Any:
        answer = shop_api.get("/api/items", params={"filter": list(filters), "limit": 100})
        return {card["item_id"] for card in answer.json()["items"]}

    drama, comedy = total("genres:Drama"), total("genres:Comedy")
    assert total("genres:Drama", "genres:Comedy") == drama | comedy
    assert total("genres:Drama", "year:1992") == drama & total("year:1992")


def test_columns_that_have_no_values_to_name(tmp_path: Path) -> None:
    data = shop_data()
    items = data["item"].table
    data["item"].table = pl.concat([items, ODD.head(len(items)).drop("item_id", "title")], how="horizontal")
    catalog = Catalog.from_embeddings(random_embeddings(40, len(items)), data)
    with client_of(app_of(shop_service(tmp_path, catalog=catalog))) as client:
        for name in ODD.columns[2:]:
            answers = [
                client.get(f"/api/items?filter={name}:x"),
                client.post("/api/recommend", json={"user": "u1", "filters": {name: "x"}}),
                client.post("/api/similar", json={"item": "i1", "filters": {name: "x"}}),
            ]
            for answer in answers:
                error_of(answer, 422, "invalid")
            across = client.post("/api/similar", json={"item": "i1", "across": name})
            assert across.status_code == (422 if name in ("long", "bytes", "nested", "null") else 200), name


def test_a_table_of_ids_alone() -> None:
    cards = cards_of(pl.DataFrame({"item_id": ["i1", "i2", "i3"]}))
    assert cards.of_items(["i3"]) == [{"item_id": "i3", "title": "i3", "fields": {}, "image": True}]
    assert cards.search("I2", None, 10, 0)[0] == 1
    assert cards.search("", pl.Series([True, False, True]), 10, 1)[1][0]["item_id"] == "i3"


def test_the_order_of_a_search() -> None:
    titles = ["The Alien", "Aliens", "Alien", "alien resurrection", "Resurrection of an Alien", "Other"]
    items = pl.DataFrame({"item_id": [f"i{n}" for n in range(6)], "title": titles})
    total, cards = cards_of(items).search(" ALIEN ", None, 10, 0)
    assert total == 5
    assert [card["title"] for card in cards][:3] == ["Alien", "Aliens", "alien resurrection"]
    total, cards = cards_of(items).search("alien resurrection", None, 1, 0)
    assert (total, cards[0]["title"]) == (2, "alien resurrection")


def test_ids_with_slashes_and_signs(shop_api: TestClient) -> None:
    """They are ids, whatever the address makes of them."""
    answer = shop_api.get("/api/items/" + "i1%2Fimage")
    assert answer.json()["error"]["message"] == "this item has no picture"  # of i1: a known ambiguity
    assert shop_api.get("/api/items/i%31").json()["item_id"] == "i1"
