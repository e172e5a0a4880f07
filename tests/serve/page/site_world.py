"""Sites of three models, and of pairs of them, below one folder, behind a host that knows only files."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from api_world import picture, train_run
from page_world import dressed
from shop import make_catalog

from anchorrec_graph.serve.api.model import Model, make_model
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.site.sides import in_order
from anchorrec_graph.serve.site.write import save_site

USERS = [3, 17, 8, 30]  # rows, and their ids but for the first letter; shopper 1 is the first of them


NEAR = 15  # neighbours that the site "large" knows, which is one without room for features


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


class Sites(NamedTuple):
    """Where each site is, and the model that its answers must be those of."""

    url: str
    models: dict[str, Model]

    def address(self, name: str) -> str:
        return f"{self.url}/some/where/{name}"


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(10)
    server.server_close()


@contextmanager
def hosting_sites(folder: Path) -> Iterator[Sites]:
    """anchorrec and LightGCN as trained, and random rows over columns of every type."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(0, 40, 2):
        (pictures / f"i{number}.png").write_bytes(picture((30, 40), colour=f"hsl({number * 9}, 60%, 50%)"))
    runs = {
        "anchorrec": train_run(folder / "a"),
        "lightgcn": train_run(folder / "b", "model={name: lightgcn, embedding_dim: 8}"),
    }
    catalogs = {name: dressed(Catalog.from_run(run)) for name, run in runs.items()} | {"shop": make_catalog()}
    for name, catalog in catalogs.items():
        images = pictures if name == "anchorrec" else None
        save_site(catalog, folder / "www" / "some" / "where" / name, USERS, images)
    place = folder / "www" / "some" / "where"
    save_site(catalogs["anchorrec"], place / "nobody", [])
    save_pairs(place, catalogs["anchorrec"], catalogs["lightgcn"], pictures)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anchorrec_graph.serve.site.contents.NATIVE_MIB", 0)
        patch.setattr("anchorrec_graph.serve.site.contents.NEAR", NEAR)
        save_site(catalogs["anchorrec"], place / "large", USERS)
    with hosting(folder / "www") as url:
        yield Sites(url, {name: make_model("a", catalog, None) for name, catalog in catalogs.items()})


def save_pairs(place: Path, first: Catalog, second: Catalog, pictures: Path) -> None:
    """Two models side by side; the rows of the second stand for other items and users than in the first."""
    turned = in_order(second.contents, torch.arange(len(second.items)).flip(0))
    other = Catalog(turned).forget([str(second.user_ids[0])])
    save_site(first, place / "pair", USERS, pictures, compare=other)
    reason = "this model makes nobody from items"
    unable = Catalog(turned._replace(fold_in=reason))
    save_site(first, place / "unable", USERS, compare=unable)
