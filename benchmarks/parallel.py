"""Steps per second of one and of several processes that train together, each with one thread.

    python benchmarks/parallel.py [--items 20000] [--processes 1,2] [--steps 8] [--rounds 3]
        [--modes full,sampled,sharded] [--publish]

The shop and model of benchmarks/scale.py; a step averages four batches of 2,048 pairs, which the processes
share (`train.batches_per_step: 4`), so that every number of processes does the same work. `sharded` is
`sampled` with `train.shard_tables`. Beside several that train together there are as many that train `apart`,
each for itself at the same time, which exchange nothing: the most that the machine gives. All take turns,
`--rounds` times; the ratio is that of the medians. Also what each process holds: its share of the tables'
rows, and its largest memory.
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
from typing import Any, NamedTuple

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
from anchorrec_graph.train.ranks import ALONE, Ranks, joined
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


def work(ranks: Ranks, mode: str, items: int, steps: int, apart: bool = False) -> dict[str, Any]:
    """Steps per second after one that does not count, and what this process holds.

    Args:
        apart: train as if alone, from the moment at which all begin to that at which the last ends.
    """
    together = ALONE if apart else ranks
    config = config_of(mode, items)
    data = config.dataset.load()
    torch.manual_seed(0)
    with shared_by(together):
        model = build_model(config.model, data)
    trainer = Trainer(model, data, config.train, Evaluator(config.evaluate, data, together), 0, together)
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


class Start(NamedTuple):
    """Processes that run at the same time: they train together, or each for itself."""

    mode: str
    processes: int
    apart: bool


def measure(start: Start, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What each process found, by torchrun."""
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(start.processes)]
    own = [__file__, "--worker", start.mode, "--items", str(args.items), "--steps", str(args.steps)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RANK_RESULTS": folder}
        apart = ["--apart"] if start.apart else []
        subprocess.run([sys.executable, "-m", *launch, *own, *apart], check=True, env=environment)
        return [json.loads(path.read_text()) for path in sorted(Path(folder).iterdir())]


def rows(found: dict[Start, list[list[dict[str, Any]]]]) -> Iterator[dict[str, Any]]:
    """One row for each mode and number of processes."""
    rounds = {
        start: [sum(one["steps_per_second"] for one in (run if start.apart else run[:1])) for run in runs]
        for start, runs in found.items()
    }
    speed = {start: statistics.median(each) for start, each in rounds.items()}
    first = min(start.processes for start in found)
    for start, runs in found.items():
        yield {
            **start._asdict(),
            "steps_per_second": speed[start],
            "all_rounds": rounds[start],
            "times_one": speed[start] / speed[Start(start.mode, first, apart=False)],
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
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        with joined() as ranks:
            found = work(ranks, args.worker, args.items, args.steps, args.apart)
            Path(os.environ["RANK_RESULTS"], f"{ranks.rank}.json").write_text(json.dumps(found))
        return
    runs: dict[Start, list[list[dict[str, Any]]]] = defaultdict(list)
    sizes = [int(size) for size in args.processes.split(",")]
    every = itertools.starmap(Start, itertools.product(args.modes.split(","), sizes, (False, True)))
    starts = [start for start in every if start.processes > 1 or not start.apart]
    for start in starts * args.rounds:
        runs[start].append(measure(start, args))
    report = {"items": args.items, "rows": list(rows(runs)), "environment": environment()}
    for row in report["rows"]:
        print(row)
    if args.publish:
        save_json(RESULTS, report)


if __name__ == "__main__":
    main()
