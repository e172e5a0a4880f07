"""Steps per second of one and of several processes that train together, each with one thread.

    python benchmarks/parallel.py [--items 20000] [--processes 1,2] [--steps 8] [--rounds 3]
        [--modes full,sampled,sharded] [--publish]

The shop and model of benchmarks/scale.py; a step averages four batches of 2,048 pairs, which the processes
share (`train.batches_per_step: 4`), so that every number of processes does the same work. `sharded` is
`sampled` with `train.shard_tables`. Numbers of processes take turns, `--rounds` times; the ratio is that of
the medians. Also what each process holds: its share of the tables' rows, and its largest memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import scale
import torch

from anchorrec_graph.compare.costs import peak_memory
from anchorrec_graph.config import Config
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import save_json
from anchorrec_graph.graph.sharing import shared_by
from anchorrec_graph.models.base import build_model
from anchorrec_graph.nn.sharded_table import ShardedTable
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.ranks import Ranks, joined
from anchorrec_graph.train.trainer import Trainer, deterministic

RESULTS = Path("benchmarks/results/parallel.json")
BATCHES = 4
MODES = {
    "full": ["train.mode=full"],
    "sampled": ["train.mode=sampled"],
    "sharded": ["train.mode=sampled", "train.shard_tables=true"],
}


def config_of(mode: str, items: int) -> Config:
    return scale.config_of(items, f"train.batches_per_step={BATCHES}", *MODES[mode])


def work(ranks: Ranks, mode: str, items: int, steps: int) -> dict[str, Any]:
    """Steps per second after one that does not count, and what this process holds."""
    config = config_of(mode, items)
    data = config.dataset.load()
    torch.manual_seed(0)
    with shared_by(ranks):
        model = build_model(config.model, data)
    trainer = Trainer(model, data, config.train, Evaluator(config.evaluate, data, ranks), 0, ranks)
    with deterministic():
        rest = itertools.chain.from_iterable(trainer.steps() for _ in itertools.count())
        trainer.step(*next(rest))
        ranks.wait()
        started = time.perf_counter()
        done = [trainer.step(*step) for step in itertools.islice(rest, steps)]
        ranks.wait()
        spent = time.perf_counter() - started
    tables = [part for part in model.modules() if isinstance(part, (torch.nn.Embedding, ShardedTable))]
    return {
        "steps_per_second": len(done) / spent,
        "rows_held": sum(len(table.weight) for table in tables),
        "rows": sum(table.num_embeddings for table in tables),
        "peak_gib": (peak_memory() or 0) / 2**30,
        "threads": torch.get_num_threads(),
    }


def measure(mode: str, size: int, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What each of `size` processes found, by torchrun."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    own = [__file__, "--worker", mode, "--items", str(args.items), "--steps", str(args.steps)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RANK_RESULTS": folder}
        subprocess.run([*start, *own], check=True, env=environment)
        return [json.loads(path.read_text()) for path in sorted(Path(folder).iterdir())]


def rows(found: dict[tuple[str, int], list[list[dict[str, Any]]]]) -> Iterator[dict[str, Any]]:
    """One row for each mode and number of processes."""
    speed = {
        key: statistics.median(run[0]["steps_per_second"] for run in runs) for key, runs in found.items()
    }
    first = min(size for _, size in found)
    for (mode, size), runs in found.items():
        yield {
            "mode": mode,
            "processes": size,
            "steps_per_second": speed[mode, size],
            "all_rounds": [run[0]["steps_per_second"] for run in runs],
            "times_one": speed[mode, size] / speed[mode, first],
            "largest_share_of_rows": max(rank["rows_held"] / rank["rows"] for rank in runs[0]),
            "peak_gib": max(rank["peak_gib"] for run in runs for rank in run),
            "threads": runs[0][0]["threads"],
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--processes", default="1,2")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        with joined() as ranks:
            found = work(ranks, args.worker, args.items, args.steps)
            Path(os.environ["RANK_RESULTS"], f"{ranks.rank}.json").write_text(json.dumps(found))
        return
    runs: dict[tuple[str, int], list[list[dict[str, Any]]]] = defaultdict(list)
    sizes = [int(size) for size in args.processes.split(",")]
    for _, mode, size in itertools.product(range(args.rounds), args.modes.split(","), sizes):
        runs[mode, size].append(measure(mode, size, args))
    report = {"items": args.items, "rows": list(rows(runs)), "environment": environment()}
    for row in report["rows"]:
        print(row)
    if args.publish:
        save_json(RESULTS, report)


if __name__ == "__main__":
    main()
