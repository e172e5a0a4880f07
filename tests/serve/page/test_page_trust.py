"""Titles that attack, a strict content policy, and what is said when something fails."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from page_world import TITLES, Visitor, World, sync_api

from anchorrec_graph.serve.api.page import FOLDER

expect = sync_api.expect
PICKS = "&".join(f"h=i{number}" for number in range(6))


@pytest.mark.parametrize(
    "state",
    [
        "#/catalogue", f"#/recommend?who=picks&{PICKS}&seen=1&k=40", "#/item?item=i0&h=i1&h=i2",
        "#/item?item=i5", f"#/recommend?{PICKS}&why=a:i0", f"#/recommend?{PICKS}&model=ab&k=40&seen=1",
        "#/catalogue?q=%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E",
        "#/recommend?user=%3Cimg%20src%3Dx%20onerror%3D%22window.hacked%3D1%22%3E",
        "#/catalogue?f=%3Cb%3E:%3Cscript%3Ewindow.hacked%3D1%3C/script%3E",
    ],
)  # fmt: skip
def test_text_stays_text(visitor: Visitor, state: str) -> None:
    """The fixture checks that nothing ran, nobody else was asked, and the console is silent."""
    page = visitor.open(state)
    if "%3C" in state:
        visitor.complaints = [one for one in visitor.complaints if "Failed to load resource" not in one]
    else:
        expect(page.get_by_text(str(TITLES["i0"])).first).to_be_attached()
    assert page.locator("#main img[src=x], #main script, #main [onerror], [style*=expression]").count() == 0


def test_hostile_titles_in_suggestions_and_strips(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/new?text=ab")
    field = page.get_by_role("combobox", name="Pick an item")
    field.fill("onerror")
    option = page.get_by_role("listbox", name="Pick an item").get_by_role("option")
    expect(option).to_have_count(1)
    option.click()
    expect(page.locator(".picks .chip")).to_contain_text("<img src=x")
    page.get_by_role("button", name="Place it").click()
    visitor.settle()
    assert page.locator("img[src=x]").count() == 0


def test_the_policy_and_the_files(visitor: Visitor, world: World) -> None:
    answer = visitor.page.goto(f"{world.url}/")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8")
        addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert addresses == set(), path.name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", text
        ), path.name
        assert len(text.splitlines()) <= 300, path.name
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", page)


def test_every_file_is_used_and_there(visitor: Visitor) -> None:
    """The page loads each of its files, and none that is missing."""
    loaded: set[str] = set()
    visitor.page.on(
        "response",
        lambda answer: loaded.add(answer.url.rpartition("/")[2]) if "/page/" in answer.url else None,
    )
    visitor.open("#/recommend?user=u3")
    assert loaded == {path.name for path in FOLDER.iterdir() if path.name != "index.html"}


def refuse(page: Any, path: str, status: int, code: str, message: str, times: int = 1) -> None:
    body = json.dumps({"error": {"code": code, "message": message, "field": None}})
    page.route(
        path,
        lambda route: route.fulfill(status=status, body=body, content_type="application/json"),
        times=times,
    )


def test_an_unknown_user(visitor: Visitor) -> None:
    page = visitor.open("#/recommend?user=nobody")
    expect(page.get_by_role("alert")).to_contain_text("The data has no such user.")
    expect(page.get_by_role("alert")).to_contain_text("choose one from the list")
    page.get_by_role("button", name="Choose nobody").click()
    expect(page.get_by_role("link", name="User u0", exact=True)).to_be_visible()
    visitor.forgive("404")


def test_an_unknown_pick_can_be_taken_off(visitor: Visitor) -> None:
    page = visitor.open("#/recommend?h=i12&h=gone")
    expect(page.get_by_role("alert")).to_contain_text("The data has no such item.")
    page.get_by_role("alert").get_by_role("button", name="Take “gone” off the picks").click()
    expect(page.get_by_role("list", name="Recommended items").get_by_role("listitem")).to_have_count(20)
    visitor.forgive("404")


def test_a_busy_server(visitor: Visitor) -> None:
    page = visitor.page
    refuse(page, "**/api/recommend", 503, "overloaded", "too many requests at the moment; try again")
    visitor.open("#/recommend?user=u3")
    expect(page.get_by_role("alert")).to_contain_text("Too many requests")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("list", name="Recommended items").get_by_role("listitem")).to_have_count(20)
    visitor.forgive("503")


def test_a_server_that_is_gone(visitor: Visitor) -> None:
    page = visitor.open("#/recommend?user=u3")
    page.route("**/api/**", lambda route: route.abort("connectionrefused"))
    page.get_by_role("checkbox", name="Crime").check()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    expect(page.get_by_role("alert")).to_contain_text("anchorrec serve")
    page.unroute("**/api/**")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("list", name="Recommended items")).to_be_visible()
    visitor.forgive("ERR_CONNECTION_REFUSED")


def test_a_server_that_wants_a_token(visitor: Visitor) -> None:
    page = visitor.page
    refuse(page, "**/api/catalog", 401, "unauthorized", "send 'Authorization: Bearer TOKEN'")
    page.goto(f"{visitor.url}/")
    expect(page.get_by_role("alert")).to_contain_text("This server answers only to those who have its token.")
    expect(page.get_by_role("alert")).to_contain_text("?token=")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="User u0", exact=True)).to_be_visible()
    visitor.forgive("401")


def test_a_model_that_cannot(visitor: Visitor) -> None:
    page = visitor.open("#/new?model=b&text=abc")
    page.get_by_role("button", name="Place it").click()
    expect(page.get_by_role("alert")).to_contain_text("does not say where a new item goes")
    visitor.forgive("501")


def test_an_answer_that_is_no_json(visitor: Visitor) -> None:
    page = visitor.page
    page.route(
        "**/api/recommend", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"), times=1
    )
    visitor.open("#/recommend?user=u3")
    expect(page.get_by_role("alert")).to_contain_text("The server answered 502.")
    visitor.forgive("502")


def test_a_slow_answer_is_overtaken(visitor: Visitor, world: World) -> None:
    """The answer to the first question comes after that to the second, and must not replace it."""
    page = visitor.open("#/recommend?user=u3")
    held: list[Any] = []
    page.route("**/api/recommend", lambda route: held.append(route), times=1)
    page.get_by_role("checkbox", name="Crime").check()
    page.get_by_role("checkbox", name="Drama").check()
    visitor.settle()
    held[0].continue_()
    page.wait_for_timeout(200)
    filters = {"genres": ["Crime", "Drama"]}
    assert visitor.ids() == world.catalog.recommend(["u3"], 20, filters=filters)["item_id"].to_list()
