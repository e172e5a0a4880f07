"""From a small phone to a desk, light and dark: nothing is cut off, and everything can be pressed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from page_world import Visitor, World, sync_api

expect = sync_api.expect
STATES = (
    "#/recommend", "#/recommend?user=u3&f=genres:Drama&w=image:2", "#/recommend?user=u3&why=a:i9",
    "#/catalogue", "#/item?item=i4&user=u3", "#/new?user=u3", "#/recommend?user=u3&model=ab",
    "#/recommend?h=i4&h=i0",
)  # fmt: skip
SMALL = """least => [...document.querySelectorAll('a[href], button, input, select, summary')]
    .filter(node => node.checkVisibility() && node.tabIndex >= 0)
    .filter(node => getComputedStyle(node).display !== 'inline')
    .map(node => [node, (node.closest('label') ?? node).getBoundingClientRect().height])
    .filter(([node, height]) => height > 1 && height < least)
    .map(([node, height]) => `${node.tagName} ${node.className} ${Math.round(height)}`)"""
HEAD = ".brand img, #pages a, #search input, #search button, .model select, .model button"
BOXES = """nodes => nodes.map(node => node.getBoundingClientRect())
    .map(box => [box.left, box.top, box.right, box.bottom])"""
GROUNDS = """() => [document.body, document.querySelector('.segment')]
    .map(node => getComputedStyle(node).backgroundColor)"""


@pytest.fixture(params=[320, 375, 768, 1440])
def sized(browser: Any, world: World, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    phone = request.param < 500
    context = browser.new_context(
        viewport={"width": request.param, "height": 800},
        has_touch=phone,
        is_mobile=phone,
        reduced_motion="reduce",
    )
    found = Visitor(context.new_page(), world.url)
    yield found
    assert found.complaints == []
    context.close()


def test_nothing_is_wider_than_the_screen(sized: Visitor) -> None:
    width = sized.page.viewport_size["width"]
    for state in STATES:
        page = sized.open(state)
        for section in page.locator("details.section").all():
            section.evaluate("node => { node.open = true; }")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state
        if width < 500:
            assert page.evaluate(SMALL, 36) == [], state
        assert page.evaluate(SMALL, 24) == [], state


def test_light_and_dark(browser: Any, world: World) -> None:
    looks = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = Visitor(context.new_page(), world.url).open("#/recommend?user=u3")
        looks[scheme] = page.evaluate(GROUNDS)
        context.close()
    lightness = {scheme: sum(map(int, look[0][4:-1].split(","))) for scheme, look in looks.items()}
    assert lightness["light"] > 600
    assert lightness["dark"] < 150
    assert looks["light"][1] != looks["dark"][1]


def test_pictures_and_places_for_them(sized: Visitor) -> None:
    page = sized.open("#/catalogue")
    cards = page.get_by_role("list", name="Items", exact=True).get_by_role("listitem")
    pictures = cards.locator("img")
    assert pictures.count() == 12, "every second item of the first 24 has one"
    assert cards.locator(".picture.none").count() == 12
    pictures.first.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    assert pictures.first.evaluate("async node => { await node.decode(); return node.naturalWidth; }") == 30


def test_nothing_in_the_head_lies_over_something_else(sized: Visitor) -> None:
    page = sized.open("#/recommend?model=ab")
    boxes = page.locator(HEAD).evaluate_all(BOXES)
    assert len(boxes) == 8
    for n, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[n + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
            assert apart, (boxes[n], other)
