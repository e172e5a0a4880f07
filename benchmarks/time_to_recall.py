"""Validation Recall@20 by seconds since the files were opened, on data of the size of Amazon Baby.

    python benchmarks/time_to_recall.py --against "COMMAND" [--only default ...] [--data FOLDER] [--out FILE]

COMMAND is called with the data folder (MMRec's format) as its last argument. It prints a JSON object for
every epoch, with "epoch", "seconds" since it began to read the files, and "recall@20" of validation. Ours do
the same, one process per implementation and one after the other, with an empty graph cache, until
`--patience` epochs bring nothing better. The table says when each first reached the best Recall of COMMAND.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from speed import CONFIGS, baby_config, write_data

from anchorrec_graph.evaluate.evaluator import Evaluator
from anchorrec_graph.files import save_json
from anchorrec_graph.models.base import build_model
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.trainer import Trainer

CURVES = {**CONFIGS, "sampled softmax": Path("configs/anchorrec/mmrec.yaml")}


def curve(name: str, folder: Path, patience: int) -> None:
    """Print a line for every epoch of one of our configurations, trained with seed 0."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports torch._dynamo, once per process
    config = baby_config(CURVES[name], folder)
    train = config.train.model_copy(update={"patience": patience})
    started = time.perf_counter()
    data = config.dataset.load()
    torch.manual_seed(0)
    model = build_model(config.model, data)
    trainer = Trainer(model, data, train, Evaluator(config.evaluate, data), seed=0)
    for record in trainer.epochs():
        point = {
            "epoch": record["epoch"],
            "seconds": time.perf_counter() - started,
            "recall@20": record["validation"]["Recall@20"],
        }
        print(json.dumps(point), flush=True)


def run(implementation: str, command: list[str], folder: Path) -> dict[str, Any]:
    """The points of one implementation, in a process of its own."""
    points: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        environ = {**os.environ, "ANCHORREC_CACHE": cache}
        with subprocess.Popen(
            [*command, str(folder)], env=environ, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                points.append(json.loads(line))
                print(f"{implementation}: {points[-1]}", file=sys.stderr, flush=True)
    if process.returncode != 0 or not points:
        sys.exit(f"error: {shlex.join(command)} exited with {process.returncode} after {len(points)} epochs")
    return {"implementation": implementation, "points": points}


def best(result: dict[str, Any]) -> dict[str, Any]:
    """The first point with the highest Recall."""
    point: dict[str, Any] = max(result["points"], key=lambda point: point["recall@20"])
    return point


def reached(result: dict[str, Any], recall: float) -> dict[str, Any] | None:
    """The first point with at least this Recall."""
    return next((point for point in result["points"] if point["recall@20"] >= recall), None)


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: each one's best point, and when it reached the best Recall of the last."""
    target = best(results[-1])
    lines = [
        "| implementation | best Recall@20 | epoch | s | "
        f"s to {target['recall@20']:.4f} | epochs | divided by the last |",
        "|---|" + "---:|" * 6,
    ]
    for result in results:
        top, first = best(result), reached(result, target["recall@20"])
        cells = ["not reached", "", ""]
        if first is not None:
            ratio = first["seconds"] / target["seconds"]
            cells = [f"{first['seconds']:.0f}", str(first["epoch"]), f"{ratio:.3f}"]
        row = [
            result["implementation"],
            f"{top['recall@20']:.4f}",
            str(top["epoch"]),
            f"{top['seconds']:.0f}",
        ]
        lines.append("| " + " | ".join([*row, *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", metavar="COMMAND", help="another implementation")
    parser.add_argument(
        "--only", nargs="*", default=list(CURVES), choices=list(CURVES), help="our configurations"
    )
    parser.add_argument("--patience", type=int, default=10, help="epochs without a better Recall; ours only")
    parser.add_argument("--data", type=Path, help="an MMRec folder to use instead of generated data")
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    parser.add_argument("--curve", choices=list(CURVES), help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.curve:
        curve(args.curve, args.folder, args.patience)
        return
    if not args.only and not args.against:
        parser.error("--only without a name leaves nothing to run; name a configuration, or add --against")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.data or Path(temporary)
        if args.data is None:
            write_data(folder)
        ours = [sys.executable, __file__, "--patience", str(args.patience), "--curve"]
        results = [run(f"anchorrec_graph {name}", [*ours, name], folder) for name in args.only]
        if args.against:
            results.append(run("AnchorRec release", shlex.split(args.against), folder))
    print(table(results))
    if args.out:
        save_json(args.out, {"results": results, "environment": environment()})


if __name__ == "__main__":
    main()
