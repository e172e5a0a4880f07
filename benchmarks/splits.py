"""Is a difference between models one of the split? The same settings on several random splits.

    python benchmarks/splits.py DATASET [--models anchorrec,ease_features,lattice] [--splits 1,2,3,4,5]
        [--jobs 2] [--data FOLDER] [--publish]

Trains configs/<model>/DATASET.yaml on the random splits of the named seeds, with that seed; settings stay
those that were chosen on split 0, whose validation pairs are training or test pairs of the others. Data with
a split of their own (column x_label) are refused: give --data a copy without it. The first model is the
reference. Tests are over users, each user's test values averaged over the splits, Holm-corrected. Finished
runs are kept in .cache/splits and never repeated. The table goes to .cache/splits/DATASET.md and .json, with
--publish to benchmarks/results/splits-DATASET.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import polars as pl
from cold_tables import Cell, as_json, cells, markdown
from compare import CONFIGS, RESULTS, at_least_one, data_folder, report, seed_list

from anchorrec_graph.compare import compare, read_entries
from anchorrec_graph.compare.task import shared_task
from anchorrec_graph.errors import AnchorRecError, ConfigError
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.train.environment import environment

OUT = Path(".cache/splits")


def table(dataset: str, models: list[str], args: argparse.Namespace) -> dict[str, dict[str, Cell]]:
    """Test values of every model on every split, and what the tests say."""
    paths = [str(CONFIGS / model / f"{dataset}.yaml") for model in models]
    entries = {split: read_entries(paths, overrides(dataset, split, args.data)) for split in args.splits}
    check_different({split: shared_task(rows).hash for split, rows in entries.items()})
    found: dict[str, list[pl.DataFrame]] = defaultdict(list)
    for split, rows in entries.items():
        comparison = compare(rows, [split], OUT / dataset, workers=args.jobs, report=report)
        comparison.raise_failures()
        for row in comparison.rows:
            found[row.label] += [result.per_user for result in row.results]
    return cells(found, models[0])


def overrides(dataset: str, split: int, data: Path | None) -> list[str]:
    return [*data_folder(dataset, data), f"dataset.split={{name: random, seed: {split}}}"]


def check_different(hashes: dict[int, str]) -> None:
    """Refuse splits of which two are the same pairs.

    Raises:
        ConfigError: naming them.
    """
    seen = dict[str, int]()
    for split, pairs in hashes.items():
        if seen.setdefault(pairs, split) != split:
            raise ConfigError(
                f"splits {seen[pairs]} and {split} are the same pairs: the data have their own (x_label), "
                "which dataset.split does not change; give --data a copy without that column"
            )


def publish(dataset: str, args: argparse.Namespace) -> None:
    rows, origin = table(dataset, args.models, args), environment()
    told = (
        f"# {dataset}: random splits {', '.join(map(str, args.splits))}\n\nTest, mean ± sd over splits; "
        f"differences to {args.models[0]}, Holm-corrected tests over users, each user's values averaged over "
        "the splits:"
    )
    made = f"{' '.join(origin['command'])}; commit {origin['commit']}; {origin['machine']['processor']}"
    text = f"{markdown(told, rows)}\nCommand: {made}.\n"
    target = RESULTS / f"splits-{dataset}" if args.publish else OUT / dataset
    with replacing(Path(f"{target}.md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    save_json(Path(f"{target}.json"), {"splits": args.splits, "test": as_json(rows), "environment": origin})
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument(
        "--models", type=lambda text: text.split(","), default="anchorrec,ease_features,lattice"
    )
    parser.add_argument("--splits", type=seed_list, default=[1, 2, 3, 4, 5])
    parser.add_argument("--jobs", type=at_least_one, default=2)
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    try:
        publish(args.dataset, args)
    except AnchorRecError as error:
        sys.exit(f"error: {args.dataset}: {error}")


if __name__ == "__main__":
    main()
