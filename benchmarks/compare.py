"""All models on a data set, with tests of significance: the published comparison.

    python benchmarks/compare.py DATASET... [--seeds 0,1,2,3,4] [--jobs 2] [--data FOLDER]

Trains every configs/<model>/DATASET.yaml and configs/<model>/DATASET-<variant>.yaml into
.cache/compare/DATASET, where finished runs are kept, and writes compare-DATASET.md and .json into
benchmarks/results. The others are tested against AnchorRec. With --data, data sets that have a folder
are read from FOLDER/DATASET.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from anchorrec_graph.compare import as_json, compare, markdown, read_entries, write_tables
from anchorrec_graph.config import load_config
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.files import replacing, save_json

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
    with replacing(RESULTS / f"compare-{dataset}.md") as temporary:
        temporary.write_text(markdown(comparison), encoding="utf-8")
    save_json(RESULTS / f"compare-{dataset}.json", as_json(comparison))
    print(markdown(comparison))
    comparison.raise_failures()


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
