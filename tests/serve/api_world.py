"""A small trained shop behind the API, encoders without weights, and a caller without manners."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image
from shop import make_catalog
from starlette.testclient import TestClient
from tiny_runs import tiny_config

from anchorrec_graph.encoders.base import ENCODERS, TextEncoder
from anchorrec_graph.encoders.image import ImageEncoder, squashed
from anchorrec_graph.serve.api.app import app_of, create_app
from anchorrec_graph.serve.api.holder import Holder
from anchorrec_graph.serve.api.limits import LIMITS
from anchorrec_graph.serve.api.metrics import Metrics
from anchorrec_graph.serve.api.model import Model, make_model
from anchorrec_graph.serve.api.new_item import Encoders
from anchorrec_graph.serve.api.service import Service
from anchorrec_graph.serve.api.settings import ServeSettings
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.train.fit import fit

BASE = "http://127.0.0.1:8000"
ENCODE = {"image": {"name": "tiny_image"}, "text": {"name": "tiny_text"}}


class TinyImage(ImageEncoder):
    """Eight numbers of a picture squashed to 2 x 2."""

    name: Literal["tiny_image"] = "tiny_image"

    def load(self) -> None: ...

    def identity(self) -> str:
        return "1"

    def prepare(self, picture: Any) -> NDArray[np.uint8]:
        return squashed(picture, 2)

    def encode(self, batch: Any) -> NDArray[np.float32]:
        return np.stack(batch).reshape(len(batch), -1)[:, :8].astype(np.float32) / 255 - 0.5


class TinyText(TextEncoder):
    """Six numbers of a text: how often a letter occurs."""

    name: Literal["tiny_text"] = "tiny_text"
    dim: int = 6

    def load(self) -> None: ...

    def identity(self) -> str:
        return "1"

    def encode(self, batch: Any) -> NDArray[np.float32]:
        rows = [[1 + text.lower().count(letter) for letter in "abcdefghij"[: self.dim]] for text in batch]
        scale = np.nan if "not finite" in batch[0] else 1.0
        return np.array(rows, dtype=np.float32) * np.float32(scale)


for _encoder in (TinyImage, TinyText):
    if _encoder.model_fields["name"].default not in ENCODERS:
        ENCODERS.register(_encoder)(_encoder)


def train_run(folder: Path, *overrides: str) -> Path:
    """A finished run of anchorrec on the tiny shop: users u0 to u59, items i0 to i39."""
    folder.mkdir(parents=True, exist_ok=True)
    config = tiny_config(folder, "model={name: anchorrec, embedding_dim: 8}", "train.epochs=2", *overrides)
    return fit(config, config.dataset.load(), folder / "run").folder


def shop_service(
    folder: Path, settings: ServeSettings | None = None, catalog: Catalog | None = None
) -> Service:
    """Random embeddings over items with columns of every type; nothing on disk."""
    settings, metrics, served = settings or ServeSettings((folder,)), Metrics(), catalog or make_catalog()

    def load(key: str, _: Path) -> Model:
        return make_model(key, served, settings.images)

    return Service(settings, Holder((folder,), load, metrics), Encoders({}), metrics, {})


@contextmanager
def client_of(app: FastAPI, **options: Any) -> Iterator[TestClient]:
    with TestClient(app, base_url=BASE, **options) as client:
        yield client


@contextmanager
def serving(*folders: Path, **options: Any) -> Iterator[TestClient]:
    """A client of the application over runs."""
    with client_of(create_app(ServeSettings(folders, **options))) as client:
        yield client


@contextmanager
def serving_shop(folder: Path, **limits: Any) -> Iterator[TestClient]:
    settings = ServeSettings((folder,), limits=LIMITS._replace(**limits))
    with client_of(app_of(shop_service(folder, settings))) as client:
        yield client


def picture(size: tuple[int, int] = (8, 6), form: str = "PNG", colour: str = "red") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, form)
    return content.getvalue()


def form(**parts: Any) -> dict[str, Any]:
    """The parts of a multipart form: texts as they are, a picture as a file."""
    return {
        name: ("upload.png", value) if isinstance(value, bytes) else (None, value)
        for name, value in parts.items()
    }


def error_of(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The error of an answer, which must have the one form that errors have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"code", "message", "field"}
    assert error["code"] == code
    assert error["message"]
    assert "Traceback" not in error["message"]
    return error


class Raw(NamedTuple):
    """What an application sent, message by message."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["error"])


Receive = Callable[[], Awaitable[dict[str, Any]]]


def ask(
    app: Any, path: str, receive: Receive, method: str = "POST", headers: dict[str, str] | None = None
) -> Raw:
    """One call of an ASGI application, whose messages `receive` gives as it likes."""
    sent: list[dict[str, Any]] = []
    given = {"host": "127.0.0.1", "content-type": "application/json", **(headers or {})}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start = sent[0]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Raw(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body)
