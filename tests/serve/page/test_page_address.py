"""The state of the page is in its address: it can be shared, reloaded, and gone back from."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from page_world import ODD_ID, Visitor, World, sync_api

expect = sync_api.expect


def test_a_shared_address_shows_the_same(browser: Any, visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u3")
    page.get_by_role("checkbox", name="Drama").check()
    page.get_by_role("slider", name="look", exact=True).press("End")
    page.get_by_role("checkbox", name="Also what they already have").check()
    page.wait_for_url(re.compile("image:3.*seen=1|seen=1.*image:3"))
    visitor.settle()
    page.get_by_role("button", name="Why this?").first.click()
    visitor.settle()
    reason = page.get_by_role("dialog").inner_text()
    shown, address = visitor.ids(), page.url
    options = {"filters": {"genres": ["Drama"]}, "weights": {"image": 3.0}, "exclude_seen": False}
    assert shown == world.catalog.recommend(["u3"], 20, **options)["item_id"].to_list()
    assert page.evaluate("performance.getEntriesByType('navigation')[0].name").count("u3") <= 1
    other = browser.new_context(viewport={"width": 1280, "height": 900})
    friend = Visitor(other.new_page(), world.url)
    friend.page.goto(address)
    friend.settle()
    assert friend.ids() == shown
    assert friend.page.get_by_role("dialog").inner_text() == reason
    expect(friend.page.locator("input[type=checkbox][value=Drama]")).to_be_checked()
    expect(friend.page.locator("input[type=range]").nth(1)).to_have_value("3")
    assert friend.complaints == []
    other.close()


def test_ids_of_users_are_not_sent_with_the_page(visitor: Visitor) -> None:
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.open("#/recommend?user=u3&h=i12&q=secret")
    sent = [url for url in asked if "#" not in url and ("u3" in url or "secret" in url)]
    assert sent == []


def test_back_and_forward(visitor: Visitor) -> None:
    page = visitor.open("#/recommend?user=u3")
    first = visitor.ids()
    link = page.locator("ol.cards h2 a").nth(6)
    link.click()
    visitor.settle()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    item = page.url
    page.locator(".strip h3 a").nth(2).click()
    visitor.settle()
    assert page.url != item
    page.go_back()
    visitor.settle()
    assert page.url == item
    page.go_back()
    visitor.settle()
    assert visitor.ids() == first
    expect(link).to_be_focused()
    page.go_forward()
    visitor.settle()
    assert page.url == item


def test_back_closes_the_dialog_and_closing_it_is_a_step_back(visitor: Visitor) -> None:
    page = visitor.open("#/catalogue")
    page.get_by_role("link", name="Recommend", exact=True).click()
    page.get_by_role("link", name="User u0", exact=True).click()
    visitor.settle()
    page.get_by_role("button", name="Why this?").first.click()
    visitor.settle()
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Why this?").first.click()
    visitor.settle()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.wait_for_url(re.compile(r"user=u0$"))
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recommendations")


def test_a_slider_is_one_step(visitor: Visitor) -> None:
    """Dragging must not fill the history, or press past the limit that browsers have."""
    page = visitor.open("#/catalogue")
    page.get_by_role("link", name="Recommend", exact=True).click()
    page.get_by_role("link", name="User u0", exact=True).click()
    visitor.settle()
    length = page.evaluate("history.length")
    slider = page.get_by_role("slider", name="words", exact=True)
    for key in ["End", "Home", "ArrowRight"] * 10:
        slider.press(key)
    page.wait_for_url("**/*text:0.1*")
    assert page.evaluate("history.length") == length


def test_links_are_addresses(visitor: Visitor, context: Any) -> None:
    page = visitor.open("#/recommend?user=u3")
    page.get_by_role("slider", name="words", exact=True).press("End")
    page.wait_for_url("**/*text:3*")
    visitor.settle()
    with context.expect_page() as opened:
        page.locator("ol.cards h2 a").first.click(modifiers=["Control"])
    tab = opened.value
    tab.wait_for_load_state("networkidle")
    assert "item=" in tab.url
    assert "user=u3" in tab.url
    assert "text:3" in tab.url, "the address is that of the moment, not of when the card was made"


def test_an_item_with_an_odd_id(visitor: Visitor, world: World) -> None:
    page = visitor.open(f"#/item?item={quote(ODD_ID, safe='')}")
    expect(page.get_by_role("heading", level=1)).to_have_text("The odd one")
    page.get_by_role("button", name="Pick The odd one").first.click()
    page.get_by_role("link", name="Recommend", exact=True).click()
    visitor.settle()
    assert visitor.ids() == world.catalog.recommend_for([ODD_ID], 20)["item_id"].to_list()
    page.reload()
    visitor.settle()
    expect(page.get_by_role("button", name="Take The odd one off the picks")).to_be_visible()


@pytest.mark.parametrize(
    "address",
    [
        "#", "#//", "#/nowhere?x=1", "#/recommend?k=1e99&w=image:NaN&w=:2&w=%&f=:&f=%25%:x&mix=abc&who=zzz",
        "#/recommend?model=c&who=picks", "#/item", "#/item?item=", "#/recommend?why=a:i1",
        "#/recommend?user=u3&why=zzz", "#/recommend?user=u3&w=nothing:2",
        "#/recommend?user=u3&w=image:-7&k=-3",
    ],
)  # fmt: skip
def test_addresses_that_make_no_sense(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.locator("#main .page > *").count() > 1
