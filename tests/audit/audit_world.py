"""A small shop with groups of every kind, random lists, and the loops that say what an audit must find."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from anchorrec_graph.audit import Audit, Audited, audit_models
from anchorrec_graph.data.planted import PlantedConfig
from anchorrec_graph.evaluate import EvaluateConfig, Evaluator
from anchorrec_graph.models.scoring import sum_views
from anchorrec_graph.typing import Embeddings, View

USERS, ITEMS, K = 60, 50, 6
EVALUATE = EvaluateConfig(metrics=(f"Recall@{K}", f"NDCG@{K}"))
GENRES = ["Comedy", "Drama|Comedy", "Drama", "Sci-Fi", None, "Drama|Sci-Fi|Comedy"]


def shop() -> HeteroData:
    """60 users, 50 items with genres and price, users with a country; a row of image features is zero."""
    config = PlantedConfig(num_users=USERS, num_items=ITEMS, interactions_per_user=10, num_clusters=4)
    data = config.load()
    data["item"].table = data["item"].table.select(
        "item_id",
        "title",
        genres=pl.Series([GENRES[n % 6] for n in range(ITEMS)]),
        price=pl.Series([n / 2 for n in range(ITEMS)]),
    )
    data["user"].table = pl.DataFrame(
        {"user_id": data["user"].ids, "country": [["no", "se", "dk"][n % 3] for n in range(USERS)]}
    )
    data["item"]["image"][3] = 0
    return data


def random_model(seed: int = 0, dim: int = 6) -> Embeddings:
    """Three views, the last one of items only."""
    generator = torch.Generator().manual_seed(seed)

    def rows(count: int) -> Tensor:
        return torch.randn(count, dim, generator=generator)

    views = {name: View(rows(USERS), rows(ITEMS)) for name in ("id", "image")}
    return sum_views({**views, "extra": View(None, rows(ITEMS))})


def audit_of(data: HeteroData, *models: Embeddings, **options: object) -> Audit:
    """One model of as many seeds."""
    seeds = [Audited("model", seed, embeddings) for seed, embeddings in enumerate(models)]
    return audit_models(seeds, data, EVALUATE, **({"least": 1} | options))  # type: ignore[arg-type]


def fixed_lists(data: HeteroData, items: Tensor) -> Embeddings:
    """A model whose lists are items [U, K] where they are candidates: place r scores K - r."""
    scores = torch.full((USERS, ITEMS), 0.0)
    scores.scatter_(1, items, torch.arange(items.shape[1], 0, -1).float().expand(items.shape))
    return sum_views({"id": View(scores, torch.eye(ITEMS))})


class Naive(NamedTuple):
    """Sets and lists of Python, for loops."""

    users: list[int]
    lists: list[list[int]]
    train: list[set[int]]
    held_out: list[set[int]]
    item_users: list[int]


def naive(data: HeteroData, embeddings: Embeddings) -> Naive:
    edges = data["user", "interacts", "item"]
    train: list[set[int]] = [set() for _ in range(USERS)]
    test: list[set[int]] = [set() for _ in range(USERS)]
    for pairs, sets in ((edges.edge_index, train), (edges.test_edge_label_index, test)):
        for user, item in pairs.T.tolist():
            sets[user].add(item)
    result = Evaluator(EVALUATE, data).evaluate(embeddings, "test")
    users = result.per_user["user"].to_list()
    return Naive(
        users,
        result.items.tolist(),
        [train[user] for user in users],
        [test[user] for user in users],
        [sum(item in items for items in train) for item in range(ITEMS)],
    )


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values) if values else math.nan


def recall_ndcg(items: list[int], relevant: set[int]) -> tuple[float, float]:
    found = sum(item in relevant for item in items) / len(relevant)
    gain = sum(1 / math.log2(rank + 2) for rank, item in enumerate(items) if item in relevant)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(len(relevant), len(items))))
    return found, gain / ideal


def item_measures(world: Naive, members: set[int]) -> dict[str, float]:
    """Every measure of one group of items."""
    places = [(rank, item) for items in world.lists for rank, item in enumerate(items)]
    train_share = sum(world.item_users[item] for item in members) / sum(world.item_users)
    held_out = [item for items in world.held_out for item in items]
    exposure = mean(item in members for _, item in places)
    weights = [1 / math.log2(rank + 2) for rank, _ in places]
    weighted = sum(w for w, (_, item) in zip(weights, places, strict=True) if item in members) / sum(weights)
    pairs = [
        recall_ndcg(items, own & members)
        for items, own in zip(world.lists, world.held_out, strict=True)
        if own & members
    ]
    return {
        "size": len(members),
        "share": len(members) / ITEMS,
        "train_share": train_share,
        "held_out_share": mean(item in members for item in held_out),
        "exposure": exposure,
        "weighted_exposure": weighted,
        "lift": exposure / train_share,
        "recall": mean(recall for recall, _ in pairs),
        "ndcg": mean(ndcg for _, ndcg in pairs),
    }


def user_measures(world: Naive, data: HeteroData, places: list[int]) -> dict[str, float]:
    """Every measure of one group of users, given by their places among the evaluated users."""
    pairs = [recall_ndcg(world.lists[place], world.held_out[place]) for place in places]
    listed = [mean(world.item_users[item] for item in world.lists[place]) for place in places]
    own = [mean(world.item_users[item] for item in world.train[place]) for place in places]
    found = {
        "size": len(places),
        "share": len(places) / len(world.users),
        "recall": mean(recall for recall, _ in pairs),
        "ndcg": mean(ndcg for _, ndcg in pairs),
        "popularity_lift": mean(listed) / mean(own) - 1,
    }
    for modality in data.modalities:
        rows = data["item"][modality].double()
        found[f"diversity {modality}"] = mean(diversity(rows, world.lists[place]) for place in places)
    return found


def diversity(rows: Tensor, items: list[int]) -> float:
    known = [rows[item] for item in items if rows[item].any()]
    pairs = [(a, b) for a in range(len(known)) for b in range(len(known)) if a != b]
    cosines = [float(known[a] @ known[b] / known[a].norm() / known[b].norm()) for a, b in pairs]
    return 1 - mean(cosines)


def distances(
    history: Iterable[int], listed: Iterable[int], groups: dict[str, set[int]]
) -> tuple[float, float]:
    """Steck's KL and Jensen-Shannon of one user."""

    def shares(items: Iterable[int]) -> dict[str, float]:
        items = list(items)
        total = dict.fromkeys(groups, 0.0)
        for item in items:
            own = [name for name, members in groups.items() if item in members]
            for name in own:
                total[name] += 1 / len(own) / len(items)
        return total

    def kl(first: dict[str, float], second: dict[str, float]) -> float:
        return sum(value * math.log(value / second[name]) for name, value in first.items() if value > 0)

    p, q = shares(history), shares(listed)
    smooth = {name: 0.99 * q[name] + 0.01 * p[name] for name in groups}
    middle = {name: (p[name] + q[name]) / 2 for name in groups}
    return kl(p, smooth), (kl(p, middle) + kl(q, middle)) / 2
