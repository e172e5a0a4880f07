"""The server on a real socket, and its processes: begun by the command, ended by signals."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from api_world import shop_service
from processes import start

from anchorrec_graph.errors import ConfigError
from anchorrec_graph.serve.api.app import app_of
from anchorrec_graph.serve.api.limits import LIMITS
from anchorrec_graph.serve.api.server import bind, server_config, url
from anchorrec_graph.serve.api.settings import ServeSettings

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def listening(folder: Path, **limits: Any) -> Iterator[tuple[str, int]]:
    """The shop on a socket, served by a thread."""
    settings = ServeSettings((folder,), limits=LIMITS._replace(**limits))
    server = uvicorn.Server(server_config(app_of(shop_service(folder, settings)), settings))
    found = bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [found]})
    address = found.getsockname()
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def all_of(connection: socket.socket) -> bytes:
    """What a server sends until it closes."""
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_an_answer(tmp_path: Path) -> None:
    with listening(tmp_path) as (host, port), httpx2.Client(base_url=f"http://{host}:{port}") as client:
        for _ in range(3):  # on one connection
            assert client.post("/api/recommend", json={"user": "u1"}).status_code == 200
        answer = client.get("/health")
    assert "server" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("head", [b"", b"GET /hea", GET[:-2], b"\r\n\r\n" * 3])
def test_headers_that_never_end(tmp_path: Path, head: bytes) -> None:
    """A connection without a whole request is closed."""
    with listening(tmp_path, header_seconds=0.3) as address, socket.create_connection(address) as connection:
        started = time.perf_counter()
        connection.sendall(head)
        connection.settimeout(10)
        all_of(connection)
        assert time.perf_counter() - started < 8


def test_a_letter_at_a_time(tmp_path: Path) -> None:
    """Headers that trickle in have no more time than others."""
    with listening(tmp_path, header_seconds=0.3) as address, socket.create_connection(address) as connection:
        connection.settimeout(0.05)
        closed = False
        for letter in range(200):
            try:
                connection.sendall(GET[:-2][letter % 20 : letter % 20 + 1])
                closed = connection.recv(100) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
            if closed:
                break
        assert closed


def test_a_body_that_never_ends(tmp_path: Path) -> None:
    head = b"POST /api/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with listening(tmp_path, body_seconds=0.3) as address, socket.create_connection(address) as connection:
        connection.sendall(head + b"Content-Length: 100\r\n\r\n{")
        connection.settimeout(10)
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer.lower()


def test_a_body_that_nobody_reads(tmp_path: Path) -> None:
    """Where no body is wanted the connection is closed rather than read on."""
    with listening(tmp_path) as address, socket.create_connection(address) as connection:
        connection.sendall(GET[:-2] + b"Content-Length: 50000\r\n\r\n{")
        connection.settimeout(10)
        assert all_of(connection).startswith(b"HTTP/1.1 200")


def test_what_is_no_http(tmp_path: Path) -> None:
    with listening(tmp_path) as address:
        for nonsense in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", GET[:-2] + b"X: " + b"y" * 1_000_000):
            with socket.create_connection(address) as connection:
                connection.settimeout(10)
                try:
                    connection.sendall(nonsense + b"\r\n\r\n")
                    answer = all_of(connection)
                except (ConnectionResetError, BrokenPipeError):
                    continue
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        with socket.create_connection(address) as connection:
            connection.sendall(GET)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_one_connection_too_many(tmp_path: Path) -> None:
    with listening(tmp_path, connections=3) as address:
        held = [socket.create_connection(address) for _ in range(3)]
        time.sleep(0.2)
        with socket.create_connection(address) as refused:
            refused.settimeout(10)
            assert refused.recv(100) == b""
        for connection in held:
            connection.close()
        time.sleep(0.2)
        with socket.create_connection(address) as connection:
            connection.sendall(GET)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchorrec_graph.serve.api.server.BIND_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for _ in range(2):
            with pytest.raises(ConfigError, match=rf"--port {port}: Address already in use"):
                bind("127.0.0.1", port)
    with pytest.raises(ConfigError, match=r"--host no\.such\.host\.invalid"):
        bind("no.such.host.invalid", 0)
    with bind("::1", 0) as six:
        assert url(six).startswith("http://[::1]:")


def serving_url(errors: Path, ready: int = 1) -> str:
    """The address of a server that was begun, when so many of its workers serve."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        text = errors.read_text() if errors.exists() else ""
        assert "Traceback" not in text, text
        events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        if sum(event["event"] == "serving" for event in events) >= ready:
            return str(next(event["url"] for event in events if event["event"] == "starting"))
        time.sleep(0.05)
    raise AssertionError("the server did not begin")


def end(process: BaseProcess, number: int) -> int | None:
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(30)
    return process.exitcode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command(api_run: Path, tmp_path: Path, number: signal.Signals) -> None:
    """It serves, and when it is told to end it answers what it was asked before."""
    errors = tmp_path / "errors"
    process = start(["serve", str(api_run), "--port", "0"], errors)
    base = serving_url(errors)
    head = b"POST /api/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    host, _, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head + b'Content-Length: 14\r\n\r\n{"user"')
        time.sleep(0.3)
        assert process.pid is not None
        os.kill(process.pid, number)
        time.sleep(0.3)
        connection.sendall(b': "u1"}')
        connection.settimeout(20)
        assert all_of(connection).startswith(b"HTTP/1.1 200")
    process.join(30)
    assert process.exitcode == 0
    assert "Traceback" not in errors.read_text()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{base}/health")


def test_a_run_that_cannot_be_served(tmp_path: Path) -> None:
    for workers, seconds in (("1", 60), ("2", 120)):
        errors = tmp_path / f"errors-{workers}"
        process = start(["serve", str(tmp_path), "--port", "0", "--workers", workers], errors)
        process.join(seconds)
        assert process.exitcode == 4
        assert f"error: {tmp_path}: no run here" in errors.read_text()


def test_workers(api_run: Path, tmp_path: Path) -> None:
    """One that is killed is replaced; when the parent is killed they end too, and the port is free again."""
    errors = tmp_path / "errors"
    process = start(["serve", str(api_run), "--port", "0", "--workers", "2"], errors)
    base = serving_url(errors, ready=2)
    pids = [json.loads(line)["pid"] for line in errors.read_text().splitlines() if '"serving"' in line]
    with httpx2.Client(base_url=base) as client:
        for _ in range(4):
            assert client.post("/api/recommend", json={"user": "u1"}).status_code == 200
    os.kill(pids[0], signal.SIGKILL)
    serving_url(errors, ready=3)
    assert httpx2.get(f"{base}/health").status_code == 200
    assert 'process_resident_memory_bytes{worker="1"}' in httpx2.get(f"{base}/metrics").text
    assert end(process, signal.SIGKILL) == -signal.SIGKILL
    again = start(["serve", str(api_run), "--port", base.rpartition(":")[2]], tmp_path / "again")
    assert serving_url(tmp_path / "again") == base
    assert httpx2.get(f"{base}/health").status_code == 200
    assert end(again, signal.SIGTERM) == 0
