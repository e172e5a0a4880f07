"""A small comparison whose jobs are forked from a server, so that none waits for imports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiny_runs import SECONDS, write_tiny

from anchorrec_graph.compare import Comparison, Entry, as_json, compare, read_entries, write_tables

MODELS = ("lightgcn", "popularity")


def write_config(folder: Path, model: str, *overrides: str) -> Path:
    """`<folder>/<model>/short.yaml`."""
    (folder / model).mkdir(parents=True, exist_ok=True)
    return write_tiny(folder / model, f"model={model}", "train.epochs=2", *overrides)


def entries_of(folder: Path, *overrides: str, models: Sequence[str] = MODELS) -> list[Entry]:
    return read_entries([str(write_config(folder, model, *overrides)) for model in models])


def run(entries: Sequence[Entry], out: Path, seeds: Sequence[int] = (0, 1), **options: Any) -> Comparison:
    comparison = compare(entries, seeds, out, **options)
    write_tables(comparison, out)
    return comparison


def numbers(comparison: Comparison) -> Any:
    """Everything of the table that must not depend on when, where and how often it was made."""
    report = json.loads(json.dumps(as_json(comparison)))
    del report["environment"]
    for row in report["rows"]:
        costs = [row["cost"], *(seed["cost"] for seed in row["seeds"].values())]
        for cost in costs:
            for name in list(cost):
                if name in SECONDS or name.startswith(("seconds", "peak")):
                    del cost[name]
        for seed in row["seeds"].values():
            seed.pop("run", None)
    return report
