"""Seconds, peak memory and microseconds per row of `anchorrec prepare`, in a process of its own per size.

    python benchmarks/prepare.py --rows 100000 1000000 --out results.json
    python benchmarks/prepare.py --rows 10000000 --formats csv jsonl

Rows are drawn like reviews in a shop: users of few rows (a Pareto law), popular items, ids as long as
Amazon's, 3 % of the pairs twice; a threshold of 2 and a 5-core. Drawing them is not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from anchorrec_graph.train.environment import environment

BLOCK = 500_000
COLUMNS = ("reviewerID", "asin", "overall", "unixReviewTime")


def write_rows(path: Path, rows: int) -> None:
    """A CSV, or JSON lines, of `rows` reviews, a block at a time."""
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        for start in range(0, rows, BLOCK):
            frame = draw(rng, min(BLOCK, rows - start), rows)
            if path.suffix == ".csv":
                frame.write_csv(file, include_header=start == 0)
            else:
                frame.write_ndjson(file)


def draw(rng: np.random.Generator, count: int, rows: int) -> pl.DataFrame:
    user = (rng.pareto(1.0, count) * rows / 40).astype(np.int64) % max(rows // 8, 1)
    item = (rng.pareto(1.0, count) * rows / 400).astype(np.int64) % max(rows // 30, 1)
    twice = rng.integers(count, size=count * 3 // 100)
    user[: len(twice)], item[: len(twice)] = user[twice], item[twice]
    numbers = pl.DataFrame({"user": user, "item": item})
    return numbers.select(
        pl.format("A{}", pl.col("user").cast(pl.String).str.zfill(13)).alias(COLUMNS[0]),
        pl.format("B{}", pl.col("item").cast(pl.String).str.zfill(9)).alias(COLUMNS[1]),
        pl.Series(COLUMNS[2], rng.integers(1, 6, count)).cast(pl.Float64),
        pl.Series(COLUMNS[3], rng.integers(10**9, 16 * 10**8, count)),
    )


def measure(path: Path) -> dict[str, Any]:
    """Prepare a file in this process."""
    from anchorrec_graph.prepare.pipeline import prepare
    from anchorrec_graph.prepare.settings import prepare_settings

    columns = dict(zip(("user", "item", "rating", "time"), COLUMNS, strict=True))
    source = {"name": "table", "files": [str(path)], **{f"{kind}_column": c for kind, c in columns.items()}}
    cores = {"user_core": 5, "item_core": 5}
    settings = prepare_settings({"source": source, "min_rating": 2, **cores, "split": "random"}, [])
    started, before = time.perf_counter(), peak_gib()
    stages: list[tuple[float, str]] = []

    def tell(line: str) -> None:
        stages.append((round(time.perf_counter() - started, 2), line.removeprefix(str(path))))

    manifest = prepare(settings, path.parent / "out", report=tell).manifest
    seconds = time.perf_counter() - started
    return {
        "seconds": round(seconds, 2),
        "stages": stages,
        "peak_gib": round(peak_gib(), 2),
        "peak_gib_before": round(before, 2),
        "kept": manifest["counts"]["interactions"],
        "users": manifest["counts"]["users"],
        "items": manifest["counts"]["items"],
    }


def peak_gib() -> float:
    """Peak resident memory of this process (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(rows: int, form: str) -> dict[str, Any]:
    """Write the rows, then measure in a new process, whose peak is its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows.{form}"
        write_rows(path, rows)
        command = [sys.executable, __file__, "--measure", str(path)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result = json.loads(done.stdout)
        size = path.stat().st_size
    per_row = round(result["seconds"] / rows * 1e6, 2)
    return {"format": form, "rows": rows, "mib": round(size / 2**20), "us_per_row": per_row, **result}


def table(results: list[dict[str, Any]]) -> str:
    columns = ("format", "rows", "mib", "seconds", "us_per_row", "peak_gib", "kept", "users", "items")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join(lines + [f"| {' | '.join(str(result[c]) for c in columns)} |" for result in results])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6])
    parser.add_argument("--formats", nargs="+", default=["csv", "jsonl"], choices=["csv", "jsonl"])
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure)))
        return
    results = [run(rows, form) for form in args.formats for rows in args.rows]
    print(table(results))
    if args.out:
        threads = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")}
        record = {"results": results, "threads": threads, "environment": environment()}
        args.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
