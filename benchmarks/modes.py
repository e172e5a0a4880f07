"""Which training mode reaches a validation Recall first: seconds of training against Recall@20.

    python benchmarks/modes.py [--items 20000] [--modes full,full-8,sampled-10-5,sampled-5-2] [--minutes 10]
        [--seeds 0] [-o train.learning_rate=0.001] [--publish]

Trains AnchorRec `default` (sampled softmax, no history view: both read no more than a batch reaches) on a
planted shop of as many users as items and ten pairs per user, features of 384 and 256 columns. `full-8` is
`train.batches_per_step=8`; `sampled-10-5` is `train.num_neighbors=[10, 5]`. Each mode trains for
`--minutes` of its own training time, evaluated on 30,000 users four times in an epoch; the data hold no
test pairs. Times are of drawing and steps alone. The curves go to .cache/modes.json, with --publish to
benchmarks/results/modes.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import scale
import torch

from anchorrec_graph.config import Config
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import save_json, waiting_for
from anchorrec_graph.models.base import build_model
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.trainer import Trainer, deterministic
from anchorrec_graph.tune.trial import without_test

CACHE, RESULTS = Path(".cache/modes.json"), Path("benchmarks/results/modes.json")
CLOSE = 0.99  # of the best Recall of mode `full`
PARTS, USERS = 4, 30_000  # evaluations in an epoch, users in each


def config_of(mode: str, items: int, changed: Sequence[str] = ()) -> Config:
    """The settings of a mode on a shop of `items` items, with those `changed` for every mode."""
    kind, *numbers = mode.split("-")
    overrides = [f"train.mode={kind}", f"evaluate.max_users={USERS}"]
    if kind == "sampled":
        overrides.append(f"train.num_neighbors=[{', '.join(numbers)}]")
    elif numbers:
        overrides.append(f"train.batches_per_step={numbers[0]}")
    return scale.config_of(items, *overrides, *changed)


def curve(config: Config, label: str, seed: int, seconds: float) -> list[dict[str, float]]:
    """Quarter by quarter of an epoch: time of training so far, and validation Recall@20."""
    data = without_test(config.dataset.load())
    torch.manual_seed(seed)
    model = build_model(config.model, data)
    trainer = Trainer(model, data, config.train, Evaluator(config.evaluate, data), seed)
    batches = -(-trainer.edge_index.shape[1] // config.train.batch_size)
    quarters = itertools.cycle(parts(-(-batches // config.train.batches_per_step)))
    points, spent, processor = [], 0.0, 0.0
    steps = itertools.chain.from_iterable(trainer.steps() for _ in itertools.count())
    with deterministic():
        while spent < seconds:
            started, cpu = time.perf_counter(), time.process_time()
            for step, number in itertools.islice(steps, next(quarters)):
                trainer.step(step, number)
            spent, processor = spent + time.perf_counter() - started, processor + time.process_time() - cpu
            points.append({
                "epoch": (len(points) + 1) / PARTS, "seconds": spent, "processor_s": processor,
                "recall": recall(trainer),
            })  # fmt: skip
            print(f"{label}: {spent:6.0f} s, {processor:6.0f} s, {points[-1]['recall']:.4f}", flush=True)
    return points


def parts(steps: int) -> list[int]:
    """How many of an epoch's steps come before each evaluation: as equal as can be, and all of them."""
    ends = [steps * part // PARTS for part in range(PARTS + 1)]
    return [end - start for start, end in itertools.pairwise(ends)]


def recall(trainer: Trainer) -> float:
    """Validation Recall@20 of the model as it is."""
    trainer.model.eval()
    with torch.no_grad():
        metrics = trainer.evaluator.evaluate(trainer.model.final(), "validation").metrics
    trainer.model.train()
    return metrics["Recall@20"]


def summary(curves: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """For every mode the best Recall, and when it came within 1 % of the best of `full`, if it did."""
    best = {mode: max(point["recall"] for point in points) for mode, points in curves.items()}
    goal = CLOSE * best.get("full", max(best.values()))
    rows = []
    for mode, points in curves.items():
        reached = [point["seconds"] for point in points if point["recall"] >= goal]
        rows.append({
            "mode": mode, "epoch_s": points[-1]["seconds"] / points[-1]["epoch"], "best": best[mode],
            "goal": goal, "goal_s": reached[0] if reached else None,
        })  # fmt: skip
    return rows


def keep(label: str, mode: str, points: list[dict[str, float]]) -> list[dict[str, Any]]:
    """Add a curve to the cache, to which other processes add theirs; the summary of all with this label."""
    with waiting_for(CACHE.with_suffix(".lock")):
        kept: dict[str, Any] = json.loads(CACHE.read_text()) if CACHE.exists() else {}
        place = kept.setdefault(label, {"curves": {}})
        place["curves"][mode] = points
        place.setdefault("environments", {})[mode] = environment()
        rows = place["summary"] = summary(place["curves"])
        save_json(CACHE, kept)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--modes", default="full,full-8,sampled-10-5,sampled-5-2")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("-o", "--override", action="append", default=[], help="a setting of all modes")
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    for seed in map(int, args.seeds.split(",")):
        label = ", ".join([f"{args.items} items, seed {seed}", *args.override])
        for mode in args.modes.split(","):
            config = config_of(mode, args.items, args.override)
            points = curve(config, f"{mode}, {label}", seed, 60 * args.minutes)
            rows = keep(label, mode, points)
        for row in rows:
            print(row)
    if args.publish:
        with waiting_for(CACHE.with_suffix(".lock")):
            save_json(RESULTS, json.loads(CACHE.read_text()))


if __name__ == "__main__":
    main()
