"""What the tests run on workers, which import this module by its name."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def double(number: int) -> int:
    return 2 * number


def process(_: int) -> int:
    return os.getpid()


def temporary() -> str | None:
    return os.environ.get("TMPDIR")


def lengths(batch: list[str]) -> Any:
    import numpy as np

    return np.array([[len(text)] for text in batch], dtype=np.float32)


def at_the_same_time(folder: Path, name: int) -> int:
    """How many of these tasks run at the moment."""
    mine = folder / str(name)
    mine.touch()
    time.sleep(0.3)
    count = len(list(folder.iterdir()))
    mine.unlink()
    return count


def fail(number: int) -> int:
    from anchorrec_graph.errors import DataError

    if number == 1:
        raise DataError("row 7: is odd")
    return 10 // number


def die(log: Path, times: int) -> int:
    """End the process without a word, so many times; returns how often it was begun."""
    with open(log, "a", encoding="utf-8") as file:
        file.write("begun\n")
    begun = len(log.read_text(encoding="utf-8").splitlines())
    if begun <= times:
        kill_this()
    return begun


def kill_this() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal comes


def wait_for_ever(started: Path, stopped: Path) -> None:
    try:
        started.touch()
        while True:
            time.sleep(0.01)
    finally:
        stopped.touch()


def never_stops(started: Path, _: Path) -> None:
    """Not even when it is interrupted."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            started.touch()
            time.sleep(0.01)


def train_or_die(job: Any, *rest: Any) -> Any:
    """As `compare.cluster.train`, but LightGCN ends its process."""
    from anchorrec_graph.compare.cluster import train

    if job.label == "lightgcn":
        kill_this()
    return train(job, *rest)


def rate(config: Any, data: Any, threads: int, modules: Any) -> Iterator[tuple[int, float]]:
    """Validation values of which the learning rate is the last."""
    from anchorrec_graph.data.base import INTERACTS

    if "test_edge_label_index" in data[INTERACTS]:
        raise AssertionError("test pairs were sent")
    yield 1, 0.0
    yield 2, config.train.learning_rate


def rate_or_die(config: Any, data: Any, threads: int, modules: Any) -> Iterator[tuple[int, float]]:
    """As `rate`, but small ones end their process after the first value."""
    yield 1, 0.0
    if config.train.learning_rate < 1e-3:
        kill_this()
    yield 2, config.train.learning_rate


def worse_and_worse(config: Any, data: Any, threads: int, modules: Any) -> Iterator[tuple[int, float]]:
    """Constant values, of small learning rates for ever."""
    epoch = 0
    while epoch < 14 or config.train.learning_rate < 1e-3:
        epoch += 1
        yield epoch, config.train.learning_rate
        if epoch >= 14:
            time.sleep(0.05)


def broken(config: Any, data: Any, threads: int, modules: Any) -> Iterator[tuple[int, float]]:
    yield 1, 0.5
    raise KeyError("a bug")
