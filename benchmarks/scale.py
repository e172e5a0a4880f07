"""How time and memory grow with the shop, by stage, and the constants of `anchorrec doctor --plan`.

    python benchmarks/scale.py [--sizes 10000,30000,100000] [--steps 60] [--whole] [--publish]

A planted shop of n users, n items and ten pairs per user, features of 384 and 256 columns; AnchorRec
`default` with sampled softmax and no history view, `train.mode: sampled`, `model.features_on_disk`. Stages:
data (draw, split, check), graphs (all that the model makes of its features, made anew: item graphs, by
faiss beyond 50,000 items; fused, reduced and pooled rows), epoch (of training, reckoned from its first
`--steps` steps, since all are alike; 0: the whole epoch is run), evaluation (encode,
then rank all items for 10,000 users), and epochs again with fewer neighbours drawn; with --whole the last of
them, fan-out 3, 1, is run to its end. Every size runs in a
process of its own; peak memory is the process's, by stage (VmHWM, set back before each; it counts the pages
of memory maps too).
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import save_json
from anchorrec_graph.models.base import build_model
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.fit import recalls
from anchorrec_graph.train.trainer import Trainer, deterministic

RESULTS = Path("benchmarks/results/scale.json")
USERS_EVALUATED = 10_000
LEAST_RECALL = 0.8  # at 10^6 items some neighbours in the fused feature are any of the others, by chance
MEASURES = ("seconds", "processor_s", "peak_gib")
FEWER = {"epoch 5, 2": (5, 2), "epoch 3, 1": (3, 1)}  # neighbours by hop; "epoch" has the default, 10, 5
LAST = "epoch 3, 1"
STAGES = ("data", "graphs", "epoch", "evaluation", *FEWER)


def config_of(size: int, *overrides: str) -> Config:
    """The settings for a shop of `size` items, changed by `overrides`."""
    return load_config(
        "configs/anchorrec/planted.yaml",
        [
            f"dataset.num_users={size}", f"dataset.num_items={size}", "dataset.interactions_per_user=10",
            f"dataset.num_clusters={max(24, size // 500)}", "dataset.image_dim=384", "dataset.text_dim=256",
            "model.loss={name: softmax, temperature: 0.2}", "model.history.weight=0",
            "model.features_on_disk=true", "model.knn.approximate.method=ivf",
            f"model.knn.approximate.least_recall={LEAST_RECALL}", f"evaluate.max_users={USERS_EVALUATED}",
            "train.mode=sampled", *overrides,
        ],
    )  # fmt: skip


@contextmanager
def measured(stages: dict[str, dict[str, float]], name: str) -> Iterator[None]:
    """Seconds, processor seconds and peak memory of a block."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    started, processor = time.perf_counter(), time.process_time()
    yield
    peak = next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM")
    )
    stages[name] = {
        "seconds": time.perf_counter() - started,
        "processor_s": time.process_time() - processor,
        "peak_gib": int(peak) / 2**20,
    }


def run(size: int, steps: int, whole: bool) -> dict[str, Any]:
    """Every stage for a shop of `size` items."""
    config, stages = config_of(size), dict[str, dict[str, float]]()
    with tempfile.TemporaryDirectory() as cache:  # deleted at once: the memory maps stay open
        os.environ["ANCHORREC_CACHE"] = cache
        with measured(stages, "data"):
            data = config.dataset.load()
        torch.manual_seed(0)
        with measured(stages, "graphs"):
            model = build_model(config.model, data)
            trainer = Trainer(model, data, config.train, Evaluator(config.evaluate, data), 0)
    pairs, evaluator = trainer.edge_index.shape[1], trainer.evaluator
    total = -(-pairs // config.train.batch_size)
    done = {"epoch": reckon_epoch(trainer, steps, total, stages, "epoch")}
    model.eval()
    with measured(stages, "evaluation"), torch.no_grad():
        evaluator.evaluate(model.final(), "validation")
    del trainer  # its moments, before the next one has its own
    for name, num_neighbors in FEWER.items():
        train = config.train.model_copy(update={"num_neighbors": num_neighbors})
        wanted = 0 if whole and name == LAST else steps
        done[name] = reckon_epoch(Trainer(model, data, train, evaluator, 0), wanted, total, stages, name)
    return {
        "items": size, "pairs": pairs, "stages": stages, "steps_run": done,
        "steps_of_epoch": total, "threads": torch.get_num_threads(), **recalls(model),
    }  # fmt: skip


def reckon_epoch(
    trainer: Trainer, steps: int, total: int, stages: dict[str, dict[str, float]], name: str
) -> int:
    """Run and measure `steps` of an epoch, or all; reckon the seconds of its `total`. How many were run."""
    done = 0
    trainer.model.train()
    with measured(stages, name), deterministic():
        for batches, count in itertools.islice(trainer.steps(), steps or None):
            trainer.step(batches, count)
            done += 1
    for what in ("seconds", "processor_s"):
        stages[name][what] *= total / done
    return done


def growth(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The powers of the number of items by which time and memory grow, from each size to the next."""
    rows = []
    for small, large in itertools.pairwise(results):
        row = {"from": small["items"], "to": large["items"]}
        for stage, what in itertools.product(STAGES, MEASURES):
            ratio = large["stages"][stage][what] / small["stages"][stage][what]
            row[f"{stage} {what}"] = math.log(ratio) / math.log(row["to"] / row["from"])
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="10000,30000,100000")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    results = []
    for size in map(int, args.sizes.split(",")):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results.append(pool.apply(run, (size, args.steps, args.whole)))
        print(json.dumps(results[-1], indent=1), flush=True)
        report = {"results": results, "growth": growth(results), "environment": environment()}
        if args.publish:
            save_json(RESULTS, report)
    print(json.dumps(report["growth"], indent=1))


if __name__ == "__main__":
    main()
