"""Time AnchorRec on data of the size of Amazon Baby, one process per implementation, side by side.

    python benchmarks/speed.py [--against "COMMAND"] [--out benchmarks/results/speed.json]

COMMAND is called with the data folder (MMRec's format) as its last argument. The last line that it
prints must be a JSON object with build_s, negatives_s, epoch_s, evaluate_s and peak_mb.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from machine import Limits, count_work, measure_limits, seconds

from anchorrec_graph.compare.costs import peak_memory
from anchorrec_graph.config import Config, load_config
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.models.base import build_model
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.trainer import Trainer, deterministic

CONFIGS = {
    "default": Path("configs/anchorrec/movielens.yaml"),
    "released": Path("configs/anchorrec/movielens-released.yaml"),
}
STEPS = ("build_s", "negatives_s", "epoch_s", "evaluate_s", "peak_mb")
USERS, ITEMS, INTERACTIONS = 19_445, 7_050, 160_792  # Amazon Baby, 5-core


def write_data(folder: Path, seed: int = 0) -> None:
    """A planted shop of Baby's size as an MMRec folder: image 4096, text 384, fused 768."""
    shop = PlantedConfig(
        num_users=USERS, num_items=ITEMS, interactions_per_user=INTERACTIONS / USERS, num_clusters=64,
        image_dim=4096, text_dim=384, seed=seed,
    )  # fmt: skip
    raw = shop.read()
    label = shop.split.assign(raw.interactions)
    user, item, time = raw.interactions.user, raw.interactions.item, raw.interactions.time
    columns = {
        "userID": user,
        "itemID": item,
        "rating": np.ones_like(label),
        "timestamp": time,
        "x_label": label,
    }
    pl.DataFrame(columns).write_csv(folder / "baby_like.inter", separator="\t")
    features = {name: rows.astype(np.float32) for name, rows in raw.features.items()}
    rng = np.random.default_rng(seed)
    joined = np.concatenate([features["image"], features["text"]], axis=1)
    mix = rng.standard_normal((joined.shape[1], 768), dtype=np.float32) / np.float32(768**0.5)
    features["fused"] = joined @ mix
    for name, rows in features.items():
        np.save(folder / f"{name}_feat.npy", rows)


def baby_config(path: Path, folder: Path) -> Config:
    """The settings of a configuration file, on the data in `folder`."""
    config = load_config(path)
    return Config.model_validate({**config.model_dump(), "dataset": {"name": "mmrec", "folder": str(folder)}})


def measure(name: str, folder: Path, epochs: int) -> dict[str, Any]:
    """Time every step of one of our configurations in this process."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports torch._dynamo, once per process
    config = baby_config(CONFIGS[name], folder)
    parts: list[Any] = []

    def build() -> None:
        data = config.dataset.load()
        torch.manual_seed(0)
        model = build_model(config.model, data)
        evaluator = Evaluator(config.evaluate, data)
        parts.extend([model, evaluator, Trainer(model, data, config.train, evaluator, seed=0)])

    built = seconds(build)
    model, evaluator, trainer = parts
    batches = list(trainer.batches())

    def evaluate() -> None:
        with torch.no_grad():
            evaluator.evaluate(model.final(), "validation")

    def epoch() -> None:
        with deterministic():
            for batch in trainer.batches():
                trainer.step([batch])

    result = {
        "implementation": f"anchorrec_graph {name}",
        "build_s": built,
        "negatives_s": seconds(lambda: list(trainer.batches())),
        "epoch_s": min(seconds(epoch) for _ in range(epochs)),
        "evaluate_s": min(seconds(evaluate) for _ in range(3)),
        "peak_mb": (peak_memory() or 0) / 2**20,
        "threads": torch.get_num_threads(),
    }
    step, ranking = count_work(lambda: trainer.step(batches[:1])), count_work(evaluate)
    result["work"] = {
        "epoch_s": [step.flops * len(batches), step.bytes * len(batches)],
        "evaluate_s": [ranking.flops, ranking.bytes],
    }
    return result


def run(command: list[str], folder: Path) -> dict[str, Any]:
    """One implementation in a process of its own, with an empty graph cache."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [*command, str(folder)],
            env={**os.environ, "ANCHORREC_CACHE": cache},
            stdout=subprocess.PIPE,
            text=True,
        )
    if done.returncode != 0:
        sys.exit(f"error: {shlex.join(command)} exited with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{result['implementation']}: " + ", ".join(f"{s} {result[s]:.3g}" for s in STEPS), flush=True)
    return result


def table(results: list[dict[str, Any]], limits: Limits) -> str:
    """Markdown: times, the ratio to the last implementation, and the distance to the machine's limits."""
    base = results[-1]
    lines = ["| implementation | " + " | ".join(STEPS) + " |", "|---|" + "---:|" * len(STEPS)]
    for result in results:
        cells = (f"{result[s]:.3g} ({result[s] / base[s]:.2f})" for s in STEPS)
        lines.append(f"| {result['implementation']} | " + " | ".join(cells) + " |")
    lines += [
        "", f"In brackets: divided by {base['implementation']}.", "",
        f"Limits measured in this run: matrix multiply {limits.flops / 1e9:.0f} GFLOP/s float32, "
        f"memory {limits.bandwidth / 1e9:.0f} GB/s. For each step, the seconds that its matrix products and "
        "its operands would take at these limits:", "",
        "| implementation | step | measured s | matrix multiply s | memory s | measured / larger limit |",
        "|---|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for result in results:
        for step, (flops, traffic) in result.get("work", {}).items():
            products, memory = flops / limits.flops, traffic / limits.bandwidth
            lines.append(
                f"| {result['implementation']} | {step} | {result[step]:.3g} | {products:.3g} | {memory:.3g} "
                f"| {result[step] / max(products, memory):.2f} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--against", action="append", default=[], metavar="COMMAND", help="another implementation"
    )
    parser.add_argument(
        "--only", nargs="*", default=list(CONFIGS), choices=list(CONFIGS), help="our configurations"
    )
    parser.add_argument("--data", type=Path, help="an MMRec folder to use instead of generated data")
    parser.add_argument("--epochs", type=int, default=2, help="epochs timed; the fastest counts")
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    parser.add_argument("--measure", choices=list(CONFIGS), help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.folder, args.epochs)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.data or Path(temporary)
        if args.data is None:
            write_data(folder)
        limits = measure_limits()
        ours = [sys.executable, __file__, "--epochs", str(args.epochs), "--measure"]
        results = [run([*ours, name], folder) for name in args.only]
        results += [run(shlex.split(command), folder) for command in args.against]
    print(table(results, limits))
    if args.out:
        args.out.write_text(
            json.dumps(
                {"results": results, "limits": limits._asdict(), "environment": environment()}, indent=2
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
