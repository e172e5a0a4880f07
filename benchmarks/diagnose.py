"""What models do with their modalities, measured: every model x every measure, and how diagnosis scales.

    python benchmarks/diagnose.py DATASET... [--seeds 0,1,2,3,4] [--jobs 2] [--data FOLDER] [--publish]
    python benchmarks/diagnose.py --scale [--items 100000]

The first trains AnchorRec (default, as released, and with align.head none: direct alignment), AlignRec,
FREEDOM and LightGCN into .cache/compare/DATASET; finished runs of benchmarks/compare.py DATASET are used
again. Every seed is diagnosed before training and after it, on validation. The table goes to
.cache/diagnose/DATASET.md, with --publish to benchmarks/results/diagnose-DATASET.md; every seed and
popularity quartile is in .cache/diagnose/DATASET.json.

The second diagnoses a generated shop of 100,000 items with three modalities (384 + 256 + 256 columns),
whose views have 64 columns, in this process, and prints seconds and the peak of its memory.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch
from compare import (
    CONFIGS,
    RESULTS,
    RUNS,
    at_least_one,
    data_folder,
    entries,
    for_each_dataset,
    reference_path,
    report,
    seed_list,
)
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.compare import compare as run_comparison
from anchorrec_graph.compare import read_entries
from anchorrec_graph.compare.costs import peak_memory
from anchorrec_graph.compare.labels import Entry
from anchorrec_graph.compare.layout import origin
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.diagnose.diagnosis import Diagnoser
from anchorrec_graph.diagnose.formats import as_json, markdown
from anchorrec_graph.diagnose.items import ALL
from anchorrec_graph.diagnose.runs import Diagnosis, diagnose_runs
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.graph.bipartite import train_graph, user_from_item_relation
from anchorrec_graph.models.base import POPULARITY, Recommender
from anchorrec_graph.models.scoring import beside, sum_views
from anchorrec_graph.train.environment import environment
from anchorrec_graph.typing import Batch, Embeddings, View

OUT = Path(".cache/diagnose")
DIM, WIDTHS = 64, {"image": 384, "text": 256, "audio": 256}


def publish(dataset: str, args: argparse.Namespace) -> None:
    rows = chosen(dataset, args)
    comparison = run_comparison(rows, args.seeds, RUNS / dataset, workers=args.jobs, report=report)
    diagnoses = [of_label(row.label, [r.origin["run"] for r in row.results]) for row in comparison.rows]
    whole = [one._replace(table=one.table.filter(pl.col("group") == ALL)) for one in diagnoses]
    text = f"{markdown(whole)}\n" + "\n".join(f"- {line}" for line in origin(comparison)) + "\n"
    with replacing(
        RESULTS / f"diagnose-{dataset}.md" if args.publish else OUT / f"{dataset}.md"
    ) as temporary:
        temporary.write_text(text, encoding="utf-8")
    save_json(OUT / f"{dataset}.json", {**as_json(diagnoses), "environment": comparison.environment})
    print(text)
    comparison.raise_failures()


def chosen(dataset: str, args: argparse.Namespace) -> list[Entry]:
    """The rows: some of benchmarks/compare.py, under the same labels, and one more."""
    ours = reference_path(dataset)
    wanted = [ours, ours.with_name(f"{dataset}-released.yaml")]
    wanted += [CONFIGS / model / f"{dataset}.yaml" for model in ("alignrec", "freedom", "lightgcn")]
    by_path = {entry.path: entry for entry in entries(dataset, args.data)}
    (direct,) = read_entries(
        [f"anchorrec/{dataset} direct={ours}"], [*data_folder(dataset, args.data), "model.align.head=none"]
    )
    return [*(by_path[path] for path in wanted if path in by_path), direct]


def of_label(label: str, folders: Sequence[str]) -> Diagnosis:
    """The runs of a label, one for each seed, as one diagnosis."""
    parts = diagnose_runs(folders)
    table, seeds = pl.concat([part.table for part in parts]), [seed for part in parts for seed in part.seeds]
    return Diagnosis(label, parts[0].folder.parent, seeds, table, parts[0].notes)


class Generated(Recommender):
    """An id view, a projection of every modality, and popularity: what AnchorRec hands over, untrained."""

    def __init__(self, data: HeteroData) -> None:
        super().__init__()
        edge_index, num_users, num_items = train_graph(data)
        draw = torch.Generator().manual_seed(0)
        self.user_from_item = user_from_item_relation(edge_index, num_users, num_items)
        self.views = {
            m: _unit(data["item"][m] @ torch.randn(w, DIM, generator=draw)) for m, w in WIDTHS.items()
        }
        self.views["id"] = _unit(torch.randn(num_items, DIM, generator=draw))
        self.prior = torch.bincount(edge_index[1], minlength=num_items).log1p().unsqueeze(1)

    def encode(self) -> Embeddings:
        views = {name: View(self.user_from_item(item), item) for name, item in self.views.items()}
        users = len(views["id"].user if views["id"].user is not None else ())
        return beside(sum_views(views), POPULARITY, View(torch.ones(users, 1), self.prior))

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        return {}


def scale(num_items: int) -> None:
    """Diagnose a generated model on `num_items` items; one line of JSON."""
    shop = PlantedConfig(
        num_users=num_items // 5, num_items=num_items, image_dim=WIDTHS["image"], text_dim=WIDTHS["text"]
    )
    data = shop.load()
    noise = torch.randn(num_items, WIDTHS["audio"], generator=torch.Generator().manual_seed(1))
    data["item"]["audio"] = data["item"]["text"].flip(1) + noise / WIDTHS["audio"] ** 0.5
    data.modalities = tuple(WIDTHS)
    model, started, cpu = Generated(data), time.perf_counter(), time.process_time()
    diagnoser = Diagnoser(data)
    table = diagnoser.diagnose(model)
    result = {
        "items": num_items,
        "rows": len(table),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_memory_bytes": peak_memory(),
        "notes": diagnoser.notes,
        "environment": environment(),
    }
    print(json.dumps(result))


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="*", metavar="DATASET")
    parser.add_argument("--seeds", type=seed_list, default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=at_least_one, default=2)
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--items", type=int, default=100_000)
    args = parser.parse_args()
    if args.scale == bool(args.datasets):
        parser.error("name data sets, or --scale")
    if args.scale:
        scale(args.items)
    for_each_dataset(publish, args)


if __name__ == "__main__":
    main()
