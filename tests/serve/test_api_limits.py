"""How much, how long and how many at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import ask, client_of, error_of, shop_service
from starlette.testclient import TestClient

from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.guard import FORM_BYTES
from anchorrec_graph.serve.api.limits import LIMITS
from anchorrec_graph.serve.api.service import Service
from anchorrec_graph.serve.api.settings import ServeSettings

JSON = {"content-type": "application/json"}


def service_of(folder: Path, **limits: Any) -> Service:
    return shop_service(folder, ServeSettings((folder,), limits=LIMITS._replace(**limits)))


def test_a_body_that_is_announced_too_large(shop_api: TestClient) -> None:
    content = b'{"user": "u1", "k": 1}'.ljust(LIMITS.json_bytes)
    assert shop_api.post("/api/recommend", content=content, headers=JSON).status_code == 200
    answer = shop_api.post("/api/recommend", content=content + b" ", headers=JSON)
    error_of(answer, 413, "too_large")
    assert answer.headers["connection"] == "close"


def test_a_body_that_grows_too_large(shop_api: TestClient) -> None:
    def chunks() -> Iterator[bytes]:  # without a length in the headers
        for _ in range(100):
            yield b" " * 1000

    error_of(shop_api.post("/api/recommend", content=chunks(), headers=JSON), 413, "too_large")


def test_a_body_that_lies_about_its_length(tmp_path: Path) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b" " * 50_000, "more_body": True}

    app = app_of(service_of(tmp_path))
    raw = ask(app, "/api/recommend", receive, headers={"content-length": "10"})
    assert (raw.status, raw.error["code"]) == (413, "too_large")


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "9" * 40, ""])
def test_a_length_that_is_none(tmp_path: Path, length: str) -> None:
    async def receive() -> dict[str, Any]:
        pytest.fail("the body was read")

    raw = ask(app_of(service_of(tmp_path)), "/api/recommend", receive, headers={"content-length": length})
    assert raw.status == 413


def test_uploads_may_be_larger(shop_api: TestClient) -> None:
    content = b"x" * (LIMITS.json_bytes + 1)
    error_of(shop_api.post("/api/new-item", files={"image": ("a", content)}), 501, "unsupported")
    content = b"x" * (LIMITS.upload_bytes + FORM_BYTES)
    error_of(shop_api.post("/api/new-item", files={"image": ("a", content)}), 413, "too_large")


@pytest.mark.parametrize("path", ["/api/recommend", "/api/new-item"])
def test_a_slow_body(tmp_path: Path, path: str) -> None:
    """A letter now and then keeps no connection open for longer than a body may take."""
    parts = [b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n']

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": parts.pop() if parts else b"a", "more_body": True}

    started = time.perf_counter()
    app = app_of(service_of(tmp_path, body_seconds=0.2))
    kind = "application/json" if path == "/api/recommend" else "multipart/form-data; boundary=x"
    raw = ask(app, path, receive, headers={"content-type": kind})
    assert (raw.status, raw.error["code"]) == (408, "invalid")
    assert raw.headers["connection"] == "close"
    assert time.perf_counter() - started < 2


def blocked(service: Service) -> threading.Event:
    """Make recommendations wait for an event."""
    go, model = threading.Event(), service.holder.model()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(model.catalog, name)

        def recommend(self, *arguments: Any, **options: Any) -> Any:
            go.wait(10)
            return model.catalog.recommend(*arguments, **options)

    service.holder.slots["a"].model = model._replace(catalog=Slow())  # type: ignore[arg-type]
    return go


def test_overload(tmp_path: Path) -> None:
    """Beyond its places a server refuses at once, and afterwards goes on as before."""
    service = service_of(tmp_path, threads=1, waiting=2)
    go = blocked(service)
    with client_of(app_of(service)) as client:
        answers: list[Any] = []

        def post() -> None:
            answers.append(client.post("/api/recommend", json={"user": "u1"}))

        threads = [threading.Thread(target=post) for _ in range(3)]
        for thread in threads:
            thread.start()
        while service.pool.busy < 3:
            time.sleep(0.01)
        refused = client.post("/api/recommend", json={"user": "u1"})
        error_of(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert client.get("/health").status_code == 200  # which takes no place
        go.set()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3
        assert client.post("/api/recommend", json={"user": "u1"}).status_code == 200
        assert service.pool.busy == 0


def test_an_answer_that_takes_too_long(tmp_path: Path) -> None:
    service = service_of(tmp_path, request_seconds=0.2)
    go = blocked(service)
    with client_of(app_of(service)) as client:
        error_of(client.post("/api/recommend", json={"user": "u1"}), 503, "overloaded")
        assert service.pool.busy == 1  # the work goes on, and counts until it has ended
        go.set()
        deadline = time.perf_counter() + 5
        while service.pool.busy and time.perf_counter() < deadline:
            client.get("/health")
        assert service.pool.busy == 0


def test_after_the_end(tmp_path: Path) -> None:
    service = service_of(tmp_path)
    app = app_of(service)
    with client_of(app) as client:
        assert client.post("/api/recommend", json={"user": "u1"}).status_code == 200
    client = TestClient(app, base_url="http://127.0.0.1")  # without a lifespan: the threads are gone
    assert (
        "shutting down"
        in error_of(client.post("/api/recommend", json={"user": "u1"}), 503, "overloaded")["message"]
    )
