"""Every feature of the page, used as a person would, against what the catalog says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from page_world import Visitor, World, sync_api

expect = sync_api.expect


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").replace(",", "").strip("<>%\u00a0 "))


def test_someone_is_chosen(visitor: Visitor, world: World) -> None:
    page = visitor.open()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recommendations")
    page.get_by_role("link", name="User u0", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recommendations for user u0")
    visitor.settle()
    assert visitor.ids() == world.catalog.recommend(["u0"], 20)["item_id"].to_list()
    field = page.get_by_role("combobox", name="User id")
    field.fill("u1")
    options = page.get_by_role("listbox", name="User id").get_by_role("option")
    expect(options.first).to_have_text("u1")
    field.press("ArrowDown")
    field.press("ArrowDown")
    second = options.nth(1).inner_text()
    field.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Recommendations for user {second}")
    visitor.settle()
    assert visitor.ids() == world.catalog.recommend([second], 20)["item_id"].to_list()


def test_bars_and_numbers_are_the_parts(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u3")
    table = world.catalog.recommend(["u3"], 20)
    cards = page.get_by_role("list", name="Recommended items").get_by_role("listitem").all()
    assert len(cards) == len(table)
    negative = 0
    for card, row in zip(cards, table.to_dicts(), strict=True):
        shown = {
            part.locator("dt").inner_text(): number(part.locator("dd").inner_text())
            for part in card.locator(".part").all()
        }
        labels = {"id": "behaviour", "image": "look", "text": "words", "fused": "look + words"}
        truth = {labels.get(view, view): row[f"{view}_part"] for view in world.catalog.views}
        assert shown == pytest.approx(truth, abs=0.0101)
        assert number(card.locator(".total strong").inner_text()) == pytest.approx(row["score"], abs=0.0051)
        script = "nodes => nodes.map(n => n.getBoundingClientRect()).map(r => [r.left, r.right])"
        [[zero, _]] = card.locator(".zero").evaluate_all(script)
        against = card.locator(".segment.against").evaluate_all(script)
        towards = card.locator(".segment.towards").evaluate_all(script)
        assert all(right <= zero + 1 for _, right in against)
        assert all(left >= zero - 1 for left, _ in towards)
        negative += len(against)
        widths = sum(right - left for left, right in towards)
        sizes = [value for value in truth.values() if value > 0]
        scale = widths / sum(sizes)
        assert sum(right - left for left, right in against) == pytest.approx(
            -scale * sum(value for value in truth.values() if value < 0), abs=3
        )
    assert negative, "the world must have parts that count against an item"


def test_a_history_of_picks(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/catalogue")
    page.get_by_role("searchbox", name="Search the catalogue").fill("film 12")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("status")).to_have_text("1 of 1 item shown.")  # so the search is done speaking
    pick = page.get_by_role("button", name="Pick Film 12 of")
    pick.click()
    expect(pick).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status")).to_contain_text("1 item now")
    field = page.get_by_role("combobox", name="Pick an item")
    field.fill("film 17")
    page.get_by_role("option", name="Film 17 of").click()
    page.get_by_role("link", name="Recommend", exact=True).click()
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text("Recommendations for someone with 2 picked items")
    visitor.settle()
    assert visitor.ids() == world.catalog.recommend_for(["i12", "i17"], 20)["item_id"].to_list()
    page.get_by_role("button", name=re.compile("^Take Film 12 of .* off the picks")).click()
    visitor.settle()
    assert visitor.ids() == world.catalog.recommend_for(["i17"], 20)["item_id"].to_list()
    page.locator("ol.cards button.pick").nth(3).click()
    expect(title).to_have_text("Recommendations for someone with 2 picked items")


def test_what_a_user_has_becomes_picks(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u5")
    page.get_by_text("What user u5 has").click()
    use = page.get_by_role("button", name=re.compile("as my picks"))
    bought = world.catalog.explain("i9", user="u5").purchases
    assert bought is not None
    expect(use).to_have_text(f"Use these {len(bought)} items as my picks")
    use.click()
    visitor.settle()
    expected = world.catalog.recommend_for([one.item_id for one in bought], 20)["item_id"].to_list()
    assert visitor.ids() == expected


def test_filters(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u3")
    page.get_by_role("checkbox", name="Crime").check()
    visitor.settle()
    table = world.catalog.recommend(["u3"], 20, filters={"genres": ["Crime"]})
    assert visitor.ids() == table["item_id"].to_list()
    look = page.get_by_role("group", name="look").get_by_role("textbox", name="Is one of")
    look.fill("1, often")
    look.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("“often” is not a number.")
    look.fill("1, 2")
    look.press("Enter")
    visitor.settle()
    filters = {"genres": ["Crime"], "look": ["1", "2"]}
    table = world.catalog.recommend(["u3"], 20, filters=filters)
    assert visitor.ids() == table["item_id"].to_list()
    page.get_by_role("button", name="Remove filter look: 1").click()
    page.get_by_role("button", name="Remove filter look: 2").click()
    page.get_by_role("link", name="Catalogue").click()
    visitor.settle()
    crimes = world.catalog.items.filter(genres="Crime")
    assert visitor.ids() == crimes["item_id"].to_list()
    look.fill("99")
    look.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="no item has look '99'")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Remove all filters").first.click()
    expect(page.get_by_text("40 items").first).to_be_visible()
    visitor.forgive("422")


def test_nothing_found_says_what_to_do(visitor: Visitor) -> None:
    page = visitor.open("#/catalogue?q=zzzz&f=genres:Crime")
    expect(page.get_by_text("No item is called “zzzz” and passes the filters.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear the search").click()
    expect(page.get_by_role("list", name="Items", exact=True).get_by_role("listitem")).to_have_count(10)
    picks = "&".join(f"h=i{n}" for n in range(40) if n % 4 == 2)
    page = visitor.open(f"#/recommend?f=genres:Crime&{picks}")
    expect(page.get_by_role("main").get_by_text("Nothing is left to recommend")).to_be_visible()
    page.get_by_role("button", name="Remove all filters").last.click()
    expect(page.get_by_role("list", name="Recommended items").get_by_role("listitem")).to_have_count(20)


def test_the_blend_ranks_anew(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u3")
    slider = page.get_by_role("slider", name="look", exact=True)
    slider.focus()
    for _ in range(15):
        slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "2.5 times")
    page.get_by_role("slider", name="history").press("Home")
    page.wait_for_url("**/*history:0*")
    visitor.settle()
    weights = {"image": 2.5, "history": 0.0}
    assert visitor.ids() == world.catalog.recommend(["u3"], 20, weights=weights)["item_id"].to_list()
    expect(page.get_by_text("as trained:").first).to_be_visible()
    page.get_by_role("button", name="Only words").click()
    visitor.settle()
    zeros = {view: 0.0 for view in world.catalog.views if view != "text"}
    assert visitor.ids() == world.catalog.recommend(["u3"], 20, weights=zeros)["item_id"].to_list()
    page.get_by_role("slider", name="words", exact=True).press("Home")
    expect(page.get_by_text("Every view is at 0.", exact=True)).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Blend as trained").click()
    visitor.settle()
    assert visitor.ids() == world.catalog.recommend(["u3"], 20)["item_id"].to_list()


def test_more_and_what_they_have(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u3")
    page.get_by_role("checkbox", name="Also what they already have").check()
    visitor.settle()
    page.get_by_role("button", name="Show more").click()
    cards = page.get_by_role("list", name="Recommended items").get_by_role("listitem")
    expect(cards).to_have_count(40)
    expected = world.catalog.recommend(["u3"], 40, exclude_seen=False)
    assert visitor.ids() == expected["item_id"].to_list()


def cells(table: Any) -> list[list[str]]:
    rows: list[list[str]] = table.locator("tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
    )
    return rows


def test_why_this(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u3")
    item = visitor.ids()[1]
    page.get_by_role("button", name="Why this?").nth(1).click()
    dialog = page.get_by_role("dialog")
    visitor.settle()
    truth = world.catalog.explain(item, user="u3", num_similar=8)
    expect(dialog).to_contain_text(f"Ranked {truth.rank} of {truth.candidates} for user u3")
    views = cells(dialog.get_by_role("table", name="The score by view"))
    assert [number(row[1]) for row in views] == pytest.approx([one.value for one in truth.views], abs=0.0101)
    assert [row[3] for row in views] == [str(one.rank_without) for one in truth.views]
    purchases = cells(dialog.get_by_role("table", name="The score by purchase"))
    assert truth.purchases is not None
    for row, one in zip(purchases, truth.purchases[:8], strict=False):
        assert row[0] == one.title
        assert row[3] == str(one.rank_without)
    for modality, heading in (("image", "by look"), ("text", "by words")):
        sections = dialog.locator("section").filter(has=page.get_by_role("heading", name=heading))
        mine, all_of_them = sections.all()
        assert mine.locator("a").all_inner_texts() == [one.title for one in truth.similar[modality]]
        near = world.catalog.similar_items([item], by=modality, k=6)
        titles = [title or item_id for title, item_id in near.select("title", "item_id").rows()]
        assert all_of_them.locator("a").all_inner_texts() == titles


def test_an_item_and_its_neighbours(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/item?item=i9")
    expect(page.get_by_role("heading", level=1)).to_have_text("Film 9 of 1980")
    found = {}
    for by, name in (("image", "Looks like it"), ("text", "Reads like it"), ("id", "Bought alike")):
        strip = page.get_by_role("region", name=name)
        found[by] = world.catalog.similar_items(["i9"], by=by, k=12)["item_id"].to_list()
        links = strip.locator("h3 a").evaluate_all(
            "nodes => nodes.map(a => new URLSearchParams(a.hash.split('?')[1]).get('item'))"
        )
        assert links == found[by]
    shared = page.get_by_role("region", name="Shared neighbours")
    both = len(set(found["image"]) & set(found["text"]))
    expect(shared).to_contain_text(re.compile(rf"look and words\s*{both} of 12"))
    every = len(set.intersection(*map(set, found.values())))
    expect(shared).to_contain_text(re.compile(rf"all three\s*{every} of 12"))
    page.get_by_role("combobox", name="Show neighbours").select_option("only of other genres")
    visitor.settle()
    across = world.catalog.similar_items(["i9"], by="image", k=12, across="genres")
    cards = page.get_by_role("region", name="Looks like it").locator("h3 a")
    assert len(cards.all()) == len(across)
    assert "Drama" not in " ".join(page.locator(".strip .fields").all_inner_texts())
    page.get_by_role("slider", name="Share of look").press("End")
    page.wait_for_url("**/*mix=1*")
    visitor.settle()
    mixed = page.get_by_role("region", name="By look and words, mixed").locator("h3 a").all_inner_texts()
    assert mixed == cards.all_inner_texts()
    page.get_by_role("link", name="Recommend from it alone").click()
    visitor.settle()
    assert visitor.ids() == world.catalog.recommend_for(["i9"], 20)["item_id"].to_list()


def test_two_models_side_by_side(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?user=u3")
    page.get_by_role("combobox", name="Model").select_option("A and B side by side")
    visitor.settle()
    lists = [c.recommend(["u3"], 40)["item_id"].to_list() for c in (world.catalog, world.other)]
    both = len(set(lists[0][:20]) & set(lists[1][:20]))
    expect(page.get_by_role("main")).to_contain_text(f"{both} of the first 20 are in both lists.")
    columns = [page.get_by_role("region", name=name) for name in ("A · anchorrec", "B · lightgcn")]
    for column, own, other, key in zip(columns, lists, reversed(lists), "BA", strict=True):
        rows = column.get_by_role("listitem").all()
        assert len(rows) == 20
        for row, item in zip(rows[:5], own, strict=False):
            assert row.locator(".badge").inner_text().startswith(f"{key}: {other.index(item) + 1}")
    columns[1].get_by_role("button", name=re.compile("^Why ")).first.click()
    visitor.settle()
    truth = world.other.explain(lists[1][0], user="u3")
    place = f"Ranked {truth.rank} of {truth.candidates} for user u3 by B"
    expect(page.get_by_role("dialog")).to_contain_text(place)


def test_the_model_says_what_it_is(visitor: Visitor, world: World) -> None:
    page = visitor.open("#/recommend?model=b")
    page.get_by_role("button", name="About lightgcn on planted").click()
    dialog = page.get_by_role("dialog", name="About the model")
    expect(dialog).to_contain_text("60 users, 40 items")
    expect(dialog.get_by_role("table")).to_contain_text(f"{world.other.card['test']['Recall@5']:.4f}")
