"""A small shop as raw files, prepared in this process or in one that is killed on the way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from anchorrec_graph.prepare.pipeline import Prepared, prepare
from anchorrec_graph.prepare.settings import PrepareSettings, prepare_settings

ITEMS = 12
COLUMNS = {"rating_column": "rating", "time_column": "time"}


def silent(line: str) -> None:
    """No progress."""


def write_shop(folder: Path, users: int = 20) -> dict[str, Any]:
    """Two tables of interactions and one of items; returns the settings of their source."""
    rng = np.random.default_rng(0)
    folder.mkdir(exist_ok=True)
    names = [folder / "a.csv", folder / "b.csv"]
    for path in names:
        lines = ["user_id,item_id,rating,time"]
        for user in rng.permutation(users):
            for item in rng.choice(ITEMS, size=5, replace=False):
                lines.append(
                    f"buyer-{user}-name,B{item:03d},{rng.integers(2, 11) / 2},{rng.integers(100, 999)}"
                )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    records = [
        {"item_id": f"B{item:03d}", "title": f"Thing {item}"} for item in reversed(range(1, ITEMS + 3))
    ]
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    files = list(map(str, names))
    return {"name": "table", "files": files, "items": [str(folder / "items.jsonl")], **COLUMNS}


def shop_settings(folder: Path, **values: Any) -> PrepareSettings:
    return prepare_settings({"source": write_shop(folder), **values}, [])


def make(settings: PrepareSettings, out: Path, **options: Any) -> Prepared:
    return prepare(settings, out, report=silent, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fail_at(count: int, fail: Callable[[], None]) -> Callable[..., None]:
    """`os.replace`, by which every file takes its place, that fails at the given call and at no other."""
    replace, calls = os.replace, iter(range(1, 10**6))

    def failing(*paths: Any) -> None:
        if next(calls) == count:
            fail()
        replace(*paths)

    return failing


def make_until_killed(settings: PrepareSettings, out: Path, count: int, overwrite: bool) -> None:
    """For a process of its own, which SIGKILL ends before its `count`-th file takes its place."""
    os.replace = fail_at(count, lambda: os.kill(os.getpid(), signal.SIGKILL))
    make(settings, out, overwrite=overwrite)
