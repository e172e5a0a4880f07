"""Items that nobody bought and users who did not train: AnchorRec against what else can serve them.

    python benchmarks/cold.py DATASET... [--seeds 0,1,2,3,4] [--only items|users] [--data FOLDER] [--publish]

Cold items, for each seed s: the split `cold_items` (seed s; 10 % of the items for validation, 20 % for test)
takes items out of the whole data set, so that users, graphs and features never see them. The random split
(seed s) of the other pairs gives validation pairs for early stopping; its test pairs train. On that,
configs/anchorrec/DATASET.yaml is trained with seed s, the test items are attached by their features, and
every user who took one is scored. Rivals know the same training pairs. What has a choice makes it on the
validation items of the same seed, by Recall@20 among these alone.

Cold users: the split `cold_users` (20 %) takes users out; each is made from 80 % of its items by folding in,
and the rest is ranked, against the same user trained with the others on those 80 %.

Finished trainings are kept in .cache/cold/DATASET and never repeated. The tables go to .cache/cold/DATASET.md
and .json, with --publish to benchmarks/results/cold-DATASET.md and .json, or cold-users-DATASET with --only
users.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import torch
from cold_cost import Cost, cost, cost_text
from cold_rivals import at_random, content_knn, ease_features, mean_cosine, popularity
from cold_tables import OURS, as_json, cells, items_text, users_text
from cold_training import trained
from compare import CONFIGS, RESULTS, data_folder, for_each_dataset, reference_path, report, seed_list
from torch import Tensor

from anchorrec_graph.config import Config, load_config
from anchorrec_graph.data.base import select_modalities
from anchorrec_graph.data.checks import check_raw_data
from anchorrec_graph.data.raw import RawData
from anchorrec_graph.data.split import ColdItemsConfig, ColdUsersConfig, RandomSplitConfig
from anchorrec_graph.evaluate.cold_items import (
    METRICS,
    ColdItems,
    NewItems,
    hold_out_items,
    rank_new_items,
    with_new_items,
    with_rows,
)
from anchorrec_graph.evaluate.cold_users import folded_rows, hold_out_users, rank_for_new_users
from anchorrec_graph.files import replacing, save_json
from anchorrec_graph.models.base import HISTORY, ID
from anchorrec_graph.models.ease_features import EASEFeaturesConfig
from anchorrec_graph.train.environment import environment
from anchorrec_graph.typing import Embeddings, Scorer

OUT = Path(".cache/cold")
VALIDATION, TEST = 0.1, 0.2
INSIDE, FOLDED, TRAINED = "anchorrec, items in its graphs", "folded in", "trained"
RANKINGS = ("new items", "all items")
NEIGHBOURS = (10, 20, 50, None)  # None: all
FEATURE_WEIGHTS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
REWEIGHTED: Mapping[str, Mapping[str, float]] = {
    "as attached": {},
    "without id": {ID: 0.0},
    "id x 2": {ID: 2.0},
    "without history": {HISTORY: 0.0},
    "history x 0.5": {HISTORY: 0.5},
    "history x 2": {HISTORY: 2.0},
    "history x 4": {HISTORY: 4.0},
}
Tables = dict[str, list[pl.DataFrame]]  # label -> per-user metrics of every seed


class Part(NamedTuple):
    """A finished half of the benchmark."""

    text: str
    values: dict[str, Any]


def publish(dataset: str, args: argparse.Namespace) -> None:
    config = load_config(reference_path(dataset), data_folder(dataset, args.data))
    raw = select_modalities(config.dataset.read(), config.dataset.modalities)
    check_raw_data(raw)
    halves = {"items": cold_items, "users": cold_users}
    parts = {
        name: half(dataset, config, raw, args.seeds)
        for name, half in halves.items()
        if args.only in (None, name)
    }
    origin = environment()
    made = f"{' '.join(origin['command'])}; commit {origin['commit']}; {origin['machine']['processor']}"
    text = "\n".join([*(part.text for part in parts.values()), f"Command: {made}."]) + "\n"
    published = RESULTS / (f"cold-users-{dataset}" if args.only == "users" else f"cold-{dataset}")
    target = published if args.publish else OUT / dataset
    with replacing(Path(f"{target}.md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    found = {name: part.values for name, part in parts.items()}
    save_json(Path(f"{target}.json"), {"seeds": args.seeds, **found, "environment": origin})
    print(text)


def cold_items(dataset: str, config: Config, raw: RawData, seeds: list[int]) -> Part:
    """Rank the test items of every seed, each model once."""
    measured: dict[str, Tables] = {ranking: defaultdict(list) for ranking in RANKINGS}
    views: dict[str, Tables] = {ranking: defaultdict(list) for ranking in RANKINGS}
    costs: dict[str, list[Cost]] = defaultdict(list)
    facts = []
    for seed in seeds:
        split = ColdItemsConfig(validation=VALIDATION, test=TEST, seed=seed)
        cold = hold_out_items(raw, split, RandomSplitConfig(seed=seed))
        ours = Ours(dataset, config, cold, seed)
        for label, weights in REWEIGHTED.items():
            _add(views, label, rank_new_items(ours.scorer(cold.validation, weights), cold, cold.validation))
        rivals, chosen = choices(dataset, cold, seed)
        inside = Inside(dataset, config, cold, seed)
        for label, scorer in {OURS: ours.scorer(cold.test), INSIDE: inside.scorer(), **rivals}.items():
            _add(measured, label, rank_new_items(scorer, cold, cold.test))
            costs[label].append(cost(scorer, cold, cold.test))
        facts.append(
            {
                "seed": seed,
                "warm items": int(cold.warm["item"].num_nodes),
                "validation items": len(cold.validation.table),
                "test items": len(cold.test.table),
                "test users": len(measured[RANKINGS[0]][OURS][-1]),
                "training": ours.facts,
                "training, items in its graphs": inside.facts,
                **chosen,
            }
        )
        report(f"{dataset}: cold items, seed {seed}: {facts[-1]}")
    tables = {ranking: cells(measured[ranking], OURS) for ranking in RANKINGS}
    scans = {ranking: cells(views[ranking], next(iter(REWEIGHTED))) for ranking in RANKINGS}
    return Part(
        items_text(dataset, tables, cost_text(costs), scans, facts),
        {
            "test": {ranking: as_json(rows) for ranking, rows in tables.items()},
            "cost": {label: [value._asdict() for value in values] for label, values in costs.items()},
            "views, on validation items": {ranking: as_json(rows) for ranking, rows in scans.items()},
            "by seed": facts,
        },
    )


class Ours:
    """AnchorRec, trained without the cold items, which are attached to it."""

    def __init__(self, dataset: str, config: Config, cold: ColdItems, seed: int) -> None:
        model, self.facts = trained(config, cold.warm, seed, OUT / dataset, "items")
        with torch.no_grad():
            self.embeddings, self.attachment = model.encode(), model.attachment(cold.warm)

    def scorer(self, new: NewItems, weights: Mapping[str, float] | None = None) -> Embeddings:
        rows = self.attachment.rows(new.features)
        if weights:
            rows = reweighted(rows, weights, [ID, *self.attachment.graphs], self.attachment.unit)
        return with_rows(self.embeddings, rows)


def reweighted(
    rows: Mapping[str, Tensor], weights: Mapping[str, float], learned: list[str], unit: bool
) -> dict[str, Tensor]:
    """Rows with some views scaled; the learned ones are then brought to length 1 together, if `unit`."""
    rows = {name: weights.get(name, 1.0) * x for name, x in rows.items()}
    if unit:
        length = torch.stack([rows[name] for name in learned]).sum(0).norm(dim=1, keepdim=True)
        rows |= {name: rows[name] / length.clamp(min=torch.finfo().tiny) for name in learned}
    return rows


class Inside:
    """AnchorRec, trained with the cold items in its item graphs, bought by nobody."""

    def __init__(self, dataset: str, config: Config, cold: ColdItems, seed: int) -> None:
        model, self.facts = trained(config, with_new_items(cold), seed, OUT / dataset, "items-inside")
        with torch.no_grad():
            self.embeddings = model.encode()
        warm, validation = int(cold.warm["item"].num_nodes), len(cold.validation.table)
        test = warm + validation + torch.arange(len(cold.test.table))
        self.columns = torch.cat([torch.arange(warm), test])

    def scorer(self) -> Embeddings:
        return Embeddings(self.embeddings.user, self.embeddings.item[self.columns], {})


def choices(dataset: str, cold: ColdItems, seed: int) -> tuple[dict[str, Scorer], dict[str, Any]]:
    """The rivals on the test items; what they chose on the validation items."""
    ease: Any = load_config(CONFIGS / "ease_features" / f"{dataset}.yaml").model
    validation, test, warm = cold.validation.features, cold.test.features, cold.warm

    def knn(k: int | None, new: Mapping[str, Tensor]) -> Embeddings:
        return mean_cosine(warm, new) if k is None else content_knn(warm, new, k)

    def regression(weight: float, new: Mapping[str, Tensor]) -> Embeddings:
        settings: EASEFeaturesConfig = ease.model_copy(update={"feature_weight": weight})
        return ease_features(settings, warm, new)

    def value(scorer: Scorer) -> float:
        table = rank_new_items(scorer, cold, cold.validation)[RANKINGS[0]]
        return statistics.fmean(table[METRICS[0]])

    k = max(NEIGHBOURS, key=lambda k: value(knn(k, validation)))
    weight = max(FEATURE_WEIGHTS, key=lambda weight: value(regression(weight, validation)))
    count = len(cold.test.table)
    return {
        "ease_features": regression(ease.feature_weight, test),
        "ease_features, chosen weight": regression(weight, test),
        "content_knn, k 10": knn(10, test),
        "content_knn, chosen k": knn(k, test),
        "mean cosine": knn(None, test),
        "popularity": popularity(warm, count, seed),
        "random": at_random(warm, count, seed),
    }, {"k": "all" if k is None else k, "feature weight": weight}


def cold_users(dataset: str, config: Config, raw: RawData, seeds: list[int]) -> Part:
    """Rank for the held-out users of every seed."""
    measured: Tables = defaultdict(list)
    facts = []
    for seed in seeds:
        split = ColdUsersConfig(validation=0.05, test=0.2, seed=seed)  # nothing to choose: validation trains
        cold = hold_out_users(raw, split, RandomSplitConfig(seed=seed))
        without, first = trained(config, cold.without, seed, OUT / dataset, "users-without")
        whole, second = trained(config, cold.whole, seed, OUT / dataset, "users-whole")
        with torch.no_grad():
            rows, items = folded_rows(without.fold_in(), cold.history), without.encode().item
            inside, own = whole.encode(), folded_rows(whole.fold_in(), cold.history)
        every = {
            FOLDED: Embeddings(rows, items, {}),
            TRAINED: Embeddings(inside.user[cold.users], inside.item, {}),
            "folded into the model that trained on them": Embeddings(own, inside.item, {}),
            "popularity": popularity(cold.without, 0, seed),
        }
        for label, scorer in every.items():
            measured[label].append(rank_for_new_users(scorer, cold))
        facts.append({"seed": seed, "users": len(cold.users), FOLDED: first, TRAINED: second})
        report(f"{dataset}: cold users, seed {seed}: {facts[-1]}")
    rows_of = cells(measured, TRAINED)
    return Part(users_text(dataset, rows_of, facts), {"test": as_json(rows_of), "by seed": facts})


def _add(tables: Mapping[str, Tables], label: str, result: Mapping[str, pl.DataFrame]) -> None:
    for ranking, table in result.items():
        tables[ranking][label].append(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", nargs="+", metavar="DATASET")
    parser.add_argument("--seeds", type=seed_list, default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", choices=("items", "users"))
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--publish", action="store_true")
    args = parser.parse_args()
    for_each_dataset(publish, args)


if __name__ == "__main__":
    main()
