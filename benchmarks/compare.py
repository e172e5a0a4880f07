"""All models on a data set, with tests of significance: the published comparison.

    python benchmarks/compare.py DATASET... [--variants] [--only VARIANT] [--models M,M,...]
        [--seeds 0,1,2,3,4] [--jobs 2] [--data FOLDER] [--publish] [--name NAME]

Trains every configs/<model>/DATASET.yaml, DATASET-released.yaml (AnchorRec as released) and
DATASET-history.yaml (LightGCN with AnchorRec's history view and prior), with --variants every
DATASET-<variant>.yaml, with --only DATASET-VARIANT.yaml alone and AnchorRec's DATASET.yaml, with --models
these models' DATASET.yaml (or DATASET-VARIANT.yaml) alone, into .cache/compare/DATASET, where finished runs
are kept and the tables are written. The others are tested against AnchorRec. A second table says how much
of each modality's native neighbourhoods the item space keeps. With --data, data sets that have a folder are
read from FOLDER/DATASET. --publish also writes benchmarks/results/compare-DATASET.md and .json (with --only
compare-DATASET-VARIANT, with --name compare-DATASET-NAME), but for a table of which a row failed. A table
there is not replaced by one that lacks some of its rows or has fewer seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from anchorrec_graph.compare import Comparison, as_json, compare, markdown, read_entries, write_tables
from anchorrec_graph.compare.labels import Entry
from anchorrec_graph.config import load_config
from anchorrec_graph.diagnose.spaces import final_space
from anchorrec_graph.diagnose.structure import knn_overlap, neighbour_coherence
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.train.fit import load_run

CONFIGS, RESULTS, RUNS = Path("configs"), Path("benchmarks/results"), Path(".cache/compare")


def entries(
    dataset: str,
    data: Path | None,
    variants: bool = False,
    models: list[str] | None = None,
    only: str | None = None,
) -> list[Entry]:
    """The settings of every row of the comparison."""
    ours = reference_path(dataset)
    if only:
        patterns = [f"{model}/{dataset}-{only}.yaml" for model in models or ["*"]]
    elif models:
        patterns = [f"{model}/{dataset}.yaml" for model in models]
    else:
        patterns = [f"*/{dataset}.yaml", f"*/{dataset}-released.yaml", f"*/{dataset}-history.yaml"]
        patterns += [f"*/{dataset}-*.yaml"] if variants else []
    found = {pattern: list(CONFIGS.glob(pattern)) for pattern in patterns}
    missing = [str(CONFIGS / pattern) for pattern in found if (only or models) and not found[pattern]]
    if missing:
        raise ConfigError(f"no such file: {', '.join(missing)}")
    paths = sorted({path for group in found.values() for path in group} | ({ours} if only else set()))
    if ours not in paths:
        raise ConfigError(f"{ours}: no such file, or not among --models; run this in the checkout")
    return read_entries([str(path) for path in paths], data_folder(dataset, data))


def reference_path(dataset: str) -> Path:
    return CONFIGS / "anchorrec" / f"{dataset}.yaml"


def data_folder(dataset: str, data: Path | None) -> list[str]:
    """The override that reads a data set which has a folder from `data`/DATASET."""
    has_folder = "folder" in type(load_config(reference_path(dataset)).dataset).model_fields
    return [f"dataset.folder={json.dumps(str(data / dataset))}"] if data and has_folder else []


def publish(dataset: str, args: argparse.Namespace) -> None:
    rows, out = entries(dataset, args.data, args.variants, args.models, args.only), RUNS / dataset
    target = published(dataset, args, rows) if args.publish else None
    reference = next(entry.label for entry in rows if entry.path == reference_path(dataset))
    comparison = compare(rows, args.seeds, out, workers=args.jobs, reference=reference, report=report)
    write_tables(comparison, out)
    kept = structure(comparison)
    text = f"{markdown(comparison)}\n{structure_table(kept)}"
    print(text)
    comparison.raise_failures()
    if target:
        with replacing(target.with_suffix(".md")) as temporary:
            temporary.write_text(text, encoding="utf-8")
        save_json(target, {**as_json(comparison), "structure": kept})


def published(dataset: str, args: argparse.Namespace, rows: list[Entry]) -> Path:
    """The JSON file of the table in `RESULTS`.

    Raises:
        ConfigError: one is there that holds more.
    """
    part = args.name or args.only
    target = RESULTS / (f"compare-{dataset}-{part}.json" if part else f"compare-{dataset}.json")
    there = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {"rows": [], "seeds": []}
    labels = {row["label"] for row in there["rows"]} - {row.label for row in rows}
    less = lacking("rows", labels, there["seeds"], args.seeds)
    if less:
        raise ConfigError(f"{target} has {less}, which this table lacks; give this one a --name")
    return target


def lacking(kind: str, names: set[str], published: list[int], seeds: list[int]) -> str | None:
    """What a published table has and a new one has not: these names, or more seeds; None if nothing."""
    if names:
        return f"{kind} {', '.join(sorted(names))}"
    return f"{len(published)} seeds" if len(published) > len(seeds) else None


def structure(comparison: Comparison) -> dict[str, dict[str, list[float]]]:
    """By label: how the item space keeps each modality's neighbourhoods, for each seed.

    Chance-corrected kNN(10) overlap and coherence of the learned views, and the overlap of all columns,
    those of history and popularity included.
    """
    kept: dict[str, dict[str, list[float]]] = {}
    for row in comparison.rows:
        values = kept.setdefault(row.label, {})
        for result in row.results:
            run = load_run(result.origin["run"])
            with torch.no_grad():
                _, item, views = run.model.encode()
            own = final_space(views)
            own = item if own is None else own
            for modality in run.data.modalities:
                native = run.data["item"][modality]
                for name, value in (
                    (f"{modality} overlap", knn_overlap(own, native).corrected),
                    (f"{modality} coherence", neighbour_coherence(own, native)),
                    (f"{modality} overlap, all columns", knn_overlap(item, native).corrected),
                ):
                    values.setdefault(name, []).append(value)
    return kept


def structure_table(kept: dict[str, dict[str, list[float]]]) -> str:
    names = list(next(iter(kept.values())))
    if not names:
        return ""
    lines = [
        "Structure of the item space (see `structure` in benchmarks/compare.py), mean ± sd over seeds:",
        "",
    ]
    lines += ["| model | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for label, values in kept.items():
        lines.append(f"| {label} | " + " | ".join(_mean_sd(values[name]) for name in names) + " |")
    return "\n".join(lines) + "\n"


def _mean_sd(values: list[float]) -> str:
    mean = f"{statistics.fmean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else mean


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", metavar="DATASET")
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--only", metavar="VARIANT")
    parser.add_argument("--models", type=lambda text: text.split(","), metavar="M,M,...")
    parser.add_argument("--seeds", type=seed_list, default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=at_least_one, default=2)
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--name", metavar="NAME")
    args = parser.parse_args()
    if args.variants and (args.only or args.models):
        parser.error("--variants: --only or --models name the rows already")
    if args.name and not args.publish:
        parser.error("--name: of a table to --publish")
    for_each_dataset(publish, args)


def for_each_dataset(publish: Callable[[str, argparse.Namespace], None], args: argparse.Namespace) -> None:
    """Publish one data set after the other; an error ends the script with a line that names its data set."""
    for dataset in args.datasets:
        try:
            publish(dataset, args)
        except AnchorRecError as error:
            sys.exit(f"error: {dataset}: {error}")


def at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def seed_list(text: str) -> list[int]:
    seeds = [int(seed) for seed in text.split(",")]
    if len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError("a seed occurs twice")
    return seeds


if __name__ == "__main__":
    main()
