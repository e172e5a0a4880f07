"""A load generator: HTTP/1.1 over asyncio streams, requests at a fixed rate or as fast as they are answered.

At a fixed rate a request is sent when it is due, whether or not earlier ones were answered, and its time
counts from when it was due: a server that stalls cannot slow down its own measurement.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Make = Callable[[int], bytes]  # number of a request -> its bytes


class Answer(NamedTuple):
    status: int  # 0: the connection broke
    body: bytes
    seconds: float


class Client:
    """Connections that are kept and used again."""

    def __init__(self, host: str, port: int) -> None:
        self._address, self._idle = (host, port), list[Any]()

    async def ask(self, request: bytes, due: float | None = None, alone: bool = False) -> Answer:
        """One request; its time counts from `due`. `alone`: on a connection of its own, used once."""
        due = time.perf_counter() if due is None else due
        while True:
            used = bool(self._idle) and not alone
            streams: Any = None
            try:
                streams = self._idle.pop() if used else await asyncio.open_connection(*self._address)
                status, body, keep = await _exchange(*streams, request)
                break
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                if streams is not None:
                    streams[1].close()
                if not used:  # one that was kept may have been closed meanwhile: the next is tried
                    return Answer(0, b"", time.perf_counter() - due)
        seconds = time.perf_counter() - due
        if keep and not alone:
            self._idle.append(streams)
        else:
            streams[1].close()
        return Answer(status, body, seconds)

    async def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in self._idle), return_exceptions=True)
        self._idle.clear()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bytes, bool]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    return int(head[9:12]), body, b"connection: close" not in head


def post(path: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def at_rate(client: Client, make: Make, rate: float, seconds: float) -> list[Answer]:
    """Requests at a fixed rate, evenly spaced."""
    begin = time.perf_counter() + 0.05
    tasks = []
    for number in range(int(rate * seconds)):
        request, due = make(number), begin + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        tasks.append(asyncio.create_task(client.ask(request, due)))
    return await asyncio.gather(*tasks)


async def flat_out(
    client: Client, make: Make, connections: int, seconds: float
) -> tuple[float, list[Answer]]:
    """Requests as fast as they are answered on some connections; how many a second, and their answers."""
    begin, answers = time.perf_counter(), list[Answer]()
    end = begin + seconds

    async def one(worker: int) -> None:
        number = worker
        while time.perf_counter() < end:
            answers.append(await client.ask(make(number)))
            number += connections

    await asyncio.gather(*(one(worker) for worker in range(connections)))
    return len(answers) / (time.perf_counter() - begin), answers


def summary(answers: list[Answer]) -> dict[str, Any]:
    """Times in milliseconds, and how many answers had which status."""
    times = np.array([answer.seconds for answer in answers]) * 1000
    statuses, counts = np.unique([answer.status for answer in answers], return_counts=True)
    points = {f"p{point}_ms": round(float(np.percentile(times, point)), 2) for point in (50, 90, 99)}
    return {
        "requests": len(answers),
        **points,
        "max_ms": round(float(times.max()), 2),
        "statuses": {str(status): int(count) for status, count in zip(statuses, counts, strict=True)},
    }
