"""What is written down of requests: numbers and routes, nobody's ids."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from api_world import client_of, error_of, serving, shop_service
from starlette.testclient import TestClient

from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.logs import JsonLines
from anchorrec_graph.serve.api.metrics import ROUTES, Metrics, shared_rows
from anchorrec_graph.serve.api.settings import ServeSettings


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines that the server has written, as it would write them."""
    caplog.set_level(logging.INFO, "anchorrec.serve")
    return lambda: [
        JsonLines().format(record) for record in caplog.records if record.name == "anchorrec.serve"
    ]


def ask_everything(client: TestClient) -> None:
    client.post("/api/recommend", json={"user": "u17", "k": 1})
    client.post("/api/recommend", json={"user": "secret-user"})
    client.post("/api/recommend", json={"history": ["i23", "secret-item"]})
    client.post("/api/explain", json={"user": "u17", "item": "i23"})
    client.get("/api/items/i23?model=a")
    client.get("/api/items/secret-item")
    client.get("/api/users?q=secret-query")
    client.get("/secret-path?secret=1")
    client.get("/page/secret.js")


def test_no_ids_and_no_paths(api_run: Path, lines: Any) -> None:
    with serving(api_run) as client:
        ask_everything(client)
        client.request("SECRET" * 100, "/health")
    found = lines()
    assert len(found) == 10
    for line in found:
        assert not any(word in line.lower() for word in ("u17", "i23", "secret", str(api_run)))
        entry = json.loads(line)
        assert entry["event"] == "request"
        assert entry["route"] in ROUTES
        assert entry["ms"] >= 0
    first = json.loads(found[0])
    assert (first["method"], first["route"], first["status"]) == ("POST", "/api/recommend", 200)
    assert first["bytes"] > 100
    assert json.loads(found[-1])["method"] == "OTHER"


def test_ids_when_asked_for(api_run: Path, lines: Any) -> None:
    with serving(api_run, log_ids=True) as client:
        ask_everything(client)
    entries = [json.loads(line) for line in lines()]
    assert entries[0]["user"] == "u17"
    assert entries[3]["item"] == entries[4]["item"] == "i23"


@pytest.mark.parametrize("log_ids", [False, True])
def test_a_failure(tmp_path: Path, lines: Any, log_ids: bool) -> None:
    """The caller gets a number to quote, the log the place, and nobody the message, which may hold an id."""
    service = shop_service(tmp_path, ServeSettings((tmp_path,), log_ids=log_ids))
    model = service.holder.model()

    class Broken:
        def __getattr__(self, name: str) -> Any:
            return getattr(model.catalog, name)

        def recommend(self, *_: Any, **__: Any) -> Any:
            raise KeyError("u1 at /srv/secret/run")

    service.holder.slots["a"].model = model._replace(catalog=Broken())  # type: ignore[arg-type]
    with client_of(app_of(service)) as client:
        answer = client.post("/api/recommend", json={"user": "u1"})
    error = error_of(answer, 500, "internal")
    assert answer.headers["x-request-id"] in error["message"]
    assert "secret" not in answer.text
    failed = next(line for line in lines() if json.loads(line)["event"] == "failed")
    assert json.loads(failed)["error"] == "KeyError"
    assert json.loads(failed)["id"] == answer.headers["x-request-id"]
    assert any("ranking.py" in place for place in json.loads(failed)["at"])
    assert ("secret" in failed) == log_ids


def test_messages_of_the_catalog_lose_their_paths(tmp_path: Path) -> None:
    from anchorrec_graph.errors import ConfigError, DataError
    from anchorrec_graph.serve.api.errors import of_catalog

    for error in (DataError(f"{tmp_path}/run/items.parquet: damaged"), ConfigError(f"no '{tmp_path}/x'")):
        answer = of_catalog(error)
        assert answer is not None
        assert str(tmp_path) not in answer.message
        assert tmp_path.name not in answer.message


def test_no_response_holds_a_path(api: TestClient, api_run: Path) -> None:
    for path in ("/health", "/api/catalog", "/metrics", "/openapi.json", "/api/items", "/"):
        text = api.get(path).text
        assert str(api_run) not in text
        assert str(Path.cwd()) not in text
        assert "/tmp" not in text


def test_metrics(tmp_path: Path) -> None:
    with client_of(app_of(shop_service(tmp_path))) as client:
        for _ in range(3):
            client.post("/api/recommend", json={"user": "u1"})
        client.post("/api/recommend", json={"user": "nobody"})
        client.get("/api/items/i1")
        client.get("/nowhere")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    samples = read_samples(answer.text)
    assert samples['anchorrec_requests_total{route="/api/recommend",status="200"}'] == 3
    assert samples['anchorrec_requests_total{route="/api/recommend",status="404"}'] == 1
    assert samples['anchorrec_requests_total{route="/api/items/{item_id}",status="200"}'] == 1
    assert samples['anchorrec_requests_total{route="other",status="404"}'] == 1
    assert samples['anchorrec_request_seconds_count{route="/api/recommend"}'] == 4
    assert samples['anchorrec_request_seconds_bucket{route="/api/recommend",le="+Inf"}'] == 4
    assert 0 < samples['anchorrec_request_seconds_sum{route="/api/recommend"}'] < 60
    assert samples['anchorrec_catalog_info{model="a",name="embeddings"}'] == 1
    assert samples['process_resident_memory_bytes{worker="0"}'] > 10**7
    buckets = [value for name, value in samples.items() if "recommend" in name and "_bucket" in name]
    assert buckets == sorted(buckets)


def read_samples(text: str) -> dict[str, float]:
    """Prometheus's text, which has a type before each family and no sample twice."""
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, value = line.rpartition(" ")
        assert name not in samples
        samples[name] = float(value)
    return samples


def test_rows_of_several_workers_are_summed() -> None:
    rows = shared_rows(2)
    first, second = Metrics(rows, 0), Metrics(rows, 1)
    first.observe("/health", 200, 0.003)
    second.observe("/health", 200, 30.0)
    second.observe("/health", 299, 0.001)
    first.count("switches")
    for metrics in (first, second):
        samples = read_samples(metrics.text([{"model": "a", "name": 'a "b"\n\\'}], 0))
        assert samples['anchorrec_requests_total{route="/health",status="200"}'] == 2
        assert samples['anchorrec_requests_total{route="/health",status="500"}'] == 1
        assert samples['anchorrec_request_seconds_bucket{route="/health",le="0.001"}'] == 1
        assert samples['anchorrec_request_seconds_bucket{route="/health",le="0.005"}'] == 2
        assert samples['anchorrec_request_seconds_bucket{route="/health",le="10.0"}'] == 2
        assert samples['anchorrec_request_seconds_bucket{route="/health",le="+Inf"}'] == 3
        assert samples["anchorrec_catalog_switches_total"] == 1
        assert samples['anchorrec_catalog_info{model="a",name="a \\"b\\"\\n\\\\"}'] == 1
    assert Metrics(rows, 1).text([], 0).count("\n") == second.text([], 0).count("\n")  # a new worker goes on
