"""Questions to a site, asked of its `api.js` in the browser, and how its answers compare with the API's."""

from __future__ import annotations

from typing import Any

import pytest
from page_world import Visitor
from site_world import USERS, Sites

from anchorrec_graph.serve.api.cards import Cards
from anchorrec_graph.serve.api.model import Model

CALL = """async ([name, question]) => {
    const api = await import("./page/api.js");
    await api.about();
    const { points } = await import("./page/numbers.js");
    const shown = (value) => {
        if (typeof value === "number") return { value, points: points(value) };
        if (value === null || typeof value !== "object") return value;
        if (Array.isArray(value)) return value.map(shown);
        return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shown(one)]));
    };
    try {
        return shown(await api[name](question));
    } catch (error) {
        if (error.code) return { code: error.code };
        throw error;
    }
}"""


def call(visitor: Visitor, sites: Sites, name: str, way: str, question: dict[str, Any]) -> Any:
    visitor.url = sites.address(name)
    visitor.page.goto(f"{visitor.url}/")
    return visitor.page.evaluate(CALL, [way, question])


def points(value: float) -> str:
    """As numbers.js writes it."""
    size = abs(value)
    if 0 < size < 0.005:
        return ">\u22120.01" if value < 0 else "<0.01"
    return ("\u2212" if value < 0 else "") + (f"{size:.2f}" if size < 1000 else f"{size:.3g}")


def agrees(ours: Any, theirs: Any, place: str = "") -> None:
    """What the site answers is what the API does: texts and whole numbers are equal, others as shown."""
    if isinstance(theirs, dict):
        for key in ours:
            agrees(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(theirs, float):
        assert ours["value"] == pytest.approx(theirs, rel=2e-5, abs=2e-6), place
        near_edge = abs((abs(theirs) * 100) % 1 - 0.5) < 1e-3  # where the last digit shown changes
        assert near_edge or abs(theirs) < 1e-5 or ours["points"] == points(theirs), place
    elif isinstance(theirs, int) and not isinstance(theirs, bool):
        assert ours["value"] == theirs, place
    elif isinstance(theirs, list | tuple):
        assert len(ours) == len(theirs), place
        for n, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            agrees(one, other, f"{place}[{n}]")
    else:
        assert ours == theirs, place


def with_pictures(model: Model) -> Model:
    """The same with cards that say, as those of its site, that every second item has a picture."""
    pictures = {f"i{number}": "" for number in range(0, 40, 2)}
    return model._replace(cards=Cards(model.catalog.items, model.catalog.item_row, pictures))


def asked(model: Model, who: dict[str, Any]) -> dict[str, Any]:
    """The same for the API, which knows shoppers by their ids."""
    if "user" not in who:
        return who
    return {"user": str(model.catalog.user_ids[USERS[int(who["user"]) - 1]])}
