"""Counts and times of requests in Prometheus's text format, summed over the worker processes.

Every worker has a row of numbers in memory that all of them share, and writes to its own alone; whoever is
asked for /metrics adds the rows up. A worker that replaces a dead one goes on with its row.
"""

from __future__ import annotations

import ctypes
import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

STATUSES = (200, 303, 304, 400, 401, 404, 405, 408, 413, 421, 422, 500, 501, 503)  # others count as 500
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds
ROUTES = (
    "/health", "/metrics", "/api/catalog", "/api/items", "/api/items/{item_id}", "/api/items/{item_id}/image",
    "/api/users", "/api/recommend", "/api/similar", "/api/explain", "/api/new-item", "/openapi.json", "/",
    "/page/{name}", "other",
)  # fmt: skip
EVENTS = ("switches", "failed_switches", "ready", "pid", "started")
WIDTH = len(STATUSES) + len(BUCKETS) + 2  # and beyond the last bucket, and the sum of seconds
ROW = len(ROUTES) * WIDTH + len(EVENTS)
TYPE = "text/plain; version=0.0.4; charset=utf-8"


def shared_rows(workers: int) -> Any:
    """Memory for the rows, which processes that are begun later share."""
    return get_context().RawArray(ctypes.c_double, workers * ROW)


class Metrics:
    """The numbers of one worker, and the sums of all. Without a worker: for reading only."""

    def __init__(self, rows: Any | None = None, worker: int | None = 0) -> None:
        table = np.frombuffer(shared_rows(1) if rows is None else rows, dtype=np.float64)
        self._all = table.reshape(-1, ROW)
        if worker is not None:
            self._mine = self._all[worker]
            self._requests = self._mine[: -len(EVENTS)].reshape(len(ROUTES), WIDTH)
            self._set("pid", os.getpid())
            self._set("started", time.time())

    def observe(self, route: str, status: int, seconds: float) -> None:
        row = self._requests[ROUTES.index(route) if route in ROUTES else -1]
        row[STATUSES.index(status if status in STATUSES else 500)] += 1
        row[len(STATUSES) + bisect_left(BUCKETS, seconds)] += 1
        row[-1] += seconds

    def count(self, event: str) -> None:
        self._mine[EVENTS.index(event) - len(EVENTS)] += 1

    @property
    def anyone_ready(self) -> bool:
        """Whether a worker has ever come as far as serving."""
        return bool(self._all[:, EVENTS.index("ready") - len(EVENTS)].any())

    def _set(self, event: str, value: float) -> None:
        self._mine[EVENTS.index(event) - len(EVENTS)] = value

    def text(self, models: Iterable[Mapping[str, str]], busy: int) -> str:
        """Everything, as Prometheus reads it. `models` are the labels of the catalogs served."""
        sums = self._all.sum(axis=0)
        requests = sums[: -len(EVENTS)].reshape(len(ROUTES), WIDTH)
        events = {name: sums[place - len(EVENTS)] for place, name in enumerate(EVENTS)}
        lines = [*_requests(requests), *_seconds(requests)]
        lines += _family("anchorrec_catalog_info", "gauge", "Catalogs served.", [(m, 1) for m in models])
        for name in ("switches", "failed_switches"):
            told = f"anchorrec_catalog_{name}_total"
            lines += _family(told, "counter", "Hot switches, over workers.", [({}, events[name])])
        lines += _family("anchorrec_busy", "gauge", "Catalog calls in this worker.", [({}, busy)])
        memory = [({"worker": str(n)}, resident_bytes(int(row[-2]))) for n, row in enumerate(self._all)]
        lines += _family("process_resident_memory_bytes", "gauge", "Memory.", memory)
        started = [({"worker": str(n)}, row[-1]) for n, row in enumerate(self._all)]
        lines += _family("process_start_time_seconds", "gauge", "Unix time of the start.", started)
        return "\n".join(lines) + "\n"


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _requests(table: Any) -> list[str]:
    samples = [
        ({"route": route, "status": str(status)}, table[at, column])
        for at, route in enumerate(ROUTES)
        for column, status in enumerate(STATUSES)
        if table[at, column]
    ]
    return _family("anchorrec_requests_total", "counter", "Requests by route and status.", samples)


def _seconds(table: Any) -> list[str]:
    name, counts = "anchorrec_request_seconds", table[:, len(STATUSES) : -1].cumsum(axis=1)
    lines = _family(name, "histogram", "Seconds from the headers to the last byte of the answer.", [])
    for at, route in enumerate(ROUTES):
        if not counts[at, -1]:
            continue
        for edge, count in zip((*map(str, BUCKETS), "+Inf"), counts[at], strict=True):
            lines.append(_sample(f"{name}_bucket", {"route": route, "le": edge}, count))
        lines.append(_sample(f"{name}_sum", {"route": route}, table[at, -1]))
        lines.append(_sample(f"{name}_count", {"route": route}, counts[at, -1]))
    return lines


def _family(
    name: str, kind: str, about: str, samples: Sequence[tuple[Mapping[str, str], float]]
) -> list[str]:
    head = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    return head + [_sample(name, labels, value) for labels, value in samples]


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {float(value):.10g}" if inside else f"{name} {float(value):.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
