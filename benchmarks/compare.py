"""All models on a data set, with tests of significance: the published comparison.

    python benchmarks/compare.py DATASET... [--seeds 0,1,2,3,4] [--jobs 2] [--data FOLDER]

Trains every configs/<model>/DATASET.yaml and configs/<model>/DATASET-<variant>.yaml into
.cache/compare/DATASET, where finished runs are kept, and writes compare-DATASET.md and .json into
benchmarks/results. The others are tested against AnchorRec. A second table says how much of each
modality's native neighbourhoods the final item space keeps. With --data, data sets that have a folder
are read from FOLDER/DATASET.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

import torch

from anchorrec_graph.compare import Comparison, as_json, compare, markdown, read_entries, write_tables
from anchorrec_graph.config import load_config
from anchorrec_graph.diagnose.structure import knn_overlap, neighbour_coherence
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.train.fit import load_run

CONFIGS, RESULTS, RUNS = Path("configs"), Path("benchmarks/results"), Path(".cache/compare")


def publish(dataset: str, seeds: list[int], workers: int, data: Path | None) -> None:
    paths = sorted([*CONFIGS.glob(f"*/{dataset}.yaml"), *CONFIGS.glob(f"*/{dataset}-*.yaml")])
    if not paths:
        raise ConfigError(f"{CONFIGS}/*/{dataset}.yaml: no such file; run this in the checkout")
    has_folder = "folder" in type(load_config(paths[0]).dataset).model_fields
    folder = [f"dataset.folder={json.dumps(str(data / dataset))}"] if data and has_folder else []
    entries = read_entries([str(path) for path in paths], folder)
    ours = next((e.label for e in entries if e.path == CONFIGS / "anchorrec" / f"{dataset}.yaml"), None)
    out = RUNS / dataset
    comparison = compare(entries, seeds, out, workers=workers, reference=ours, report=_report)
    write_tables(comparison, out)
    kept = structure(comparison)
    text = f"{markdown(comparison)}\n{structure_table(kept)}"
    with replacing(RESULTS / f"compare-{dataset}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    save_json(RESULTS / f"compare-{dataset}.json", {**as_json(comparison), "structure": kept})
    print(text)
    comparison.raise_failures()


def structure(comparison: Comparison) -> dict[str, dict[str, list[float]]]:
    """By label: kNN overlap (chance-corrected) and neighbour coherence with each modality, for each seed."""
    kept: dict[str, dict[str, list[float]]] = {}
    for row in comparison.rows:
        values = kept.setdefault(row.label, {})
        for result in row.results:
            run = load_run(result.origin["run"])
            with torch.no_grad():
                item = run.model.encode().item
            for modality in run.data.modalities:
                native = run.data["item"][modality]
                overlap, coherence = knn_overlap(item, native).corrected, neighbour_coherence(item, native)
                values.setdefault(f"overlap {modality}", []).append(overlap)
                values.setdefault(f"coherence {modality}", []).append(coherence)
    return kept


def structure_table(kept: dict[str, dict[str, list[float]]]) -> str:
    names = list(next(iter(kept.values())))
    lines = ["| model | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for label, values in kept.items():
        cells = [f"{statistics.fmean(values[n]):.3f} ± {statistics.pstdev(values[n]):.3f}" for n in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", metavar="DATASET")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    args = parser.parse_args()
    for dataset in args.datasets:
        try:
            publish(dataset, [int(seed) for seed in args.seeds.split(",")], args.jobs, args.data)
        except AnchorRecError as error:
            sys.exit(f"error: {dataset}: {error}")


if __name__ == "__main__":
    main()
