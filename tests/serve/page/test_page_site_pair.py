"""The site of two models: each answers as its own catalog does, side by side and alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from page_world import ODD_ID, Visitor, sync_api
from site_answers import agrees, asked, call, with_pictures
from site_world import USERS, Sites

from anchorrec_graph.serve.api.routes.ranking import explained, neighbours, recommended
from anchorrec_graph.serve.api.schemas import ExplainRequest, RecommendRequest, SimilarRequest
from anchorrec_graph.serve.catalog import Catalog

expect = sync_api.expect
MODELS = {"a": "anchorrec", "b": "lightgcn"}


@pytest.fixture
def pair(guest: Visitor, sites: Sites) -> Visitor:
    guest.url = sites.address("pair")
    return guest


def catalogs(sites: Sites) -> list[Catalog]:
    return [sites.models[name].catalog for name in MODELS.values()]


def user_of(sites: Sites, shopper: int) -> str:
    return str(sites.models["anchorrec"].catalog.user_ids[USERS[shopper - 1]])


def columns(page: Any) -> list[Any]:
    return [page.get_by_role("region", name=name) for name in ("A · anchorrec", "B · lightgcn")]


def ids_in(column: Any) -> list[str]:
    script = "nodes => nodes.map(a => new URLSearchParams(a.hash.split('?')[1]).get('item'))"
    found: list[str] = column.locator("h3 a").evaluate_all(script)
    return found


@pytest.mark.parametrize("key", ["a", "b"])
@pytest.mark.parametrize("who", [{"user": "1"}, {"user": "4"}, {"history": ["i5", "i17", ODD_ID]}])
@pytest.mark.parametrize(
    "options",
    [
        {"k": 20, "exclude_seen": True},
        {"k": 200, "exclude_seen": False, "weights": {"id": 2.5}},
        {"k": 9, "exclude_seen": True, "filters": {"genres": ["Crime", "Comedy"]}},
    ],
)
def test_recommend(
    pair: Visitor, sites: Sites, key: str, who: dict[str, Any], options: dict[str, Any]
) -> None:
    model = with_pictures(sites.models[MODELS[key]])
    query = RecommendRequest(**asked(model, who), **options)
    ours = call(pair, sites, "pair", "recommend", {"model": key, **who, **options})
    agrees(ours["items"], recommended(model, query))
    assert len(ours["items"]) >= 5


@pytest.mark.parametrize("key", ["a", "b"])
def test_similar_and_explain(pair: Visitor, sites: Sites, key: str) -> None:
    model = with_pictures(sites.models[MODELS[key]])
    for by in ("image", "id", "final", {"image": 0.6, "text": 0.4}):
        question: dict[str, Any] = {"item": "i9", "k": 12, "by": by}
        ours = call(pair, sites, "pair", "similar", {"model": key, **question})
        agrees(ours["items"], neighbours(model, SimilarRequest(**question)))
    for who in ({"user": "2"}, {"history": ["i5", "i17", "i2"]}):
        ours = call(pair, sites, "pair", "explain", {"model": key, **who, "item": "i9", "k": 3})
        agrees(ours, explained(model, ExplainRequest(**asked(model, who), item="i9", k=3)))
        assert len(ours["purchases"]) == 3


def test_there_is_no_third_model(pair: Visitor, sites: Sites) -> None:
    question = {"user": "1", "k": 5}
    for name, key in (("anchorrec", "b"), ("pair", "c")):
        assert call(pair, sites, name, "recommend", {"model": key, **question}) == {"code": "invalid"}


def test_side_by_side(pair: Visitor, sites: Sites) -> None:
    page = pair.open("#/recommend?user=2")
    user = user_of(sites, 2)
    page.get_by_role("combobox", name="Model").select_option("A and B side by side")
    pair.settle()
    lists = [catalog.recommend([user], 40)["item_id"].to_list() for catalog in catalogs(sites)]
    assert lists[0][:20] != lists[1][:20]
    both = len(set(lists[0][:20]) & set(lists[1][:20]))
    expect(page.get_by_role("main")).to_contain_text(f"{both} of the first 20 are in both lists.")
    for column, own, other, key in zip(columns(page), lists, reversed(lists), "BA", strict=True):
        assert ids_in(column) == own[:20]
        for row, item in zip(column.get_by_role("listitem").all()[:5], own, strict=False):
            assert row.locator(".badge").inner_text().startswith(f"{key}: {other.index(item) + 1}")
    columns(page)[1].get_by_role("button", name=re.compile("^Why ")).first.click()
    pair.settle()
    truth = catalogs(sites)[1].explain(lists[1][0], user=user)
    place = f"Ranked {truth.rank} of {truth.candidates} for shopper 2 by B"
    expect(page.get_by_role("dialog")).to_contain_text(place)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="About").click()
    about = page.get_by_role("dialog", name="About the model")
    expect(about.get_by_role("heading", name="A · anchorrec on planted")).to_be_visible()
    expect(about.get_by_role("heading", name="B · lightgcn on planted")).to_be_visible()


def test_the_state_is_in_the_address(pair: Visitor, sites: Sites) -> None:
    page = pair.open("#/recommend?model=ab&user=1&f=genres:Crime&w=id:2&seen=1")
    options: dict[str, Any] = {
        "filters": {"genres": ["Crime"]}, "weights": {"id": 2.0}, "exclude_seen": False
    }  # fmt: skip
    expected = [one.recommend([user_of(sites, 1)], 20, **options) for one in catalogs(sites)]
    for _ in range(2):
        for column, table in zip(columns(page), expected, strict=True):
            assert ids_in(column) == table["item_id"].to_list()
        page.reload()
        pair.settle()
    page.get_by_role("combobox", name="Model").select_option("B · lightgcn on planted")
    pair.settle()
    assert "model=b" in page.url
    assert pair.ids() == expected[1]["item_id"].to_list()
    page.go_back()
    pair.settle()
    assert ids_in(columns(page)[0]) == expected[0]["item_id"].to_list()


def test_somebody_new_for_both(pair: Visitor, sites: Sites) -> None:
    page = pair.open("#/recommend?model=ab&h=i5&h=i17&h=i2")
    for column, catalog in zip(columns(page), catalogs(sites), strict=True):
        assert ids_in(column) == catalog.recommend_for(["i5", "i17", "i2"], 20)["item_id"].to_list()


def test_one_may_be_unable_where_the_other_is_not(guest: Visitor, sites: Sites) -> None:
    guest.url = sites.address("unable")
    page = guest.open("#/recommend?model=ab&h=i5&h=i17")
    first, second = columns(page)
    expected = catalogs(sites)[0].recommend_for(["i5", "i17"], 20)["item_id"].to_list()
    assert ids_in(first) == expected
    expect(second.get_by_role("alert")).to_contain_text("This model makes nobody from items.")


def test_the_second_model_is_loaded_when_it_is_shown(pair: Visitor) -> None:
    asked_for: list[str] = []
    pair.page.on("request", lambda request: asked_for.append(request.url.rsplit("/", 1)[-1]))
    page = pair.open("#/recommend?user=1")
    assert sum(name.startswith("space-") for name in asked_for) == 1
    page.get_by_role("combobox", name="Model").select_option("A and B side by side")
    pair.settle()
    assert sum(name.startswith("space-") for name in asked_for) == 2
    pair.open("#/item?item=i9&user=1&model=b")
    assert sum(name.startswith("features-") for name in asked_for) == 1


@pytest.mark.parametrize("width", [320, 375, 768, 1440])
def test_nothing_is_wider_than_the_screen(pair: Visitor, width: int) -> None:
    pair.page.set_viewport_size({"width": width, "height": 800})
    for state in ("#/recommend?user=1&model=ab&f=genres:Drama&w=id:2", "#/recommend?user=1&model=b&why=b:i9"):
        page = pair.open(state)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state
