"""The processes of a server: one that serves, or one per core and one that keeps them alive."""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI

from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.serve.api import logs
from anchorrec_graph.serve.api.app import create_app
from anchorrec_graph.serve.api.metrics import Metrics, shared_rows
from anchorrec_graph.serve.api.protocol import BoundedH11
from anchorrec_graph.serve.api.settings import ServeSettings

GRACE = 10  # seconds that requests which run have to come to their end
PAUSE = 1.0  # before a worker that died is replaced
BIND_SECONDS = 3.0  # workers of a server that was killed need a moment to notice
STOP = (signal.SIGINT, signal.SIGTERM)


def serve(settings: ServeSettings) -> int:
    """Serve until told to stop; returns the exit code.

    Raises:
        AnchorRecError: what `create_app` raises, or the port is taken.
    """
    if settings.workers > 1 and not hasattr(os, "fork"):
        raise ConfigError("--workers: this system cannot share a port between processes; leave it out")
    listening = bind(settings.host, settings.port)
    logs.configure()
    logs.event("starting", url=url(listening), workers=settings.workers)
    if settings.workers > 1:
        return Workers(settings, listening).run()
    work(settings, listening, None, 0)
    return 0


def bind(host: str, port: int) -> socket.socket:
    """A socket that is ready to listen.

    Raises:
        ConfigError: no such address, not allowed, or in use.
    """
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return _bound(socket.socket(family, kind, protocol), address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise ConfigError(f"--host {host} --port {port}: {error.strerror or error}") from error
            time.sleep(0.2)


def _bound(found: socket.socket, address: Any) -> socket.socket:
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError:
        found.close()
        raise
    return found


def url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def work(settings: ServeSettings, listening: socket.socket, rows: Any | None, worker: int) -> None:
    """Serve in this process.

    Raises:
        AnchorRecError: what `create_app` raises.
    """
    torch.set_num_threads(1)  # requests run beside each other; within one, threads would wait for each other
    sys.setswitchinterval(0.001)  # the thread that answers must not wait 5 ms for one that computes
    metrics, address = Metrics(rows, worker), url(listening)
    app = create_app(settings, metrics)

    def ready() -> None:
        metrics.count("ready")
        logs.event("serving", worker=worker, pid=os.getpid())
        if worker == 0:
            print(f"serving at {address}; Ctrl-C ends it", flush=True)

    for number in STOP:  # uvicorn has handlers of its own, and sends the signal again when it has ended
        signal.signal(number, _ignore)
    Server(server_config(app, settings), ready).run(sockets=[listening])


class Server(uvicorn.Server):
    """Tells when connections are taken."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def server_config(app: FastAPI, settings: ServeSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app, http=type("Protocol", (BoundedH11,), {"limits": settings.limits}), ws="none", loop="asyncio",
        log_config=None, access_log=False, server_header=False, proxy_headers=False, lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )  # fmt: skip


class Workers:
    """Keeps one process per worker alive, and ends them when it is told to end.

    They are forked by a process that has imported everything and computed nothing, so a worker that died
    is replaced in the time that its catalog takes to load.
    """

    def __init__(self, settings: ServeSettings, listening: socket.socket) -> None:
        self._settings, self._listening = settings, listening
        self._rows, self._context = shared_rows(settings.workers), multiprocessing.get_context("fork")
        self._stopping = False

    def run(self) -> int:
        """Until SIGINT or SIGTERM. If no worker can even begin: the exit code of the first that could not."""
        for number in STOP:
            signal.signal(number, self._stop)
        processes = {worker: self._start(worker) for worker in range(self._settings.workers)}
        code = 0
        while not self._stopping:
            connection.wait([process.sentinel for process in processes.values()], timeout=0.5)
            for worker, process in processes.items():
                if process.exitcode is None or self._stopping:
                    continue
                logs.event("worker died", logging.ERROR, worker=worker, code=process.exitcode)
                if process.exitcode > 0 and not Metrics(self._rows, None).anyone_ready:
                    code, self._stopping = process.exitcode, True
                else:
                    time.sleep(PAUSE)
                    processes[worker] = self._start(worker)
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            process.join(GRACE + 2)
            process.kill()
        return code

    def _start(self, worker: int) -> BaseProcess:
        arguments = (self._settings, self._listening, self._rows, worker, os.getpid())
        process = self._context.Process(target=_worker, args=arguments, daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # BLAS has threads; nothing holds a lock
            process.start()
        return process

    def _stop(self, *_: Any) -> None:
        self._stopping = True


def _worker(settings: ServeSettings, listening: socket.socket, rows: Any, worker: int, parent: int) -> None:
    """The whole life of a worker process."""
    for number in STOP:
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        work(settings, listening, rows, worker)
    except AnchorRecError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # Ctrl-C reaches the whole group
        sys.exit(0)


def _end_with(parent: int) -> None:
    """A parent that was killed cannot tell its workers to end, and they would keep the port."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE + 2)
    os._exit(1)


def _ignore(*_: Any) -> None: ...
