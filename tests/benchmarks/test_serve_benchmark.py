"""`benchmarks/serve.py` and `benchmarks/attack.py` on a small catalog, and what they measure with."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn

from anchorrec_graph.serve.api.app import create_app
from anchorrec_graph.serve.api.server import bind, server_config
from anchorrec_graph.serve.api.settings import ServeSettings
from anchorrec_graph.serve.catalog import Catalog
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.export import save_export

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
SIZE = {"items": 300, "users": 200, "columns": 8, "image": 4, "text": 4}


@pytest.fixture(scope="module", autouse=True)
def _scripts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        yield


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def contents(_scripts: None) -> Contents:
    world = module("serve_world")
    found: Contents = world.random_contents(world.Size(**SIZE))
    return found


@pytest.fixture
def running(contents: Contents, tmp_path: Path) -> Iterator[Any]:
    """A server as the benchmarks start one, in a thread instead of a process of its own."""
    save_export(contents, tmp_path / "export")
    settings = ServeSettings((tmp_path / "export",))
    server, listening = uvicorn.Server(server_config(create_app(settings), settings)), bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    host, port = listening.getsockname()
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield module("serve_world").Running(None, host, port, 0.0, tmp_path / "log")
    server.should_exit = True
    thread.join(20)


def test_measures(contents: Contents, running: Any) -> None:
    size = module("serve_world").Size(**SIZE)
    found = asyncio.run(module("serve").measure(running, contents, size, rate=40, seconds=1))
    assert found["identical"] == "100 of 100"
    assert found["at_rate"]["statuses"] == {"200": 40}
    assert 0 < found["at_rate"]["p50_ms"] <= found["at_rate"]["p99_ms"] <= found["at_rate"]["max_ms"]
    assert [line["connections"] for line in found["flat_out"]] == [1, 2, 4, 8, 16]
    assert all(set(line["statuses"]) == {"200"} for line in found["flat_out"])
    for name, kind in found["one_by_one"].items():
        assert kind["statuses"] == {"200": 100}, name
    assert found["memory_mib_after"][0] > 10
    results = {"workers": {1: found}, "switch": {"before": found["at_rate"]}, "killed": {}}
    assert "100 of 100" in module("serve").table(results)
    json.dumps(results)


def test_a_wrong_ranking_is_seen(contents: Contents, running: Any) -> None:
    """The check fails for another catalog, so that it can fail."""
    world = module("serve_world")
    other = world.random_contents(world.Size(**SIZE), seed=1)

    async def run() -> int:
        client = module("load").Client(running.host, running.port)
        same: int = await module("serve").identical(client, other, world.Size(**SIZE), 10)
        await client.close()
        return same

    assert asyncio.run(run()) == 0


def test_the_ranking_without_our_code(contents: Contents) -> None:
    best_items, catalog = module("serve_world").best_items, Catalog(contents)
    for user in range(0, 200, 23):
        table = catalog.recommend([f"u{user}"], k=20)
        assert table["item_id"].to_list() == best_items(contents, user, 20)


def test_times_count_from_when_a_request_was_due() -> None:
    """A server that stalls for half a second is charged for every request that was due meanwhile."""
    load = module("load")

    async def run() -> list[Any]:
        stalled = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                try:
                    await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    break
                await stalled.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        asyncio.get_running_loop().call_later(0.5, stalled.set)
        client = load.Client(*server.sockets[0].getsockname())
        answers: list[Any] = await load.at_rate(client, lambda _: load.get("/"), rate=20, seconds=1)
        await client.close()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)
        return answers

    answers = asyncio.run(run())
    assert [answer.status for answer in answers] == [200] * 20
    late = [answer.seconds for answer in answers[:9]]
    assert late == sorted(late, reverse=True)
    assert late[0] > 0.4
    assert load.summary(answers)["p99_ms"] > 350


def test_attacks_and_finds_nothing(running: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = module("attack")
    monkeypatch.setattr(hostile, "SLOW", 2)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    record, memory = asyncio.run(hostile.attack(running, tmp_path, 400))
    assert record.violations == []
    assert record.statuses.total() == 400
    assert len({name.partition(":")[0] for name in record.statuses}) == len(module("attack_requests").KINDS)
    assert min(memory) > 10


def test_violations_are_found(tmp_path: Path) -> None:
    record = module("attack").Record([tmp_path])
    record.add("form", 503, b"busy", b"")
    record.add("raw", 0, b"", b"")
    assert record.violations == []
    record.add("form", 500, b"", b"")
    record.add("form", 0, b"", b"")
    record.add("form", 422, str(tmp_path).encode(), b"")
    record.add("form", 422, b'File "/usr/lib/python3/x.py"', b"")
    assert len(record.violations) == 4
