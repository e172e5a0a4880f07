"""The site of files: its answers are those of the API, and it asks nobody but its own folder."""

from __future__ import annotations

import re
from typing import Any

import pytest
from page_world import ODD_ID, Visitor, sync_api
from site_answers import agrees, asked, call, with_pictures
from site_world import NEAR, USERS, Sites

from anchorrec_graph.serve.api.errors import ApiError
from anchorrec_graph.serve.api.routes.lists import find_items
from anchorrec_graph.serve.api.routes.ranking import explained, neighbours, recommended
from anchorrec_graph.serve.api.schemas import ExplainRequest, ItemsQuery, RecommendRequest, SimilarRequest
from anchorrec_graph.serve.catalog import Catalog

expect = sync_api.expect
BLEND = {"image": 2.5, "id": 0, "history": -1.0}


@pytest.mark.parametrize("who", [{"user": "1"}, {"user": "4"}, {"history": ["i5", "i17", "i2"]}])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("anchorrec", {"k": 20, "exclude_seen": True}),
        ("anchorrec", {"k": 200, "exclude_seen": False, "weights": BLEND}),
        ("anchorrec", {"k": 5, "filters": {"genres": ["Crime", "Comedy"], "look": ["1", "2.0"]}}),
        ("lightgcn", {"k": 20, "exclude_seen": True, "weights": {"id": 2.5}}),
    ],
)
def test_recommend(
    guest: Visitor, sites: Sites, name: str, options: dict[str, Any], who: dict[str, Any]
) -> None:
    model = sites.models[name]
    options = {"exclude_seen": True, **options}
    query = RecommendRequest(**asked(model, who), **options)
    if name == "anchorrec":
        model = with_pictures(model)
    ours = call(guest, sites, name, "recommend", {**who, **options})
    agrees(ours["items"], recommended(model, query))
    assert len(ours["items"]) >= 5


@pytest.mark.parametrize(
    "filters",
    [
        {"year": ["1993"]}, {"price": ["1.5", "2"]}, {"genres": ["Comedy", "Sci-Fi"]}, {"tags": ["red"]},
        {"sizes": ["2"]}, {"new": ["true"]}, {"genres": ["Drama|Comedy"]},
        {"genres": ["Drama"], "new": ["false"]},
    ],
)  # fmt: skip
def test_filters_on_every_type(guest: Visitor, sites: Sites, filters: dict[str, list[str]]) -> None:
    model = sites.models["shop"]
    texts = [f"{column}:{value}" for column, values in filters.items() for value in values]
    ours = call(guest, sites, "shop", "items", {"filter": texts, "limit": 100})
    theirs = find_items(model, ItemsQuery(filter=texts, limit=100))
    assert ours["total"]["value"] == theirs["total"] > 0
    assert [card["item_id"] for card in ours["items"]] == [card["item_id"] for card in theirs["items"]]


@pytest.mark.parametrize("text", ["genres:Western", "colour:red"])
def test_filters_that_nothing_passes(guest: Visitor, sites: Sites, text: str) -> None:
    with pytest.raises(ApiError) as refusal:
        find_items(sites.models["shop"], ItemsQuery(filter=[text]))
    assert call(guest, sites, "shop", "items", {"filter": [text]}) == {"code": refusal.value.code}


@pytest.mark.parametrize("text", ["film 1", "FILM  2 of", "i1", "odd one", "zzz", "of 1983 film"])
def test_search(guest: Visitor, sites: Sites, text: str) -> None:
    ours = call(guest, sites, "lightgcn", "items", {"q": text, "limit": 7, "offset": 2})
    agrees(ours, find_items(sites.models["lightgcn"], ItemsQuery(q=text, limit=7, offset=2)))


@pytest.mark.parametrize(
    "question",
    [
        {"by": "image"}, {"by": "text", "k": 39}, {"by": "id"}, {"by": "final"}, {"by": "fused", "k": 3},
        {"by": {"image": 0.6, "text": 0.4}}, {"by": {"image": 0.0, "text": 1.0}},
        {"by": {"image": 0.3, "text": 0.7}, "across": "genres"}, {"by": "image", "across": "look"},
        {"by": "history"}, {"by": "popularity"},
    ],
)  # fmt: skip
def test_similar(guest: Visitor, sites: Sites, question: dict[str, Any]) -> None:
    model = sites.models["anchorrec"]
    model = with_pictures(model)
    question = {"item": "i9", "k": 12, **question}
    ours = call(guest, sites, "anchorrec", "similar", question)
    theirs = neighbours(model, SimilarRequest(**question))
    if question["by"] == "popularity":  # one column: every cosine is 1 or -1, and any order is right
        assert {round(card["similarity"]["value"], 9) for card in ours["items"]} <= {1, -1}
        return
    agrees(ours["items"], theirs)
    assert theirs


@pytest.mark.parametrize("who", [{"user": "1"}, {"user": "2"}, {"history": ["i5", "i17", "i2", ODD_ID]}])
@pytest.mark.parametrize("name", ["anchorrec", "lightgcn", "shop"])
def test_explain(guest: Visitor, sites: Sites, name: str, who: dict[str, Any]) -> None:
    model = sites.models[name]
    if name == "shop" and "history" in who:
        assert call(guest, sites, name, "explain", {"history": ["i5"], "item": "i9", "k": 3}) == {
            "code": "unsupported"
        }
        return
    for item in ("i9", model.catalog.item_ids[2], "i5"):
        ours = call(guest, sites, name, "explain", {**who, "item": item, "k": 3})
        theirs = explained(model, ExplainRequest(**asked(model, who), item=item, k=3))
        agrees(ours, theirs)
        assert {"score", "rank", "candidates", "views", "purchases", "similar"} <= set(ours)
        assert name == "shop" or len(ours["purchases"]) == 3


def among_the_nearest(catalog: Catalog, by: dict[str, float], across: str | None) -> list[str]:
    """The neighbours by a mixture that are among the nearest by one of its parts."""
    near = {one for name in by for one in catalog.similar_items(["i9"], by=name, k=NEAR)["item_id"].to_list()}
    found = catalog.similar_items(["i9"], by=by, k=40, across=across)["item_id"].to_list()
    return [item for item in found if item in near][:12]


def test_a_site_without_room_for_features(guest: Visitor, sites: Sites) -> None:
    catalog = sites.models["anchorrec"].catalog
    for by in ("image", "text", "id", "final"):
        ours = call(guest, sites, "large", "similar", {"item": "i9", "by": by, "k": 12})
        table = catalog.similar_items(["i9"], by=by, k=12)
        assert [card["item_id"] for card in ours["items"]] == table["item_id"].to_list()
        found = [card["similarity"]["value"] for card in ours["items"]]
        assert found == pytest.approx(table["similarity"].to_list(), abs=1e-5)
    by = {"image": 0.6, "text": 0.4}
    for across in (None, "genres"):
        ours = call(guest, sites, "large", "similar", {"item": "i9", "by": by, "k": 12, "across": across})
        expected = among_the_nearest(catalog, by, across)
        assert [card["item_id"] for card in ours["items"]] == expected
        assert len(expected) > 3
    ours = call(
        guest, sites, "large", "explain", {"history": ["i5", "i17", "i2", "i8"], "item": "i9", "k": 3}
    )
    theirs = catalog.explain("i9", history=["i5", "i17", "i2", "i8"], num_similar=4).similar
    near = {one for by in ("image", "text") for one in among_the_nearest(catalog, {by: 1.0}, None)}
    for modality, found in ours["similar"].items():
        known = [one.item_id for one in theirs[modality]]
        assert [one["item_id"] for one in found] == [item for item in known if item in ids_of(found)]
        assert near & set(known) <= ids_of(found) | set(known[3:])
    page = guest.open("#/item?item=i9&user=1&why=a:i9")
    expect(page.get_by_role("dialog")).to_contain_text(f"among its {NEAR} nearest")
    page.keyboard.press("Escape")
    expect(page.get_by_role("main")).to_contain_text(f"This site knows the {NEAR} nearest of each item")


def ids_of(cards: list[dict[str, Any]]) -> set[str]:
    return {card["item_id"] for card in cards}


def test_a_walk(guest: Visitor, sites: Sites) -> None:
    catalog = sites.models["anchorrec"].catalog
    user = str(catalog.user_ids[USERS[1]])
    page = guest.open()
    pages = page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts()
    assert pages == ["Recommend", "Catalogue"]
    page.get_by_role("link", name="Shopper 2", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recommendations for shopper 2")
    guest.settle()
    assert guest.ids() == catalog.recommend([user], 20)["item_id"].to_list()
    expect(page.get_by_role("status")).to_have_text("20 recommendations for shopper 2.")
    slider = page.get_by_role("slider", name="look", exact=True)
    slider.focus()
    for _ in range(15):
        slider.press("ArrowRight")
    page.wait_for_url("**/*image:2.5*")
    guest.settle()
    assert guest.ids() == catalog.recommend([user], 20, weights={"image": 2.5})["item_id"].to_list()
    expect(slider).to_be_focused()
    expect(page.get_by_text("as trained:").first).to_be_visible()
    why = page.get_by_role("button", name="Why this?").first
    why.press("Enter")
    guest.settle()
    dialog = page.get_by_role("dialog")
    truth = catalog.explain(guest.ids()[0], user=user)
    expect(dialog).to_contain_text(f"Ranked {truth.rank} of {truth.candidates} for shopper 2")
    expect(
        dialog.get_by_role("table", name="The score by purchase").locator("tbody tr").first
    ).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(why).to_be_focused()
    page.get_by_text("What shopper 2 has", exact=True).click()
    page.get_by_role("button", name=re.compile("as my picks")).click()
    guest.settle()
    bought = [one.item_id for one in truth.purchases or []]
    weights = {"image": 2.5}
    assert guest.ids() == catalog.recommend_for(bought, 20, weights=weights)["item_id"].to_list()
    page.locator("ol.cards h2 a").first.click()
    guest.settle()
    expect(page.get_by_role("region", name="Looks like it").get_by_role("listitem")).to_have_count(12)
    expect(page.get_by_role("region", name="Shared neighbours")).to_contain_text("of 12")


def test_pictures_and_a_reload(guest: Visitor) -> None:
    page = guest.open("#/item?item=i4&user=1")
    frame = page.locator(".about img")
    assert frame.evaluate("async node => { await node.decode(); return node.naturalWidth; }") == 30
    page.reload()
    guest.settle()
    expect(page.get_by_role("button", name="Why for shopper 1?")).to_be_visible()


def test_what_needs_a_server_says_so(guest: Visitor) -> None:
    page = guest.open("#/new")
    expect(page.get_by_role("main")).to_contain_text("This site has no server, which a new product needs.")
    page = guest.open("#/recommend?user=u3")
    expect(page.get_by_role("alert")).to_contain_text("This site has no such shopper.")
    page.get_by_role("button", name="Choose nobody").click()
    expect(page.get_by_role("link", name="Shopper 1", exact=True)).to_be_visible()
    page = guest.open("#/recommend?h=i12&h=gone")
    expect(page.get_by_role("alert")).to_contain_text("This site has no such item.")
    expect(page.get_by_role("button", name="Take “gone” off the picks").first).to_be_visible()


def test_a_site_without_users(guest: Visitor, sites: Sites) -> None:
    guest.url = sites.address("nobody")
    page = guest.open()
    expect(page.get_by_role("main").get_by_role("heading", name="Someone new")).to_be_visible()
    expect(page.get_by_text("shopper", exact=False)).to_have_count(0)
    page.get_by_role("button", name="Pick Film 6").click()
    page.get_by_role("radio", name="Someone with my picks").check()
    guest.settle()
    truth = sites.models["anchorrec"].catalog.recommend_for(["i6"], 20)
    expect(page.get_by_role("list", name="Recommended items").get_by_role("listitem")).to_have_count(20)
    assert guest.ids() == truth["item_id"].to_list()


def test_a_part_that_is_missing(guest: Visitor) -> None:
    page = guest.page
    page.route("**/data/space-*.bin", lambda route: route.abort("failed"), times=1)
    guest.open("#/recommend?user=1")
    expect(page.get_by_role("alert")).to_contain_text("A part of this site cannot be loaded: data/space-")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("list", name="Recommended items").get_by_role("listitem")).to_have_count(20)
    guest.forgive("ERR_FAILED")


@pytest.mark.parametrize("width", [320, 375, 1440])
def test_nothing_is_wider_than_the_screen(guest: Visitor, width: int) -> None:
    guest.page.set_viewport_size({"width": width, "height": 800})
    for state in ("#/recommend", "#/recommend?user=1&w=image:2", "#/item?item=i4&user=1", "#/new"):
        page = guest.open(state)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state
