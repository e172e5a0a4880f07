"""What a run cost: seconds from its history, memory from the process that finished it."""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

from anchorrec_graph.files import save_json
from anchorrec_graph.train.history import read_history
from anchorrec_graph.train.seed import SeedFolder, read_object


class Cost(NamedTuple):
    """None where it is not known, or where there is nothing of the kind."""

    seconds_to_build: float | None = None  # the model, of data in memory; graphs from the cache are only read
    seconds_per_epoch: float | None = None  # mean, evaluation not counted
    seconds_to_best_epoch: float | None = None  # training and evaluation, until the best epoch was found
    peak_memory_bytes: int | None = None  # of the whole process, libraries included
    parameters: int | None = None
    threads: int | None = None


def save_cost(run: Path, threads: int) -> None:
    """Write `cost.json` into a run folder, at the end of the process that trained it."""
    save_json(run / "cost.json", {"peak_memory_bytes": peak_memory(), "threads": threads})


def read_cost(run: Path, seed: SeedFolder, result: dict[str, Any]) -> Cost:
    """The cost of one finished seed; `result` is its metrics.json.

    Raises:
        RunError: a file is damaged.
    """
    epochs = read_history(seed.history)
    path = run / "cost.json"  # a process that was killed after the last metric left none
    saved = read_object(path) if path.exists() else {}
    until_best = [
        epoch["train_seconds"] + epoch["evaluate_seconds"]
        for epoch in epochs
        if epoch["epoch"] <= result.get("best_epoch", 0)
    ]
    return Cost(
        result.get("build_seconds"),
        statistics.fmean(epoch["train_seconds"] for epoch in epochs) if epochs else None,
        sum(until_best) if until_best else None,
        saved.get("peak_memory_bytes"),
        result["parameters"],
        saved.get("threads"),
    )


def mean_cost(costs: list[Cost]) -> Cost:
    """Mean seconds of training over the seeds; the largest of the rest, as later seeds find a full cache."""
    build, epoch, best, memory, parameters, threads = (
        [value for value in column if value is not None] for column in zip(*costs, strict=True)
    )
    return Cost(
        max(build, default=None),
        statistics.fmean(epoch) if epoch else None,
        statistics.fmean(best) if best else None,
        max(memory, default=None),
        max(parameters, default=None),
        max(threads, default=None),
    )


def peak_memory() -> int | None:
    """Largest resident memory of this process in bytes, where the system tells it.

    Linux: VmHWM. `ru_maxrss` would do, but a child inherits there what its parent held when it was started.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return _resource_peak()
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else _resource_peak()


def _resource_peak() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
