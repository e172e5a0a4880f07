"""The page without a mouse, and what a screen reader is told."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from page_world import Visitor, sync_api

expect = sync_api.expect
STATES = (
    "#/recommend",
    "#/recommend?user=u3",
    "#/catalogue",
    "#/item?item=i9&user=u3",
    "#/new",
    "#/recommend?user=u3&model=ab",
)
FOCUS = """() => {
    const node = document.activeElement;
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    return {
        tag: node.tagName,
        id: node.id,
        text: (node.innerText || node.ariaLabel || node.name || '').slice(0, 60),
        outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
        seen: box.width > 0 && box.height > 0,
        inside: node.closest('dialog') !== null,
        main: node.closest('main') !== null,
    };
}"""
MOVING = """() => new Promise(done => requestAnimationFrame(() => setTimeout(
    () => done(document.getAnimations().length), 60)))"""


def tab(page: Any, times: int = 1) -> dict[str, Any]:
    for _ in range(times):
        page.keyboard.press("Tab")
    found: dict[str, Any] = page.evaluate(FOCUS)
    return found


def test_from_search_to_reason(visitor: Visitor) -> None:
    """A whole visit by keyboard: search, pick two, recommend, ask why, come back."""
    page = visitor.open()
    assert tab(page)["id"] == "skip"
    while tab(page)["id"] != "search-text":
        pass
    page.keyboard.type("film 2")
    page.keyboard.press("Enter")
    visitor.settle()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    picked = 0
    while picked < 2:
        if tab(page)["text"] == "+ Pick":
            page.keyboard.press("Space")
            picked += 1
    expect(page.get_by_role("status")).to_contain_text("2 items now")
    page.get_by_role("link", name="Recommend", exact=True).focus()
    page.keyboard.press("Enter")
    visitor.settle()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    while tab(page)["text"] != "Why this?":
        pass
    opener = page.evaluate_handle("document.activeElement")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    visitor.settle()
    expect(dialog).to_be_visible()
    for _ in range(60):  # round and round: the focus stays inside, or in the browser's own bars
        focus = tab(page)
        assert focus["inside"] or focus["tag"] == "BODY"
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert page.evaluate("node => node === document.activeElement", opener)
    expect(page).to_have_url(re.compile(r"^((?!why).)*$"))


def test_the_skip_link(visitor: Visitor) -> None:
    page = visitor.open("#/recommend?user=u3")
    tab(page)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert tab(page)["main"]
    assert page.url.endswith("#/recommend?user=u3"), "the state must survive it"


@pytest.mark.parametrize("state", STATES)
def test_focus_is_seen_wherever_it_goes(visitor: Visitor, state: str) -> None:
    page = visitor.open(state)
    places = set()
    for _ in range(45):
        focus = tab(page)
        if focus["tag"] == "BODY":
            break
        assert focus["outline"], focus
        assert focus["seen"], focus
        places.add((focus["tag"], focus["id"], focus["text"]))
    assert len(places) > 8


@pytest.mark.parametrize("state", STATES)
def test_landmarks_headings_and_names(visitor: Visitor, state: str) -> None:
    page = visitor.open(state)
    for role in ("banner", "main", "contentinfo", "search", "complementary"):
        assert page.get_by_role(role).count() == 1, role
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    assert page.get_by_role("heading", level=1).count() == 1
    levels = (
        page.locator("main").locator("h1, h2, h3, h4").evaluate_all("nodes => nodes.map(n => +n.tagName[1])")
    )
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    wanted = {
        "button",
        "link",
        "textbox",
        "searchbox",
        "combobox",
        "checkbox",
        "radio",
        "slider",
        "dialog",
        "img",
    }
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in wanted and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    ids = page.locator("[id]").evaluate_all("nodes => nodes.map(node => node.id)")
    assert len(ids) == len(set(ids))


def test_changes_are_said(visitor: Visitor) -> None:
    page = visitor.open("#/recommend?user=u3")
    said = page.get_by_role("status")
    expect(said).to_have_text("20 recommendations for user u3.")
    page.get_by_role("button", name="Only look", exact=True).click()
    expect(said).to_have_text("20 recommendations for user u3.")
    page.get_by_role("combobox", name="User id").fill("u4")
    expect(said).to_contain_text("suggestions; arrow keys choose.")
    assert page.get_by_role("combobox", name="User id").get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert page.get_by_role("combobox", name="User id").get_attribute("aria-expanded") == "false"


def test_picking_keeps_the_focus_in_the_list(visitor: Visitor) -> None:
    """The picked item leaves the list; the focus goes to the one that takes its place."""
    page = visitor.open("#/recommend?h=i12")
    before = visitor.ids()
    page.locator("ol.cards button.pick").nth(4).focus()
    page.keyboard.press("Enter")
    visitor.settle()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 picked items")
    assert before[4] not in visitor.ids()
    focused = page.evaluate("document.activeElement.className")
    assert "pick" in focused


def test_a_slider_keeps_the_focus_while_the_list_changes(visitor: Visitor) -> None:
    page = visitor.open("#/item?item=i9")
    slider = page.get_by_role("slider", name="Share of look")
    slider.focus()
    for step in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_url(f"**/*mix=0.{6 + step}*")
        visitor.settle()
    expect(slider).to_be_focused()
    expect(slider).to_have_attribute("aria-valuetext", "80 % look, 20 % words")


def test_still_for_those_who_want_it(browser: Any, visitor: Visitor) -> None:
    page = visitor.open("#/recommend?user=u3")
    page.get_by_role("button", name="Only look", exact=True).click()
    visitor.settle()
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("button", name="Only words", exact=True).click()
    page.wait_for_url("**/*image:0*")
    assert page.evaluate(MOVING) > 0
