"""Two models over a small shop with hostile titles behind a real server, and a visitor with a browser."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit

import polars as pl
import pytest
import uvicorn
from api_world import ENCODE, picture, train_run
from playwright import sync_api

from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.holder import Holder
from anchorrec_graph.serve.api.limits import LIMITS
from anchorrec_graph.serve.api.metrics import Metrics
from anchorrec_graph.serve.api.model import Model, make_model
from anchorrec_graph.serve.api.new_item import Encoders
from anchorrec_graph.serve.api.page import read_assets
from anchorrec_graph.serve.api.service import Service
from anchorrec_graph.serve.api.settings import ServeSettings
from anchorrec_graph.serve.catalog import Catalog

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NO_BROWSER = "the page is tested in Chromium: apt-get install chromium"

ODD_ID = 'i 7/?x#<b>"%2F'
GENRES = ["Comedy|Drama", "Drama", "Crime", "Comedy"]
TITLES = {
    "i0": "<img src=x onerror=\"window.hacked='title'\">",
    "i1": "\"><script>window.hacked='script'</script>",
    "i2": "javascript:window.hacked='link'",
    "i3": "\u202egnp.exe \u2066 right to left",
    "i4": "A" * 300,
    "i5": None,
    ODD_ID: "The odd one",
}


def without_browser(reason: str) -> NoReturn:
    """Skip, but fail where CI is set: a page that nobody looked at has not passed."""
    (pytest.fail if "CI" in os.environ else pytest.skip)(reason)


class World(NamedTuple):
    """The address of the server, and what its answers come from."""

    url: str
    catalog: Catalog  # model a
    other: Catalog  # model b, which cannot place new items


def dressed(catalog: Catalog) -> Catalog:
    """The same with an id of odd letters, titles that attack, and a column of genres."""
    items = catalog.items.with_columns(
        item_id=pl.col("item_id").replace("i7", ODD_ID),
        genres=pl.Series([GENRES[row % len(GENRES)] for row in range(len(catalog.items))]),
    )
    titles = [
        TITLES.get(item, f"Film {item.removeprefix('i')} of {1980 + row % 9}")
        for row, item in enumerate(items["item_id"])
    ]
    items = items.with_columns(title=pl.Series(titles, dtype=pl.String))
    return Catalog(catalog.contents._replace(items=items))


def page_service(folder: Path) -> tuple[Service, Catalog, Catalog]:
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(0, 40, 2):
        (pictures / f"i{number}.png").write_bytes(picture((30, 40), colour=f"hsl({number * 9}, 60%, 50%)"))
    folders = [train_run(folder / "a"), train_run(folder / "b", "model={name: lightgcn, embedding_dim: 8}")]
    catalogs = [dressed(Catalog.from_run(run)) for run in folders]
    settings = ServeSettings(tuple(folders), images=pictures)

    def load(key: str, _: Path) -> Model:
        return make_model(key, catalogs["ab".index(key)], pictures)

    holder = Holder(settings.folders, load, Metrics())
    limits = LIMITS._replace(upload_bytes=2**20)
    service = Service(settings._replace(limits=limits), holder, Encoders(ENCODE), Metrics(), read_assets())
    return service, catalogs[0], catalogs[1]


@contextmanager
def serving_page(folder: Path) -> Iterator[World]:
    service, catalog, other = page_service(folder)
    config = uvicorn.Config(
        app_of(service), host="127.0.0.1", port=0, log_config=None, ws="none", loop="asyncio"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield World(f"http://127.0.0.1:{port}", catalog, other)
    server.should_exit = True
    thread.join(10)


class Visitor:
    """A page in a browser, and everything that must not happen on it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request: Any) -> None:
        here = request.url.startswith((f"{self.url}/", f"blob:{self.url}/"))
        if not here:
            self.complaints.append(f"asked {urlsplit(request.url).netloc or request.url[:60]}")

    def open(self, address: str = "") -> Any:
        """The page at this state, settled."""
        self.page.goto(f"{self.url}/{address}")
        return self.settle()

    def settle(self) -> Any:
        self.page.wait_for_load_state("networkidle")
        sync_api.expect(self.page.locator("[aria-busy=true], .loading")).to_have_count(0)
        return self.page

    def forgive(self, text: str) -> None:
        """Something that the browser itself reports of an error that was wanted."""
        assert any(text in complaint for complaint in self.complaints), self.complaints
        self.complaints = [complaint for complaint in self.complaints if text not in complaint]

    def titles(self, place: str = "Recommended items") -> list[str]:
        """Of the cards of a list, without the rank."""
        links = self.page.get_by_role("list", name=place).locator("h2 a")
        return [" ".join(text.split()) for text in links.all_inner_texts()]

    def ids(self) -> list[str]:
        """Of the recommended items, from the addresses of their links."""
        script = "nodes => nodes.map(a => new URLSearchParams(a.hash.split('?')[1]).get('item'))"
        found: list[str] = self.page.locator("#main ol.cards h2 a").evaluate_all(script)
        return found
