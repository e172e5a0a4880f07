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

import polars as pl
import torch

from anchorrec_graph.config import load_config
from anchorrec_graph.diagnose.structure import knn_overlap
from anchorrec_graph.evaluate.significance import holm, paired_t_test, paired_values
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


def measure(path: str, overrides: list[str]) -> tuple[dict[str, list[float]], pl.DataFrame]:
    """One value per seed, and each user's test Recall averaged over the seeds.

    The values are test metrics, and the chance-corrected kNN overlap with each modality's native
    features of the final item space, and of the modality's own view where the model has one.
    """
    config = load_config(path, [*overrides, SEEDS])
    data = config.dataset.load()
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        result = fit(config, data, Path(folder) / "run", display=display_for(quiet=False))
        for seed, metrics in result.seeds.items():
            model = load_run(result.folder, seed).model
            with torch.no_grad():
                embeddings = model.encode()
            for name in METRICS:
                values.setdefault(name, []).append(metrics["test"][name])
            for modality in data.modalities:
                native = data["item"][modality]
                overlap = knn_overlap(embeddings.item, native).corrected
                values.setdefault(f"final, {modality}", []).append(overlap)
                if modality in embeddings.views:
                    own = knn_overlap(embeddings.views[modality].item, native).corrected
                    values.setdefault(f"own view, {modality}", []).append(own)
        files = [result.folder / f"seed-{seed}" / "per_user.parquet" for seed in result.seeds]
        per_user = pl.concat([pl.read_parquet(file) for file in files])
    return values, per_user.group_by("user").agg(pl.col(METRICS[0]).mean())


def compare(per_user: dict[str, pl.DataFrame]) -> dict[str, dict[str, float]]:
    """Paired t-tests of the first model's per-user Recall against each other's, Holm-corrected."""
    first, *others = per_user
    tests = [paired_t_test(*paired_values(per_user[first], per_user[name], METRICS[0])) for name in others]
    corrected = holm([test.p_value for test in tests])
    return {
        name: {"difference": test.difference, "p": p}
        for name, test, p in zip(others, tests, corrected, strict=True)
    }


def table(results: dict[str, dict[str, list[float]]]) -> str:
    names = list(next(iter(results.values())))
    lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for model, values in results.items():
        cells = (
            f"{statistics.fmean(values[n]):.4f} ± {statistics.stdev(values[n]):.4f}" if n in values else "-"
            for n in names
        )
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    args = parser.parse_args()
    measured = {name: measure(path, overrides) for name, (path, overrides) in MODELS.items()}
    results = {name: values for name, (values, _) in measured.items()}
    tests = compare({name: per_user for name, (_, per_user) in measured.items()})
    print(table(results))
    for name, test in tests.items():
        print(f"{test['difference']:+.4f} against {name}, Holm-corrected p = {test['p']:.2g}")
    if args.out:
        report: dict[str, Any] = {"results": results, "tests": tests, "environment": environment()}
        args.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
