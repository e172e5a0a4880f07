"""On a shop with known truth: accuracy and preserved structure of AnchorRec and its rivals, three seeds.

python benchmarks/planted.py [--out benchmarks/results/planted.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

from anchorrec_graph.config import load_config
from anchorrec_graph.diagnose.structure import knn_overlap
from anchorrec_graph.train.environment import environment
from anchorrec_graph.train.fit import fit, load_run
from anchorrec_graph.train.progress import display_for

SEEDS = "train.seeds=[0,1,2]"
DIRECT = ["model.align.head=none"]
MODELS: dict[str, tuple[str, list[str]]] = {
    "AnchorRec default": ("configs/anchorrec/planted.yaml", []),
    "AnchorRec, views aligned directly": ("configs/anchorrec/planted.yaml", DIRECT),
    "LightGCN": ("configs/lightgcn/planted.yaml", []),
    "popularity": ("configs/popularity/planted.yaml", []),
}
METRICS = ("Recall@20", "NDCG@20")


def measure(path: str, overrides: list[str]) -> dict[str, list[float]]:
    """Test metrics, and kNN overlap of the final item space with each modality, one value per seed."""
    config = load_config(path, [*overrides, SEEDS])
    data = config.dataset.load()
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        result = fit(config, data, Path(folder) / "run", display=display_for(quiet=False))
        for seed, metrics in result.seeds.items():
            model = load_run(result.folder, seed).model
            with torch.no_grad():
                items = model.encode().item
            for name in METRICS:
                values.setdefault(name, []).append(metrics["test"][name])
            for modality in data.modalities:
                overlap = knn_overlap(items, data["item"][modality]).corrected
                values.setdefault(f"overlap with {modality}", []).append(overlap)
    return values


def table(results: dict[str, dict[str, list[float]]]) -> str:
    names = list(next(iter(results.values())))
    lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for model, values in results.items():
        cells = (f"{statistics.fmean(values[n]):.4f} ± {statistics.stdev(values[n]):.4f}" for n in names)
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    args = parser.parse_args()
    results = {name: measure(path, overrides) for name, (path, overrides) in MODELS.items()}
    print(table(results))
    if args.out:
        report: dict[str, Any] = {"results": results, "environment": environment()}
        args.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
