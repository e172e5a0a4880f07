"""A catalog of any size from random rows, its best items, and a server over it in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch

from anchorrec_graph.evaluate.user_items import UserItems
from anchorrec_graph.graph.knn import unit_rows
from anchorrec_graph.nn.fold_in import FoldIn
from anchorrec_graph.serve.contents import Contents
from anchorrec_graph.serve.export import save_export
from anchorrec_graph.serve.space import Space
from anchorrec_graph.typing import Embeddings, View

GENRES = ("Action", "Comedy", "Crime", "Drama", "Horror", "Romance", "Sci-Fi", "Western")
VIEWS = ("id", "image", "text")
PER_USER = 20  # items that a user has
START_SECONDS = 300


class Size(NamedTuple):
    items: int = 100_000
    users: int = 100_000
    columns: int = 64
    image: int = 256  # columns of native features
    text: int = 384


def random_contents(size: Size, seed: int = 0) -> Contents:
    """Three views that share the columns, purchases, native features; titles, genres and years of items."""
    generator = torch.Generator().manual_seed(seed)

    def rows(count: int, columns: int = size.columns) -> torch.Tensor:
        return torch.randn(count, columns, generator=generator) * size.columns**-0.25

    views = {name: View(rows(size.users), rows(size.items)) for name in VIEWS}
    user = torch.stack([view.user for view in views.values() if view.user is not None]).sum(0)
    item = torch.stack([view.item for view in views.values()]).sum(0)
    taker = torch.arange(size.users).repeat_interleave(PER_USER)
    taken = torch.randint(size.items, (len(taker),), generator=generator)
    pairs = UserItems.from_pairs(torch.stack([taker, taken]), size.users, size.items)
    fold = FoldIn(
        sent={name: view.item for name, view in views.items()}, own={}, start=dict.fromkeys(VIEWS, 0),
        dim=size.columns, learned=VIEWS, length=None,
    )  # fmt: skip
    return Contents(
        card={"name": f"random rows, seed {seed}", "users": size.users, "items": size.items},
        items=random_items(size.items, seed),
        user_ids=np.array([f"u{number}" for number in range(size.users)]),
        space=Space.from_embeddings(Embeddings(user, item, views)),
        features={
            name: unit_rows(rows(size.items, width))[0]
            for name, width in (("image", size.image), ("text", size.text))
        },
        bought=pairs,
        known=pairs,
        fold_in=fold,
        attachment="these rows were drawn, not trained; new items cannot be placed",
    )


def random_items(count: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    names = np.array(GENRES)
    two = rng.integers(len(GENRES), size=(count, 2))
    return pl.DataFrame(
        {
            "item_id": [f"i{number}" for number in range(count)],
            "title": [f"Item {number} of the {names[two[number, 0]]} shelf" for number in range(count)],
            "genres": [f"{names[a]}|{names[b]}" if a != b else names[a] for a, b in two],
            "year": rng.integers(1950, 2027, count),
        }
    )


def write_exports(folder: Path, size: Size) -> tuple[Contents, Path, Path]:
    """Two exports of other seeds, to switch between; the contents of the first."""
    first, second = random_contents(size), random_contents(size, seed=1)
    for contents, name in ((first, "first"), (second, "second")):
        save_export(contents, folder / name)
    return first, folder / "first", folder / "second"


def best_items(contents: Contents, user: int, k: int) -> list[str]:
    """The ranking, without any code that serves it: all scores, the user's items out, sorted."""
    scores = contents.space.item.double().numpy() @ contents.space.user[user].double().numpy()
    pairs = contents.known.pairs
    scores[pairs[1][pairs[0] == user].numpy()] = -np.inf
    return [f"i{row}" for row in np.argsort(-scores, kind="stable")[:k]]


class Running(NamedTuple):
    """A server that takes connections."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    seconds: float  # from the command to the first connection
    log: Path


@contextmanager
def server(folder: Path, *options: str, workers: int = 1, port: int = 0) -> Iterator[Running]:
    """`anchorrec serve`, until the block ends. Its log goes to a file."""
    command = [sys.executable, "-m", "anchorrec_graph", "serve", str(folder), "--port", str(port)]
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "log"
        with open(log, "wb") as file:
            started = time.perf_counter()
            process = subprocess.Popen(
                [*command, "--workers", str(workers), *options], stderr=file, stdout=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        try:
            host, number = _address(process, log, workers)
            yield Running(process, host, number, time.perf_counter() - started, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def _address(process: subprocess.Popen[bytes], log: Path, workers: int) -> tuple[str, int]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        events = read_log(log)
        if sum(event["event"] == "serving" for event in events) >= workers:
            url = next(event["url"] for event in events if event["event"] == "starting")
            host, _, port = str(url).removeprefix("http://").rpartition(":")
            return host, int(port)
        time.sleep(0.05)
    raise SystemExit(f"error: the server did not begin: {log.read_text(encoding='utf-8')[-2000:]}")


def read_log(log: Path) -> list[dict[str, Any]]:
    """The whole lines of JSON in a server's log."""
    lines = log.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
